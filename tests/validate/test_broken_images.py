"""A corpus of broken images: what each level of looking finds in them, in a file and in a shard alike."""

from __future__ import annotations

import io
import os
import socket
import struct
import time
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, PngImagePlugin

from phi3v_data.formats.images import HeldImages
from phi3v_data.validate.images import ImageChecker
from phi3v_schemas import Record

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.validate.images import ImageLevel
    from phi3v_data.validate.rule import Problem

BOMB = 64 << 20
"""Bytes that a bomb unfolds to: more than Pillow's limits, less than hurts when they fail."""


def encoded(image_format: str, size: tuple[int, int] = (96, 64), **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(buffer, image_format, **options)
    return buffer.getvalue()


def record(*paths: str) -> Record:
    return Record.model_validate({"id": "a", "source": "s", "conversations": [{"images": list(paths), "user": "u"}]})


def look(folder: Path, path: str, level: ImageLevel) -> list[Problem]:
    return ImageChecker(folder, level).check(record(path))


def codes(folder: Path, path: str, level: ImageLevel) -> list[str]:
    """Return what is found in a file, which is what is found in its bytes when a shard holds them."""
    found = [problem.rule.code for problem in look(folder, path, level)]
    data = (folder / path).read_bytes()
    held = HeldImages([path], lambda place: None if place else data)
    assert [problem.rule.code for problem in ImageChecker(folder, level).check(record(path), held)] == found
    return found


JPEG, PNG, WEBP = encoded("JPEG"), encoded("PNG"), encoded("WEBP")
THUMBNAIL = encoded("JPEG", exif=b"Exif\0\0" + encoded("JPEG", (16, 16)))


def chunks(data: bytes) -> list[bytes]:
    """Return a PNG file in pieces: the magic, then each chunk with its length and checksum."""
    pieces, at = [data[:8]], 8
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        pieces.append(data[at:end])
        at = end
    return pieces


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def with_size(width: int, height: int) -> bytes:
    """Return a PNG file whose header gives another size."""
    magic, header, *rest = chunks(PNG)
    return b"".join([magic, chunk(b"IHDR", struct.pack(">LL", width, height) + header[16:21]), *rest])


def with_jpeg_size(width: int, height: int) -> bytes:
    at = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:at] + struct.pack(">HH", height, width) + JPEG[at + 4 :]


def zeroed(data: bytes, start: float = 0.5, length: int = 200) -> bytes:
    at = int(len(data) * start)
    return data[:at] + bytes(length) + data[at + length :]


def with_note(kind: bytes, data: bytes, *, behind: bool) -> bytes:
    pieces = chunks(PNG)
    pieces.insert(-1 if behind else 2, chunk(kind, data))
    return b"".join(pieces)


def with_bomb(*, behind: bool) -> bytes:
    return with_note(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(BOMB), 9), behind=behind)


def swapped() -> bytes:
    magic, header, *rest = chunks(PNG)
    return b"".join([magic, rest[0], header, *rest[1:]])


def with_wrong_checksum(number: int) -> bytes:
    pieces = chunks(PNG)
    pieces[number] = pieces[number][:-1] + bytes([pieces[number][-1] ^ 1])
    return b"".join(pieces)


CUT = {
    f"{name} at {kept:.0%}": (name, data[: int(len(data) * kept)])
    for name, data in {"a.jpg": JPEG, "a.png": PNG, "a.webp": WEBP}.items()
    for kept in (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.999)
}

BROKEN: dict[str, tuple[str, bytes, str, str]] = {
    # what is wrong: name, bytes, found at "header", found at "decode"
    "nothing, JPEG": ("a.jpg", JPEG, "", ""),
    "nothing, PNG": ("a.png", PNG, "", ""),
    "nothing, WebP": ("a.webp", WEBP, "", ""),
    "empty": ("a.jpg", b"", "E403", "E403"),
    "one byte": ("a.jpg", b"\xff", "E404", "E404"),
    "zeros": ("a.jpg", bytes(5000), "E404", "E404"),
    "wrong magic": ("a.jpg", b"\xff\xd9" + JPEG[2:], "E404", "E404"),
    "a thumbnail's end": ("a.jpg", THUMBNAIL[:-200], "E405", "E405"),
    "a thumbnail": ("a.jpg", THUMBNAIL, "", ""),
    "bytes behind a JPEG": ("a.jpg", JPEG + b"x" * 9000, "", ""),
    "bytes behind a PNG": ("a.png", PNG + b"x" * 9000, "", ""),
    "bytes behind a WebP": ("a.webp", WEBP + b"x" * 9000, "", ""),
    "zeros within a JPEG": ("a.jpg", zeroed(JPEG), "", ""),  # decoders paint over it
    "zeros within a PNG": ("a.png", zeroed(PNG), "", "E409"),
    "no tables in a JPEG": ("a.jpg", JPEG.replace(b"\xff\xdb", b"\xff\xe9"), "", "E409"),
    "no frame in a JPEG": ("a.jpg", JPEG.replace(b"\xff\xc0", b"\xff\xe9", 1), "E404", "E404"),
    "12 bits in a JPEG": ("a.jpg", JPEG.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c", 1), "E404", "E404"),
    "a JPEG of nothing": ("a.jpg", with_jpeg_size(0, 0), "E404", "E404"),
    "a PNG of nothing": ("a.png", with_size(0, 64), "E404", "E404"),
    "a huge JPEG": ("a.jpg", with_jpeg_size(65_535, 65_535), "E406", "E406"),
    "a huge PNG": ("a.png", with_size(65_535, 65_535), "E406", "E406"),
    "a PNG larger than a machine": ("a.png", with_size(2**31 - 1, 2**31 - 1), "E406", "E406"),
    "a JPEG of more rows than it has": ("a.jpg", with_jpeg_size(96, 6000), "", ""),  # grey fills the rest
    "a PNG of more rows than it has": ("a.png", with_size(96, 6000), "", ""),  # black fills the rest
    "swapped chunks": ("a.png", swapped(), "E404", "E404"),
    "a wrong checksum in the header": ("a.png", with_wrong_checksum(1), "E404", "E404"),
    "a wrong checksum of pixels": ("a.png", with_wrong_checksum(2), "", ""),  # Pillow goes by zlib's own
    "a bomb before the pixels": ("a.png", with_bomb(behind=False), "E404", "E404"),
    "a bomb behind the pixels": ("a.png", with_bomb(behind=True), "", "E409"),
    "a long profile": ("a.png", encoded("PNG", icc_profile=b"x" * 5_000), "", ""),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_what_each_level_finds(tmp_path: Path, what: str) -> None:
    name, data, at_header, at_decode = BROKEN[what]
    (tmp_path / name).write_bytes(data)
    assert codes(tmp_path, name, "none") == []
    assert codes(tmp_path, name, "exists") == ([] if data else ["E403"])
    assert codes(tmp_path, name, "header") == ([at_header] if at_header else [])
    assert codes(tmp_path, name, "decode") == ([at_decode] if at_decode else [])


@pytest.mark.parametrize("cut", CUT)
def test_a_cut_is_found_wherever_it_is(tmp_path: Path, cut: str) -> None:
    name, data = CUT[cut]
    (tmp_path / name).write_bytes(data)
    assert codes(tmp_path, name, "header") == codes(tmp_path, name, "decode") == ["E405"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xef\xbb\xbf<!DOCTYPE html><title>Not found", "is a web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "is a server's answer in XML"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "is an SVG drawing"),
        (b'{"message": "Not Found"}', "is a server's answer in JSON"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "is a Git LFS pointer"),
        (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ", "is an AppleDouble file"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "is a PDF document"),
        (b"PK\x03\x04\x14\x00\x00\x00", "is a ZIP archive"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00", "is a video (MP4 or QuickTime)"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "is a HEIF or AVIF picture"),
        (b"\x1a\x45\xdf\xa3\x01\x00\x00\x00", "is a video (Matroska or WebM)"),
        (b"RIFF\x00\x10\x00\x00AVI LIST", "is a video (AVI)"),
        (b"\x00\x00\x01\xb3\x14\x00\xf0\x13" * 20, "is a video (MPEG)"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) print\n", "is a PostScript program"),
        (b"404: Not Found\n", "is text"),
        (bytes(600), "is filled with zeros"),
    ],
)
def test_impostors_are_named(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "a.jpg").write_bytes(data)
    for level in ("header", "decode"):
        (problem,) = look(tmp_path, "a.jpg", level)
        assert problem.rule.code == "E404"
        assert f"the image 'a.jpg' {words}" in problem.message


def test_what_is_no_file_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo("pipe.jpg")
    (tmp_path / "to-pipe.jpg").symlink_to("pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.jpg")
        for level in ("exists", "header", "decode"):
            for name in ("folder.jpg", "pipe.jpg", "to-pipe.jpg", "socket.jpg"):
                (problem,) = look(tmp_path, name, level)
                assert problem.rule.code == "E404"
                assert ("is a folder" if name == "folder.jpg" else "is not a regular file") in problem.message


def test_an_image_that_vanishes_or_shrinks_while_it_is_looked_at_is_a_finding(tmp_path: Path) -> None:
    """Whatever another process does with the files, a look ends in a code or in none."""
    writer = os.fork()
    path = tmp_path / "a.jpg"
    if not writer:
        while True:
            path.write_bytes(JPEG)
            path.write_bytes(JPEG[:100])
            path.unlink()
    try:
        found: set[str] = set()
        end = time.monotonic() + 20
        while time.monotonic() < end and len(found) < 3:
            for level in ("exists", "header", "decode"):
                found |= {problem.rule.code for problem in look(tmp_path, "a.jpg", level)} or {""}
        assert found <= {"", "E401", "E403", "E404", "E405", "E408", "E409"}
        assert len(found) >= 3
    finally:
        os.kill(writer, 9)
        os.waitpid(writer, 0)


def test_files_that_no_image_is_as_large_as_are_not_read(tmp_path: Path) -> None:
    for name, data in (("a.jpg", JPEG), ("a.webp", WEBP), ("a.bmp", encoded("BMP"))):
        with (tmp_path / name).open("wb") as file:
            file.write(data)
            file.truncate(1 << 40)  # of which the disk holds nothing
        for level in ("header", "decode"):
            (problem,) = look(tmp_path, name, level)
            assert problem.rule.code == "E406"
            assert "has 1,099,511,627,776 bytes" in problem.message


def test_a_jpeg_of_endless_scans_is_not_decoded(tmp_path: Path) -> None:
    """Each scan is a few bytes, and a pass over all the pixels; hours of them fit into a megabyte."""
    data = encoded("JPEG", (4000, 4000), progressive=True, quality=1)
    last = data.rindex(b"\xff\xda")
    scan = data[last:-2]
    short = scan[: 2 + int.from_bytes(scan[2:4], "big")] + b"\0" * 8
    (tmp_path / "a.jpg").write_bytes(data[:-2] + short * 50_000 + data[-2:])
    (problem,) = look(tmp_path, "a.jpg", "decode")
    assert problem.rule.code == "E409"
    assert "scans, which may take hours to decode" in problem.message


def test_headers_of_many_kilobytes_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded("JPEG", icc_profile=bytes(300_000), comment=b"x" * 60_000))
    (tmp_path / "b.png").write_bytes(encoded("PNG", pnginfo=long_note()))
    assert codes(tmp_path, "a.jpg", "header") == codes(tmp_path, "b.png", "header") == []


def long_note() -> PngImagePlugin.PngInfo:
    note = PngImagePlugin.PngInfo()
    note.add_text("Title", "x" * 100_000)
    return note
