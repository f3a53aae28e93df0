"""The header of a PNG file: its chunks up to the first of pixels, with their checksums (PNG 1.2, section 3)."""

from __future__ import annotations

import struct
from zlib import crc32

from phi3v_data.media.exif import exif_orientation
from phi3v_data.media.header_facts import Doubt, Header

__all__ = ["parse_png"]

_MAGIC = b"\x89PNG\r\n\x1a\n"
_MODES = {
    (1, 0): "1", (2, 0): "L", (4, 0): "L", (8, 0): "L", (16, 0): "I;16",
    (8, 2): "RGB", (16, 2): "RGB",
    (1, 3): "P", (2, 3): "P", (4, 3): "P", (8, 3): "P",
    (8, 4): "LA", (16, 4): "RGBA",
    (8, 6): "RGBA", (16, 6): "RGBA",
}  # fmt: skip
"""Pillow's modes by bits and colour type. It keeps the upper 8 of 16 bits where there is colour or alpha."""

_LENGTHS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9}
_PASSED_OVER = frozenset((b"PLTE", b"bKGD", b"hIST", b"sBIT", b"sPLT", b"tIME"))


def parse_png(head: bytes) -> tuple[Header, int]:
    """Read the header of a PNG file.

    Args:
        head: The file's first bytes.

    Returns:
        What it says, and where it ends.

    Raises:
        Doubt: It is anything but plainly sound, is animated, holds compressed notes or a colour profile, or goes on
            behind `head`.
    """
    if head[:8] != _MAGIC:
        raise Doubt
    width, height, mode, at = _read_first(head)
    transparent, exif = False, b""
    while True:
        if at + 8 > len(head):
            raise Doubt(at + 8)
        kind = head[at + 4 : at + 8]
        if kind == b"IDAT":
            orientation = exif_orientation(exif) if exif else 0
            return Header(width, height, "PNG", mode, transparent or mode in ("LA", "RGBA"), False, orientation), at + 8
        data, at = _read_chunk(head, at)
        if kind == b"tRNS":
            if mode != "P" and len(data) < 6:
                raise Doubt
            transparent = True
        elif kind == b"eXIf":
            if exif or not data:
                raise Doubt
            exif = data
        elif kind == b"tEXt":
            _check_note(data)
        elif kind not in _PASSED_OVER and _LENGTHS.get(kind) != len(data):
            raise Doubt


def _read_first(head: bytes) -> tuple[int, int, str, int]:
    if head[8:16] != b"\0\0\0\rIHDR":
        raise Doubt
    data, at = _read_chunk(head, 8)
    width, height, bits, colour, compression, filters, interlace = struct.unpack(">LLBBBBB", data)
    mode = _MODES.get((bits, colour), "")
    if not (width and height and mode) or compression or filters or interlace > 1:
        raise Doubt
    return width, height, mode, at


def _read_chunk(head: bytes, at: int) -> tuple[bytes, int]:
    """Return what a chunk holds and where it ends; its checksum is right."""
    end = at + 12 + int.from_bytes(head[at : at + 4], "big")
    if end > len(head):
        raise Doubt(end)
    if crc32(head[at + 4 : end - 4]) != int.from_bytes(head[end - 4 : end], "big"):
        raise Doubt
    return head[at + 8 : end - 4], end


def _check_note(data: bytes) -> None:
    """Leave to Pillow what may hide Exif data in text."""
    key, found, _ = data.partition(b"\0")
    if not (key and found) or key == b"exif" or key.startswith(b"Raw profile") or b"tiff:Orientation" in data:
        raise Doubt
