"""What a look at an image has shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from xxhash import xxh3_64_intdigest

if TYPE_CHECKING:
    from phi3v_data.validate.rule import Rule

__all__ = ["TAIL", "UNSEEN", "Look", "fingerprint"]

TAIL = 1024
"""Bytes of an image's end that are read; behind as many of its beginning as hold the header."""


class Look(NamedTuple):
    """What a look at an image has shown.

    Args:
        faults: The rules that it breaks, each with the end of a sentence about the image.
        width: Pixels, as stored; 0 where it is not known.
        height: Likewise.
        fingerprint: 64 bits of a hash of its size in bytes, its beginning and its end; 0 where it was not read.
        likeness: 64 bits that are much the same for pictures that look alike; None where it was not decoded.
    """

    faults: tuple[tuple[type[Rule], str], ...] = ()
    width: int = 0
    height: int = 0
    fingerprint: int = 0
    likeness: int | None = None


UNSEEN = Look()
"""Of an image that was not looked at, or of which only that it is there was asked."""


def fingerprint(head: bytes, tail: bytes, size: int) -> int:
    """Return 64 bits (XXH3) that tell an image's bytes from others', though not all are read; never 0."""
    return xxh3_64_intdigest(head + tail, size) or 1
