"""The scans of a JPEG: a small file may be built of so many that it takes hours to decode."""

from __future__ import annotations

import re

__all__ = ["many_scans"]

_SCAN, _MOST_SCANS = b"\xff\xda", 100
_QUICK = 10**11
"""Bytes times pixels of a JPEG file that decodes within seconds, of however many scans it is made."""

_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")


def many_scans(data: bytes, form: str | None, width: int, height: int) -> int:
    """Count the scans of a JPEG file up to its end marker, where they might take long; within a scan, FF is stuffed.

    Args:
        data: The file.
        form: Its format, by Pillow's name.
        width: Pixels.
        height: Pixels.

    Returns:
        0 of any other file, and of one that takes no longer than its size lets expect.
    """
    is_quick = form not in ("JPEG", "MPO") or len(data) * width * height <= _QUICK
    if is_quick or data.count(_SCAN) <= _MOST_SCANS:
        return 0
    at = scans = 0
    while found := _MARKER.search(data, at):
        marker = data[found.start() : found.end()]
        if marker == b"\xff\xd9":
            break
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
        scans += marker == _SCAN
    return scans if scans > _MOST_SCANS else 0
