"""Read what an MPEG-4 video stream says of its pictures: type, time, order of showing (ISO/IEC 14496-2, 6.2).

Only headers are read, and only as far as needed; whatever is unusual or contradicts itself gives None.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["B", "Picture", "order_of_showing", "read_pictures"]

B = 2  # the coding type of a picture made from the one before and the one after: 0 I, 1 P, 2 B, 3 S

_VOP = b"\x00\x00\x01\xb6"  # start codes: a picture, the group of pictures before it, the layer's header
_GOV = b"\x00\x00\x01\xb3"
_VOL = re.compile(rb"\x00\x00\x01[\x20-\x2f]")
_RECTANGULAR = 0
_OWN_ASPECT = 15


class Picture(NamedTuple):
    """A coded picture: its type, and when it is shown, in ticks of the stream."""

    kind: int
    time: int


class _Bits:
    """Bits from the start of some bytes, the first one first; zeros behind their end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data.ljust(32, b"\0")[:32], "big")
        self._left = 256

    def take(self, count: int) -> int:
        self._left -= count
        return self._value >> self._left & (1 << count) - 1

    def ones(self) -> int:
        """Count ones up to and past the next zero; at most 32."""
        return next((count for count in range(32) if not self.take(1)), 32)


def read_pictures(packets: Iterable[bytes]) -> list[Picture] | None:
    """Return the one picture that each packet holds, in coding order.

    Returns:
        None unless every packet holds exactly one coded picture whose headers can be read.
    """
    ticks, base, before = 0, 0, 0  # ticks a second; the seconds reached, and those before the last I or P
    pictures = []
    for data in packets:
        start = data.find(_VOP)
        if start < 0 or data.find(_VOP, start + 4) >= 0:
            return None
        head = data[:start]
        if layer := _VOL.search(head):
            ticks = _ticks(head[layer.end() :])
        if (group := head.find(_GOV)) >= 0:
            base = _seconds(head[group + 4 :])
        vop = _read_vop(data[start + 4 : start + 36], ticks) if ticks else None
        if vop is None:
            return None
        kind, seconds, increment = vop
        if kind != B:
            before, base = base, base + seconds
        pictures.append(Picture(kind, (before + seconds if kind == B else base) * ticks + increment))
    return pictures


def order_of_showing(pictures: Sequence[Picture]) -> list[int] | None:
    """Return each picture's place in the order of showing (7.6.7).

    A B-picture is shown when it is decoded, any other when the next of its kind arrives.

    Returns:
        None unless every B-picture follows two others, and the times agree with the order.
    """
    order, shown, held, others = [-1] * len(pictures), 0, -1, 0
    for position, picture in enumerate(pictures):
        now = position if picture.kind == B else held
        if picture.kind != B:
            held, others = position, others + 1
        elif others < 2:
            return None
        if now >= 0:
            order[now] = shown
            shown += 1
    if held >= 0:
        order[held] = shown
    times = [picture.time for _, picture in sorted(zip(order, pictures, strict=True))]
    return order if all(first < second for first, second in pairwise(times)) else None


def _ticks(data: bytes) -> int:
    """Read a layer's header up to the ticks of a second; 0 where it is not that of plain video."""
    bits = _Bits(data)
    bits.take(9)  # random access, type
    if bits.take(1):
        bits.take(7)  # version, priority
    if bits.take(4) == _OWN_ASPECT:
        bits.take(16)
    if bits.take(1):
        bits.take(3)  # chroma, low delay
        if bits.take(1):
            bits.take(79)  # the buffer model
    plain = bits.take(2) == _RECTANGULAR and bits.take(1)
    ticks = bits.take(16)
    return ticks if plain and bits.take(1) else 0


def _seconds(data: bytes) -> int:
    """Read the time code of a group of pictures."""
    bits = _Bits(data)
    hours, minutes, _, seconds = bits.take(5), bits.take(6), bits.take(1), bits.take(6)
    return hours * 3600 + minutes * 60 + seconds


def _read_vop(data: bytes, ticks: int) -> tuple[int, int, int] | None:
    """Read a picture's type, whole seconds and ticks; None where it is "not coded" or malformed."""
    bits = _Bits(data)
    kind, seconds = bits.take(2), bits.ones()
    sound = bits.take(1)
    increment = bits.take(max(1, (ticks - 1).bit_length()))
    return (kind, seconds, increment) if sound and bits.take(1) and bits.take(1) else None
