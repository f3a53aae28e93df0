"""How the bytes of a page are shared out: among texts and pictures, and fairly among records."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Shares", "Wish", "level_of", "share_out"]

_TEXT = 0.4  # of a page that is full belongs to texts, and what stands around them
_LOW, _HIGH = (48, 10), (256, 50)
"""Height in pixels and quality of the pictures of a full page, and of one with room for all."""

_LOWEST = 16
_BYTES = 372  # of base64, that a picture of 4:3 takes at the lower of them: frames of videos, side by side
_GROWTH = 1.77  # power of the height with which they grow, up to the higher
_LARGEST = round(_BYTES * (_HIGH[0] / _LOW[0]) ** _GROWTH)
_FAULT = 120  # bytes that say what is wrong with an image


class Wish(NamedTuple):
    """What a record would take in full: bytes of text, with all that stands around it, and pictures."""

    text: int
    pictures: int


class Shares(NamedTuple):
    """What each record gets.

    Args:
        text: The most bytes of a record's text, with all that stands around it.
        spare: Bytes that may be added to what a picture's words take.
        picture: Bytes of base64 of a picture, on the average of some records.
        height: Pixels of a strip's height to begin with.
        quality: That of WebP, to begin with. For the same bytes a larger picture of lower quality shows more.
    """

    text: int
    spare: int
    picture: int
    height: int
    quality: int


def share_out(wishes: Sequence[Wish], room: int) -> Shares:
    """Divide the bytes of a page: all get what they wish if there is room, else texts are cut to one level."""
    texts, pictures = [wish.text for wish in wishes], sum(wish.pictures for wish in wishes)
    faults = pictures * _FAULT
    if sum(texts) + faults + pictures * _LARGEST <= room:
        return Shares(max(texts, default=0), _FAULT, (room - sum(texts) - faults) // max(1, pictures), *_HIGH)
    for_texts = max(round(room * _TEXT), room - pictures * _LARGEST)
    spare = _FAULT if sum(texts) + faults <= for_texts else 0
    for_texts = min(for_texts, sum(texts) + spare * pictures)
    picture = (room - for_texts) // max(1, pictures)
    return Shares(level_of(texts, for_texts), spare, picture, *_size_of(picture))


def _size_of(picture: int) -> tuple[int, int]:
    """Return the height and the quality at which a picture takes so many bytes on the average."""
    height = int(_LOW[0] * (picture / _BYTES) ** (1 / _GROWTH))
    height = min(_HIGH[0], max(_LOWEST, height))
    share = max(0, height - _LOW[0]) / (_HIGH[0] - _LOW[0])
    return height, round(_LOW[1] + share * (_HIGH[1] - _LOW[1]))


def level_of(sizes: Sequence[int], room: int) -> int:
    """Return the largest size to which the larger ones may be cut, so that all together take no more than `room`."""
    left = room
    ordered = sorted(sizes)
    for index, size in enumerate(ordered):
        level = left // (len(ordered) - index)
        if size > level:
            return max(0, level)
        left -= size
    return max(ordered, default=0)
