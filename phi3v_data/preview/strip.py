"""The pictures of a record side by side in one WebP file, which takes a third of what they take one by one."""

from __future__ import annotations

import io
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Strip", "make_strip"]

_WIDEST = 16_000  # pixels; WebP has room for 16,383
_LEAST = 8  # pixels of the height
_METHOD = 4
_GAP = 1


class Strip(NamedTuple):
    """Pictures side by side.

    Args:
        data: The WebP file.
        width: Pixels.
        height: Pixels.
        cells: The left edge and the width of each picture, in pixels.
    """

    data: bytes
    width: int
    height: int
    cells: list[tuple[int, int]]


def make_strip(pictures: Sequence[Image.Image], quality: int, room: int) -> Strip | None:
    """Put pictures side by side, smaller and coarser until they take no more than `room`.

    Args:
        pictures: RGB; all become as high as the highest.
        quality: That of WebP, up to 100; half of it is tried too.
        room: Bytes.

    Returns:
        The strip; None where there are no pictures, or room for none.
    """
    if not pictures or room <= 0:
        return None
    height = max(picture.height for picture in pictures)
    total = sum(picture.width * height / picture.height + _GAP for picture in pictures)
    pictures = _at_height(pictures, int(height * min(1, _WIDEST / total)))
    for tried in (quality, quality // 2):
        strip = _encode(pictures, tried)
        if len(strip.data) <= room:
            return strip
    while strip.height > _LEAST:
        scale = min(0.9, max(0.4, 0.95 * sqrt(room / len(strip.data))))
        pictures = _at_height(pictures, max(1, int(strip.height * scale)))
        strip = _encode(pictures, quality // 2)
        if len(strip.data) <= room:
            return strip
    return None


def _at_height(pictures: Sequence[Image.Image], height: int) -> list[Image.Image]:
    return [
        picture
        if picture.height == height
        else picture.resize((max(1, round(picture.width * height / picture.height)), height))
        for picture in pictures
    ]


def _encode(pictures: Sequence[Image.Image], quality: int) -> Strip:
    cells, left = [], 0
    for picture in pictures:
        cells.append((left, picture.width))
        left += picture.width + _GAP
    image = Image.new("RGB", (left - _GAP, pictures[0].height))
    for picture, (x, _) in zip(pictures, cells, strict=True):
        image.paste(picture, (x, 0))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=_METHOD)
    return Strip(buffer.getvalue(), image.width, image.height, cells)
