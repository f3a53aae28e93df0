"""Hostile data: valid lines and images of many shapes, and what damage makes of them; the same for the same seed."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from random import Random

__all__ = ["FORMATS", "LINE_TOKENS", "Picture", "damage", "line_file", "picture_folder", "sound_line", "sound_picture"]

LINE_TOKENS = (
    *(b'"', b"\\", b"\\u", b"\\ud800", b"\\u0000", b"\\n", b"{", b"}", b"[", b"]", b":", b",", b"null", b"true", b"'"),
    *(b"\x00", b"\n", b"\r", b"\r\n", b" ", b"\t", b"\x0b", b"\x7f", b"\xc2\x85", b"\xe2\x80\xa8", b"\xef\xbb\xbf"),
    *(b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xcc\x81"),
    *(b"1e999", b"-0", b"NaN", b"-Infinity", b"9" * 25, b"9" * 5000, b"0.1e-400", b"[" * 12, b"[" * 300, b'{"":' * 250),
    *(b'"id":', b'"user":', b'"images":["../x"]', b'"from":', b'"x":1,', b"<|image_1|>", b"<|end|>", b"<image>", b"//"),
    *(b'""', b"[]", b"{}", b"\xf0\x9f\x90\x88"),
)
"""What parsers of JSON lines stumble over."""

FORMATS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif"}
"""The formats of the pictures, by Pillow's names, and their suffixes."""

_PICTURE_TOKENS = (b"\x00", b"\xff", b"\xff\xd8", b"\xff\xd9", b"\xff" * 64, b"\x00" * 64, b"\x7f\xff\xff\xff", b"IEND")
_TEXTS = (
    "What is it?",
    "A cat.",
    "Ein Bär, größer als ein Haus",
    "猫です",
    "🐈‍⬛",
    'so "called"',
    "a\\b\n\tc",
    "<b>",
    "x" * 300,
)
_WORD = re.compile(rb'"[^"\\]*"|[-+.\w]+')
_CHANGES = (1, 1, 1, 2, 3, 8)
_WHOLE = 0.1  # of all that is made stays sound


class Picture(NamedTuple):
    """An image file's name and whether it was left as its encoder wrote it."""

    name: str
    is_whole: bool


def sound_line(rng: Random, number: int) -> bytes:
    """Return a line that is a record, without its newline; `number` makes its id."""
    turns = [_turn(rng) for _ in range(rng.choice((1, 1, 2, 5)))]
    record: dict[str, Any] = {"id": f"train-{number:010d}", "source": "made", "conversations": turns}
    for name in ("group", "system"):
        if rng.random() < 0.3:
            record[name] = rng.choice(_TEXTS)
    if rng.random() < 0.2:
        del turns[-1]["assistant"]
    if rng.random() < 0.3:
        record["metadata"] = rng.choice(
            ({}, None, {"a": {"b": [1, 2.5, True, None, "x"]}}, {"n": -17, "e": 1e-9, "": []}, {"deep": [[[[[]]]]]})
        )
    fields = list(record.items())
    rng.shuffle(fields)
    separators = rng.choice(((",", ":"), (", ", ": "), (" ,\t", " : ")))
    text = json.dumps(dict(fields), ensure_ascii=rng.random() < 0.5, separators=separators)
    return text.encode() + rng.choice((b"", b"", b"", b" ", b"\r"))


def sound_picture(rng: Random, image_format: str) -> bytes:
    """Return an image file of a few hundred pixels, as an encoder writes it."""
    mode = rng.choice({"JPEG": ("RGB", "L", "CMYK"), "WEBP": ("RGB", "RGBA")}.get(image_format, ("RGB", "L", "P", "1")))
    size = rng.randint(20, 40), rng.randint(20, 40)
    image = Image.frombytes("RGB", size, rng.randbytes(3 * size[0] * size[1])).convert(mode)
    options: dict[str, Any] = {"progressive": rng.random() < 0.5} if image_format == "JPEG" else {}
    if image_format == "TIFF" and mode != "1":
        options["compression"] = rng.choice((None, "tiff_lzw", "tiff_adobe_deflate", "packbits"))
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def damage(rng: Random, data: bytes, tokens: Sequence[bytes], other: bytes) -> bytes:
    """Return bytes after one or more random changes.

    Args:
        rng: Where chance comes from.
        data: What is changed.
        tokens: What may be put in.
        other: What a piece may be taken of.
    """
    for _ in range(rng.choice(_CHANGES)):
        change = rng.choice(_DAMAGES)
        data = change(rng, data, rng.choice(tokens), other)
    return data


def line_file(rng: Random, count: int) -> bytes:
    """Return a file made of `count` lines, most of them damaged; the first is sound, and damage may add lines."""
    lines = [sound_line(rng, 0)]
    before = lines[0]
    for number in range(1, count):
        line = sound_line(rng, number)
        lines.append(line if rng.random() < _WHOLE else damage(rng, line, LINE_TOKENS, before))
        before = line
    return b"\n".join(lines) + rng.choice((b"", b"\n"))


def picture_folder(rng: Random, folder: Path, count: int) -> Iterator[Picture]:
    """Write `count` image files of all formats, most of them damaged, into a folder that exists, and name each."""
    kinds = list(FORMATS.items())
    seeds = {image_format: [sound_picture(rng, image_format) for _ in range(24)] for image_format in FORMATS}
    for number in range(count):
        image_format, suffix = kinds[number % len(kinds)]
        data, other = rng.choice(seeds[image_format]), rng.choice(seeds[rng.choice(kinds)[0]])
        is_whole = rng.random() < _WHOLE
        name = f"{number:07d}.{suffix}"
        (folder / name).write_bytes(data if is_whole else damage(rng, data, _PICTURE_TOKENS, other))
        yield Picture(name, is_whole)


def _turn(rng: Random) -> dict[str, Any]:
    turn: dict[str, Any] = {"user": rng.choice(_TEXTS), "assistant": rng.choice(_TEXTS)}
    if rng.random() < 0.5:
        turn["images"] = rng.choice(([], None, ["a.jpg"], [f"train/é/{number}.png" for number in range(8)]))
    if rng.random() < 0.2:
        turn["answers"] = ["A cat.", turn["assistant"]]
    return turn


def _span(rng: Random, data: bytes) -> tuple[int, int]:
    """Return where a piece begins and ends: mostly a short one."""
    start = rng.randint(0, len(data))
    length = rng.choice((1, 2, 8, 40, len(data)))
    return start, min(len(data), start + rng.randint(1, max(1, length)))


def _flip(rng: Random, data: bytes, token: bytes, other: bytes) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def _randomize(rng: Random, data: bytes, token: bytes, other: bytes) -> bytes:
    start, stop = _span(rng, data)
    return data[:start] + rng.randbytes(stop - start) + data[stop:]


def _insert(rng: Random, data: bytes, token: bytes, other: bytes) -> bytes:
    at = rng.randint(0, len(data))
    return data[:at] + token + data[at:]


def _overwrite(rng: Random, data: bytes, token: bytes, other: bytes) -> bytes:
    at = rng.randint(0, len(data))
    return data[:at] + token + data[at + len(token) :]


def _replace_word(rng: Random, data: bytes, token: bytes, other: bytes) -> bytes:
    """Put a token in the place of a whole value or name: what remains may well be JSON."""
    if not (words := list(_WORD.finditer(data))):
        return data
    start, stop = rng.choice(words).span()
    return data[:start] + token + data[stop:]


def _delete(rng: Random, data: bytes, token: bytes, other: bytes) -> bytes:
    start, stop = _span(rng, data)
    return data[:start] + data[stop:]


def _repeat(rng: Random, data: bytes, token: bytes, other: bytes) -> bytes:
    start, stop = _span(rng, data)
    return data[:stop] + data[start:stop] * rng.choice((1, 2, 5)) + data[stop:]


def _cut(rng: Random, data: bytes, token: bytes, other: bytes) -> bytes:
    return data[: rng.randint(0, len(data))]


def _splice(rng: Random, data: bytes, token: bytes, other: bytes) -> bytes:
    return data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]


def _graft(rng: Random, data: bytes, token: bytes, other: bytes) -> bytes:
    at, (start, stop) = rng.randint(0, len(data)), _span(rng, other)
    return data[:at] + other[start:stop] + data[at:]


_DAMAGES: tuple[Callable[[Random, bytes, bytes, bytes], bytes], ...] = (
    *(_flip, _flip, _randomize, _insert, _insert, _overwrite, _replace_word, _replace_word),
    *(_delete, _repeat, _cut, _splice, _graft),
)
