"""The end marker of an image file, which tells that the file was not cut short; nothing is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["END_MARKERS", "is_whole"]

END_MARKERS = {"JPEG": b"\xff\xd9", "PNG": b"\x00\x00\x00\x00IEND\xaeB`\x82"}
"""How a file of a format ends where nothing follows the image."""

_MOST_FILL = 4096  # bytes of FF before markers: no camera writes more than a few, a bomb may
_JPEG_SCAN = 0xDA
_BLOCK = 1 << 20


def is_whole(file: BinaryIO, image_format: str, size: int) -> bool:
    """Return whether the file reaches its format's end; formats without an end marker always do."""
    if image_format in ("JPEG", "MPO"):
        return _ends_with(file, END_MARKERS["JPEG"], size) or _jpeg_has_end(file)
    if image_format == "PNG":
        return _ends_with(file, END_MARKERS["PNG"], size) or _png_has_end(file, size)
    if image_format == "WEBP":
        file.seek(4)
        return int.from_bytes(file.read(4), "little") + 8 <= size
    return True


def _ends_with(file: BinaryIO, marker: bytes, size: int) -> bool:
    file.seek(max(0, size - len(marker)))
    return file.read() == marker


def _jpeg_has_end(file: BinaryIO) -> bool:
    """Look for the end marker behind the first scan: phones append videos, and thumbnails have ends too.

    Within a scan the byte FF is always stuffed (ITU-T T.81, B.1.1.5), so the two bytes mean the end there.
    """
    position, filled = 2, 0
    while True:
        file.seek(position)
        marker = file.read(4)
        if len(marker) < 4 or marker[0] != 0xFF:
            return False
        if marker[1] == 0xFF:  # a fill byte before a marker
            position, filled = position + 1, filled + 1
            if filled > _MOST_FILL:
                return False
            continue
        if marker[1] == _JPEG_SCAN:
            return _contains(file, END_MARKERS["JPEG"])
        position += 2 + int.from_bytes(marker[2:], "big")


def _contains(file: BinaryIO, wanted: bytes) -> bool:
    kept = b""
    while block := file.read(_BLOCK):
        if wanted in kept + block:
            return True
        kept = block[-(len(wanted) - 1) :]
    return False


def _png_has_end(file: BinaryIO, size: int) -> bool:
    """Walk the chunks (length, type, data, checksum; PNG 1.2, 3.2) to the last, whatever follows it."""
    position = 8
    while True:
        file.seek(position)
        head = file.read(8)
        position += 12 + int.from_bytes(head[:4], "big")
        if len(head) < 8 or position > size or not head[4:].isalpha():
            return False
        if head[4:] == b"IEND":
            return True
