"""Headers read without Pillow: what is read must be what Pillow reads, of sound files and of damaged ones."""

from __future__ import annotations

import io
import random
import struct
import warnings
import zlib
from functools import cache
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from phi3v_data.media.checks import BadImage
from phi3v_data.media.description import describe, describe_image_bytes
from phi3v_data.media.header import HEAD, Header, HeaderReader

ORIENTATION = 0x0112
MUTATIONS = 4000


def encoded(mode: str, image_format: str, size: tuple[int, int] = (40, 30), **options: Any) -> bytes:
    buffer = io.BytesIO()
    image = Image.effect_noise(size, 60)
    if mode == "I;16":
        image = image.convert("I").point(lambda value: value * 200).convert("I;16")
    image.convert(mode).save(buffer, image_format, **options)
    return buffer.getvalue()


def exif(orientation: int | None, *, order: str = "<", padding: int = 0) -> bytes:
    notes = Image.Exif()
    notes.endian = order
    notes[0x010E] = "a description " * 3 + "x" * padding  # before the orientation, with its value elsewhere
    if orientation is not None:
        notes[ORIENTATION] = orientation
    return notes.tobytes()


def read(data: bytes, reader: HeaderReader | None = None) -> Header | None:
    head = data[:HEAD]
    reader = reader or HeaderReader()
    return reader.recall(head) or reader.read(head, len(data), lambda count: data[:count])


def by_pillow(data: bytes) -> Header | None:
    """Return what Pillow reads; None where it refuses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return describe(Image.open(io.BytesIO(data)))
        except Exception:  # whatever the bytes make it raise
            return None


@cache
def jpegs() -> dict[str, bytes]:
    profile = bytes(3000)
    options: dict[str, dict[str, Any]] = {
        "plain": {},
        "progressive": {"progressive": True},
        "optimised": {"optimize": True, "quality": 95},
        "full colour": {"subsampling": 0},
        "resolution": {"dpi": (300, 300)},
        "restarts": {"restart_marker_rows": 1},
        "comment": {"comment": b"made here"},
        "long comment": {"comment": b"x" * 60_000},
        "profile": {"icc_profile": profile},
        "profile in parts": {"icc_profile": profile * 50},
        "turned": {"exif": exif(6)},
        "turned, Motorola's order": {"exif": exif(8, order=">")},
        "not turned": {"exif": exif(None)},
        "long notes": {"exif": exif(3, padding=20_000)},
        "all": {"exif": exif(5), "icc_profile": profile, "comment": b"c", "progressive": True},
    }
    modes = ("RGB", "L", "CMYK")
    return {f"{name} {mode}": encoded(mode, "JPEG", **given) for name, given in options.items() for mode in modes}


@cache
def pngs() -> dict[str, bytes]:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "a picture")
    options: dict[str, dict[str, Any]] = {
        "plain": {},
        "resolution": {"dpi": (72, 72)},
        "turned": {"exif": exif(6)},
        "text": {"pnginfo": texts},
    }
    modes = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
    made = {f"{name} {mode}": encoded(mode, "PNG", **given) for name, given in options.items() for mode in modes}
    made["see-through palette"] = encoded("P", "PNG", transparency=3)
    made["see-through colour"] = encoded("RGB", "PNG", transparency=(1, 2, 3))
    for bits in (1, 2, 4):
        made[f"palette of {bits} bits"] = encoded("P", "PNG", bits=bits)
    return made


@cache
def webps() -> dict[str, bytes]:
    kinds = [(mode, lossless) for mode in ("RGB", "RGBA") for lossless in (0, 1)]
    return {f"{mode} {lossless}": encoded(mode, "WEBP", lossless=lossless) for mode, lossless in kinds}


@cache
def left_to_pillow() -> dict[str, bytes]:
    """Images that take Pillow's word, and get the right one."""
    frames = [Image.effect_noise((40, 30), 60).convert("RGB") for _ in range(2)]
    moving = {"save_all": True, "append_images": frames[1:]}
    buffers = {name: io.BytesIO() for name in ("PNG", "WEBP", "GIF", "MPO")}
    for name, buffer in buffers.items():
        frames[0].save(buffer, name, **moving)
    return {
        **{f"moving {name}": buffer.getvalue() for name, buffer in buffers.items()},
        "WebP with notes": encoded("RGB", "WEBP", exif=exif(6)),
        "PNG with profile": encoded("RGB", "PNG", icc_profile=bytes(300)),
        "BMP": encoded("RGB", "BMP"),
        "TIFF": encoded("RGB", "TIFF"),
        "fill bytes": jpegs()["plain RGB"].replace(b"\xff\xdb", b"\xff\xff\xff\xdb", 1),
    }


EVERY = {**jpegs(), **pngs(), **webps()}


@pytest.mark.parametrize("name", EVERY)
def test_what_is_read_is_what_pillow_reads(name: str) -> None:
    data = EVERY[name]
    header = read(data)
    assert header is not None or name == "RGBA 0"  # lossy WebP with alpha is of the extended kind
    assert header in (None, by_pillow(data))


@pytest.mark.parametrize("name", left_to_pillow())
def test_pillow_has_the_last_word_on_all_others(name: str) -> None:
    data = left_to_pillow()[name]
    assert read(data) is None
    header = describe_image_bytes(data, "x")
    assert (header.width, header.height) == (40, 30)
    assert header.is_animated == (name.startswith("moving") and name != "moving MPO")
    assert header.orientation == (6 if name == "WebP with notes" else 0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_read_in_both_orders(orientation: int) -> None:
    for order in "<>":
        for image_format in ("JPEG", "PNG"):
            header = read(encoded("RGB", image_format, exif=exif(orientation, order=order)))
            assert header is not None
            assert header.orientation == orientation


def test_an_orientation_told_in_xmp_is_left_to_pillow() -> None:
    told = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta tiff:Orientation="6"/>'
    plain = encoded("RGB", "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(told) + 2) + told
    data = plain[:2] + segment + plain[2:]
    assert read(data) is None
    assert describe_image_bytes(data, "x").orientation == 6


def test_a_header_like_the_last_one_is_known() -> None:
    reader = HeaderReader()
    first, second = (encoded("RGB", "JPEG", comment=b"same") for _ in range(2))
    other = encoded("RGB", "JPEG", (41, 30), comment=b"same")
    assert reader.recall(first[:HEAD]) is None
    assert read(first, reader) is reader.recall(second[:HEAD])
    assert reader.recall(other[:HEAD]) is None
    assert read(other, reader) == by_pillow(other)
    assert reader.recall(other[:100]) is None  # a beginning of the beginning


def test_sizes_over_the_limit_are_left_to_who_words_them() -> None:
    data = bytearray(encoded("L", "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\xff" * 4
    assert read(bytes(data)) is None
    with pytest.raises(BadImage, match="over Pillow's limit"):
        describe_image_bytes(bytes(data), "x")


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Damage the part of a file in which its header lies; PNG checksums are made right half of the time."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(2, min(len(changed), 900))
        kind = chance.randrange(5)
        if kind == 0:
            changed[at] = chance.randrange(256)
        elif kind == 1:
            changed[at] ^= 1 << chance.randrange(8)
        elif kind == 2:
            del changed[at : at + chance.choice((1, 2, 17))]
        elif kind == 3:
            changed[at:at] = chance.randbytes(chance.choice((1, 2, 17)))
        else:
            changed[at : at + 2] = chance.choice((b"\0\0", b"\xff\xff", b"\xff\xd9", b"\xff\xda", b"\xff\xe1", b"\0\1"))
    if chance.random() < 0.1:
        del changed[chance.randrange(len(changed)) :]
    if data.startswith(b"\x89PNG") and chance.random() < 0.5:
        return with_right_checksums(bytes(changed))
    return bytes(changed)


def with_right_checksums(data: bytes) -> bytes:
    fixed, at = data[:8], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunk = data[at + 4 : at + 8 + length]
        fixed += data[at : at + 4] + chunk + zlib.crc32(chunk).to_bytes(4, "big")
        at += 12 + length
    return fixed + data[at:]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_the_bytes_what_is_read_is_what_pillow_reads(seed: int) -> None:
    chance = random.Random(seed)
    names = sorted(EVERY)
    reader = HeaderReader()  # one for all, as in a run: what it remembers must not lead it astray
    read_at_all = 0
    for _ in range(MUTATIONS // 4):
        data = mutated(EVERY[chance.choice(names)], chance)
        if (header := read(data, reader)) is not None:
            read_at_all += 1
            assert header == by_pillow(data), data[:900].hex()
    assert read_at_all > MUTATIONS // 40
