"""What an image's header says, the limits of what is decoded, and a parser's doubt, which leaves an image to Pillow."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["MAX_BYTES", "MAX_PIXELS", "Doubt", "Header"]

MAX_PIXELS = 89_478_485
"""Pillow's own limit, above which it warns of a decompression bomb: a quarter of a gigabyte of RGB."""

MAX_BYTES = 1 << 28
"""Of an image file: several decoders read all of it at once, and no image within the limit of pixels is as large."""


class Header(NamedTuple):
    """What the header of an image says.

    Args:
        width: Pixels, as stored.
        height: Likewise.
        format: By Pillow's name, such as "JPEG".
        mode: Pillow's name of the kind of pixels, such as "RGB".
        has_alpha: Whether pixels may be transparent.
        is_animated: Whether more pictures follow the first.
        orientation: As the Exif data say, 1 to 8; 0 where they say nothing.
    """

    width: int
    height: int
    format: str
    mode: str
    has_alpha: bool = False
    is_animated: bool = False
    orientation: int = 0


class Doubt(Exception):
    """A header that is not plainly sound, or goes on behind the bytes at hand.

    Args:
        needed: How many bytes of the file would tell more; 0 where none would.
    """

    def __init__(self, needed: int = 0) -> None:
        super().__init__(needed)
        self.needed = needed
