"""Headers of JPEG, PNG and WebP files, several times faster than by Pillow, which has the last word on all others.

What is read here, Pillow opens, and finds the same in it; the reverse does not hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3v_data.media.header_facts import MAX_PIXELS, Doubt, Header
from phi3v_data.media.jpeg_header import parse_jpeg
from phi3v_data.media.png_header import parse_png
from phi3v_data.media.webp_header import parse_webp

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HEAD", "Header", "HeaderReader"]

HEAD = 4096
"""Bytes from which nearly every header can be told; Exif data and colour profiles may need more."""

_MOST = 1 << 20
_NONE = b"no image begins so"


class HeaderReader:
    """Reads headers; one that begins byte for byte like the one before is known already.

    An encoder writes the same header, tables and all, for pictures of one size: frames of a video, above all.
    """

    def __init__(self) -> None:
        self._beginning = _NONE
        self._header = Header(0, 0, "", "")

    def recall(self, head: bytes) -> Header | None:
        """Return the header of a file whose first bytes are those of the last one, else None."""
        return self._header if head.startswith(self._beginning) else None

    def read(self, head: bytes, size: int, read_more: Callable[[int], bytes]) -> Header | None:
        """Read a header.

        Args:
            head: The first bytes of the file, `HEAD` of them or all.
            size: Bytes of the file.
            read_more: Returns so many first bytes of the file.

        Returns:
            What it says; None where Pillow has to be asked.
        """
        while True:
            try:
                return self._parse(head, size)
            except Doubt as doubt:
                needed, known = doubt.needed, len(head)
            if not known < needed <= min(size, _MOST):
                return None
            head = read_more(min(size, max(needed + HEAD, 4 * known)))
            if len(head) <= known:  # the file was cut meanwhile
                return None

    def _parse(self, head: bytes, size: int) -> Header:
        if head.startswith(b"RIFF"):
            header, end = parse_webp(head, size), 0
        else:
            header, end = parse_png(head) if head.startswith(b"\x89") else parse_jpeg(head)
        if header.width * header.height > MAX_PIXELS:
            raise Doubt
        if end:
            self._beginning, self._header = head[:end], header
        return header
