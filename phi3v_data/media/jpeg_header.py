"""The header of a JPEG file: its segments up to the first scan (ITU-T T.81, annex B), as strictly as Pillow's."""

from __future__ import annotations

import struct

from phi3v_data.media.exif import exif_orientation
from phi3v_data.media.header_facts import Doubt, Header

__all__ = ["parse_jpeg"]

_segment = struct.Struct(">BBH").unpack_from
_frame = struct.Struct(">BHHB").unpack_from
_TABLES, _SCAN, _NOTES = 0xDB, 0xDA, 0xE1
_FRAMES = (0xC0, 0xC1, 0xC2)
_PASSED_OVER = frozenset((0xC4, 0xDD, 0xFE, *range(0xE3, 0xED), 0xEF))
"""Huffman tables, restart interval, comment, and applications' segments that say nothing about the picture."""

_APPLICATIONS = (0xE0, 0xE2, 0xED, 0xEE)
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_EXIF = b"Exif\0\0"
_XMP_ORIENTATION = b"tiff:Orientation"


def parse_jpeg(head: bytes) -> tuple[Header, int]:
    """Read the header of a JPEG file.

    Args:
        head: The file's first bytes.

    Returns:
        What it says, and where it ends.

    Raises:
        Doubt: It is anything but plainly sound, or goes on behind `head`.
    """
    if head[:3] != b"\xff\xd8\xff":
        raise Doubt
    at, size, mode, exif, xmp = 2, (0, 0), "", b"", b""
    while True:
        marker, start, at = _next_segment(head, at)
        if marker in _PASSED_OVER:
            continue
        if marker == _TABLES:
            _check_tables(head[start:at])
        elif marker == _NOTES:
            exif, xmp = _read_notes(head[start:at], exif, xmp)
        elif marker in _APPLICATIONS:
            _check_application(head[start:at])
        elif marker in _FRAMES and not mode:
            size, mode = _read_frame(head[start:at])
        elif marker == _SCAN and mode:
            return Header(*size, "JPEG", mode, orientation=_orientation(exif, xmp)), at
        else:
            raise Doubt


def _next_segment(head: bytes, at: int) -> tuple[int, int, int]:
    """Return a segment's marker, where its content begins and where it ends."""
    if at + 4 > len(head):
        raise Doubt(at + 4)
    prefix, marker, length = _segment(head, at)
    end = at + 2 + length
    if prefix != 0xFF or length < 2:
        raise Doubt
    if end > len(head):
        raise Doubt(end)
    return marker, at + 4, end


def _check_tables(data: bytes) -> None:
    """Check that quantisation tables are whole."""
    at = 0
    while at < len(data):
        at += 129 if data[at] >> 4 else 65
    if at != len(data):
        raise Doubt


def _read_notes(data: bytes, exif: bytes, xmp: bytes) -> tuple[bytes, bytes]:
    if data.startswith(_EXIF):
        if exif or len(data) == len(_EXIF):
            raise Doubt
        return data[len(_EXIF) :], xmp
    return (exif, data) if _XMP_ORIENTATION in data else (exif, xmp)


def _check_application(data: bytes) -> None:
    """Leave to Pillow what it may stumble over: stumps, several pictures in one file, Photoshop's blocks."""
    if len(data) < 7 or data.startswith((b"MPF\0", b"Photoshop 3.0\0")):
        raise Doubt
    if data.startswith(b"ICC_PROFILE\0") and len(data) < 14:
        raise Doubt


def _orientation(exif: bytes, xmp: bytes) -> int:
    orientation = exif_orientation(exif) if exif else 0
    if xmp and not orientation:  # Pillow looks there too
        raise Doubt
    return orientation


def _read_frame(data: bytes) -> tuple[tuple[int, int], str]:
    if len(data) < 6:
        raise Doubt
    bits, height, width, components = _frame(data)
    mode = _MODES.get(components, "")
    if bits != 8 or not (mode and width and height) or len(data) != 6 + 3 * components:
        raise Doubt
    return (width, height), mode
