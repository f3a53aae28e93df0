"""Pictures as they are stored: untouched where that will do, equal to the pixel where it will not, never trusted."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, features

from phi3v_data.media import checks
from phi3v_data.media.picture import store_picture

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(0)
COLOURS = Image.fromarray(RNG.integers(0, 256, (30, 40, 3), dtype=np.uint8))
ALPHA = Image.merge("RGBA", (*COLOURS.split(), Image.fromarray(RNG.integers(0, 256, (30, 40), dtype=np.uint8))))
HALVES = Image.fromarray(np.repeat([[255], [0]], (15, 15), axis=0).repeat(40, axis=1).astype(np.uint8)).convert("RGB")
DEEP = RNG.integers(0, 1 << 16, (30, 40), dtype=np.uint16)
UPRIGHT_BY = 0x0112  # the Exif tag of orientation
RIGHT_TOP = 6  # the camera was turned: the first row is the right-hand side


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def same(image: Image.Image, other: Image.Image) -> bool:
    return image.mode == other.mode and np.array_equal(np.asarray(image), np.asarray(other))


def reencoded(data: bytes, form: str = "PNG", **options: Any) -> Image.Image:
    """Store a picture that cannot stay as it is; return what was made of it."""
    stored, suffix = store_picture(data, "x", **options)
    assert stored != data
    assert suffix == {"PNG": ".png", "JPEG": ".jpg"}[form]
    image = opened(stored)
    assert image.format == form
    return image


def with_orientation(form: str, **options: Any) -> bytes:
    exif = Image.Exif()
    exif[UPRIGHT_BY] = RIGHT_TOP
    return encoded(HALVES, form, exif=exif.tobytes(), **options)


AS_THEY_ARE = {
    "jpeg": encoded(COLOURS, "JPEG"),
    "gray progressive jpeg": encoded(COLOURS.convert("L"), "JPEG", progressive=True),
    "cmyk jpeg": encoded(COLOURS.convert("CMYK"), "JPEG"),
    "jpeg turned by exif": with_orientation("JPEG"),
    "png": encoded(COLOURS, "PNG"),
    "png with alpha": encoded(ALPHA, "PNG"),
    "png with a palette": encoded(COLOURS.quantize(16), "PNG", transparency=3),
    "16-bit png": encoded(Image.fromarray(DEEP), "PNG"),
    "black and white png": encoded(COLOURS.convert("1"), "PNG"),
    "jpeg with more behind": encoded(COLOURS, "JPEG") + b"\0 a video",
    "two jpegs in one": encoded(COLOURS, "MPO", save_all=True, append_images=[COLOURS.rotate(90)]),
}


@pytest.mark.parametrize("decode", [False, True])
@pytest.mark.parametrize("kind", AS_THEY_ARE)
def test_a_jpeg_or_png_stays_byte_for_byte_whatever_its_name(kind: str, decode: bool) -> None:
    data = AS_THEY_ARE[kind]
    suffix = ".png" if "png" in kind else ".jpg"
    for name in ("a.jpg", "a.png", "a.txt", ""):
        assert store_picture(data, name, decode=decode) == (data, suffix)
    assert store_picture(data, "x", image_size=40, decode=decode) == (data, suffix)


@pytest.mark.parametrize(
    ("form", "image", "options"),
    [
        ("BMP", COLOURS, {}),
        ("TIFF", COLOURS, {"compression": "tiff_lzw"}),
        ("TIFF", ALPHA, {}),
        ("TIFF", COLOURS.convert("L"), {}),
        ("TIFF", COLOURS.convert("LA"), {}),
        ("WEBP", COLOURS, {"lossless": True}),
        ("WEBP", ALPHA, {"lossless": True, "exact": True}),
        ("PPM", COLOURS, {}),
        ("TGA", ALPHA, {}),
        ("PCX", COLOURS, {}),
        ("DDS", ALPHA, {}),
    ],
)
def test_any_other_format_becomes_png_with_the_same_pixels(
    form: str, image: Image.Image, options: dict[str, Any]
) -> None:
    if form == "WEBP" and not features.check("webp"):
        pytest.skip("this Pillow has no WebP")
    assert same(reencoded(encoded(image, form, **options)), image)


def test_palettes_and_their_transparency_become_true_colours() -> None:
    palette = COLOURS.quantize(16)
    assert same(reencoded(encoded(palette, "GIF")), palette.convert("RGB"))
    gif = encoded(palette, "GIF", transparency=3)
    stored = reencoded(gif)
    assert same(stored, opened(gif).convert("RGBA"))
    assert np.array_equal(np.asarray(stored)[..., 3] == 0, np.asarray(palette) == 3)


def test_of_an_animation_the_first_frame_is_the_picture() -> None:
    gif = encoded(COLOURS.quantize(16), "GIF", save_all=True, append_images=[Image.new("P", (40, 30))])
    assert same(reencoded(gif), COLOURS.quantize(16).convert("RGB"))


def test_black_and_white_becomes_true_colours_too() -> None:
    assert same(reencoded(encoded(COLOURS.convert("1"), "TIFF")), COLOURS.convert("1").convert("RGB"))


def test_cmyk_becomes_rgb_and_leaves_its_profile_behind() -> None:
    cmyk = COLOURS.convert("CMYK")
    stored = reencoded(encoded(cmyk, "TIFF", icc_profile=b"of inks"))
    assert same(stored, cmyk.convert("RGB"))
    assert "icc_profile" not in stored.info


@pytest.mark.parametrize("form", ["TIFF", "PPM", "PNG"])
def test_sixteen_bits_keep_their_upper_eight(form: str) -> None:
    """Clipped to 255 instead, nearly all of it would be white."""
    data = encoded(Image.fromarray(DEEP), form)
    if form != "PNG":
        assert np.array_equal(np.asarray(reencoded(data)), DEEP >> 8)
    upper = Image.fromarray((DEEP >> 8).astype(np.uint8))
    assert same(reencoded(data, image_size=20), upper.resize((20, 15), Image.Resampling.LANCZOS))


@pytest.mark.parametrize("form", ["TIFF", "WEBP"])
def test_what_is_encoded_anew_is_turned_upright(form: str) -> None:
    data = with_orientation(form, **({"lossless": True} if form == "WEBP" else {}))
    stored = reencoded(data)
    assert same(stored, HALVES.transpose(Image.Transpose.ROTATE_270))
    assert UPRIGHT_BY not in stored.getexif()


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_what_is_shrunk_is_turned_upright(form: str) -> None:
    """The first row is bright; it was the right-hand side."""
    stored = reencoded(with_orientation(form), form, image_size=20)
    assert stored.size == (15, 20)
    levels = np.asarray(stored.convert("L"))
    assert levels[:, :6].max() < 64
    assert levels[:, 9:].min() > 192
    assert UPRIGHT_BY not in stored.getexif()


def test_what_stays_keeps_its_orientation() -> None:
    assert store_picture(with_orientation("JPEG"), "x", decode=True)[0] == with_orientation("JPEG")


@pytest.mark.parametrize(
    ("size", "limit", "expected"),
    [
        ((40, 30), 20, (20, 15)),
        ((30, 40), 20, (15, 20)),
        ((40, 30), 39, (39, 29)),
        ((1, 4000), 16, (1, 16)),
        ((4000, 1), 16, (16, 1)),
        ((17, 2), 16, (16, 2)),
    ],
)
def test_the_longer_side_has_the_size_asked_for(size: tuple[int, int], limit: int, expected: tuple[int, int]) -> None:
    image = COLOURS.resize(size)
    for form, kept in (("JPEG", "JPEG"), ("PNG", "PNG"), ("BMP", "PNG")):
        assert reencoded(encoded(image, form), kept, image_size=limit).size == expected, form


def test_what_needs_no_shrinking_is_never_enlarged() -> None:
    assert same(reencoded(encoded(COLOURS, "BMP"), image_size=100), COLOURS)


@pytest.mark.parametrize("mode", ["1", "P"])
def test_few_colours_are_shrunk_smoothly(mode: str) -> None:
    """Scanned pages come like this, and letters must not lose strokes."""
    few = COLOURS.convert("1") if mode == "1" else COLOURS.quantize(4)
    stored = reencoded(encoded(few, "PNG"), image_size=20)
    assert same(stored, few.convert("RGB").resize((20, 15), Image.Resampling.LANCZOS, reducing_gap=2))


def test_transparency_outlives_shrinking() -> None:
    assert reencoded(encoded(ALPHA, "PNG"), image_size=20).mode == "RGBA"
    clear = Image.new("RGB", (40, 30), (9, 9, 9))
    stored = reencoded(encoded(clear, "PNG", transparency=(9, 9, 9)), image_size=20)
    assert stored.getextrema()[3] == (0, 0)


def test_quality_is_that_of_a_shrunk_jpeg_alone() -> None:
    large = encoded(COLOURS.resize((400, 300)), "JPEG", quality=95)
    sizes = [len(store_picture(large, "x", image_size=300, quality=quality)[0]) for quality in (10, 50, 90)]
    assert sizes == sorted(set(sizes))
    assert store_picture(large, "x", quality=10)[0] == large
    assert opened(store_picture(encoded(COLOURS.convert("CMYK"), "JPEG"), "x", image_size=20)[0]).mode == "RGB"
    assert opened(store_picture(encoded(COLOURS.convert("L"), "JPEG"), "x", image_size=20)[0]).mode == "L"


def test_the_same_bytes_come_out_every_time() -> None:
    for form in ("JPEG", "PNG", "BMP"):
        data = encoded(COLOURS, form)
        assert store_picture(data, "x", image_size=20) == store_picture(data, "y", image_size=20)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def damaged_png() -> bytes:
    data = bytearray(AS_THEY_ARE["png"])
    data[len(data) // 2] ^= 0x55
    return bytes(data)


def damaged_jpeg() -> bytes:
    """One whose Huffman tables are nonsense."""
    data = bytearray(AS_THEY_ARE["jpeg"])
    table = data.index(b"\xff\xc4")
    data[table + 5 : table + 21] = b"\xff" * 16
    return bytes(data)


@pytest.mark.parametrize("data", [damaged_png(), damaged_jpeg()], ids=["png", "jpeg"])
def test_damage_that_header_and_end_do_not_show_is_found_by_decoding(data: bytes) -> None:
    assert store_picture(data, "x")[0] == data
    for options in ({"decode": True}, {"image_size": 20}):
        with pytest.raises(checks.DamagedImage, match=r"^page\.png does not decode: \w") as caught:
            store_picture(data, "page.png", **options)
        assert "\n" not in str(caught.value)


def test_formats_that_are_encoded_anew_show_their_damage_always() -> None:
    bmp = encoded(COLOURS, "BMP")
    with pytest.raises(checks.DamagedImage, match="does not decode"):
        store_picture(bmp[: len(bmp) // 2], "x")


def sized(width: int, height: int, form: str) -> bytes:
    """A few bytes that claim so many pixels."""
    if form == "PNG":
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    data = encoded(Image.new("RGB", (16, 16)), form)
    true = {"JPEG": struct.pack(">HH", 16, 16), "BMP": struct.pack("<ii", 16, 16), "GIF": struct.pack("<HH", 16, 16)}
    lie = {"JPEG": (">HH", height, width), "BMP": ("<ii", width, height), "GIF": ("<HH", width, height)}
    return data.replace(true[form], struct.pack(*lie[form]))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "GIF"])
@pytest.mark.parametrize("size", [(10_000, 9_000), (60_000, 60_000)])
def test_a_bomb_is_told_by_its_header(form: str, size: tuple[int, int]) -> None:
    for options in ({}, {"decode": True}, {"image_size": 16}):
        with pytest.raises(checks.TooManyPixels):
            store_picture(sized(*size, form), "x", **options)


@pytest.mark.parametrize("behind", [False, True], ids=["before the pixels", "behind the pixels"])
def test_a_bomb_of_text_is_never_unpacked(behind: bool) -> None:
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(100 << 20)))
    png = AS_THEY_ARE["png"]
    place = png.index(b"IEND" if behind else b"IDAT") - 4
    with pytest.raises(checks.BadImage, match=r"its header is broken|does not decode"):
        store_picture(png[:place] + text + png[place:], "x", decode=True)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_picture_that_is_cut_short(form: str) -> None:
    whole = encoded(COLOURS, form)
    for kept in (40, len(whole) // 2, len(whole) - 1):
        with pytest.raises(checks.TruncatedImage, match=rf"^a\.png is cut short: its {form} end marker is missing$"):
            store_picture(whole[:kept], "a.png")


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"", checks.EmptyImage, "is empty (0 bytes)"),
        (b"<!DOCTYPE html><html>", checks.NotAnImage, "is a web page, not an image: the download failed"),
        (b"version https://git-lfs.github.com/spec/v1\n", checks.NotAnImage, "is a Git LFS pointer, not the image"),
        (b"not found", checks.NotAnImage, "is text, not an image"),
        (b"\x00\x01\x02\x03" * 50, checks.NotAnImage, "is not an image in a format Pillow knows"),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""), checks.NotAnImage, "its header is broken"),
        (encoded(COLOURS, "EPS"), checks.NotAnImage, "is a PostScript program, which would have to be run"),
    ],
)
def test_what_is_no_picture(data: bytes, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        store_picture(data, "a.jpg")
    assert str(caught.value).startswith("a.jpg ") and words in str(caught.value)


EVERYTHING = {
    **AS_THEY_ARE,
    "gif": encoded(COLOURS.quantize(16), "GIF"),
    "webp": encoded(COLOURS, "WEBP"),
    "cut jpeg": AS_THEY_ARE["jpeg"][:-300],
    "cut png": AS_THEY_ARE["png"][:-1],
    "cut webp": encoded(COLOURS, "WEBP")[:-9],
    "large": sized(10_000, 9_000, "PNG"),
    "huge": sized(60_000, 60_000, "PNG"),
    "empty": b"",
    "page": b"<html>",
    "noise": bytes(range(256)),
    "a thumbnail's end": encoded(COLOURS, "JPEG", exif=b"Exif\0\0" + encoded(COLOURS.resize((8, 8)), "JPEG"))[:-300],
}


@pytest.mark.parametrize("kind", EVERYTHING)
def test_bytes_are_judged_as_the_file_that_holds_them(kind: str, tmp_path: Path) -> None:
    def verdict(check: Any, *words: Any) -> object:
        try:
            return check(*words)
        except checks.BadImage as error:
            return type(error), error.fault

    path = tmp_path / "a.jpg"
    path.write_bytes(EVERYTHING[kind])
    judged = verdict(checks.check_image_bytes, EVERYTHING[kind], "x")
    assert judged == verdict(checks.check_image, str(path))
    assert isinstance(judged, checks.ImageHeader) == (kind in AS_THEY_ARE or kind in ("gif", "webp"))


def test_the_pixel_limit_of_bytes() -> None:
    assert checks.check_image_bytes(AS_THEY_ARE["png"], "x", max_pixels=1200).width == 40
    with pytest.raises(checks.TooManyPixels, match=r"^x is 40x30 pixels, over the limit of 1,199$"):
        checks.check_image_bytes(AS_THEY_ARE["png"], "x", max_pixels=1199)
