"""Read what an MPEG-4 video stream says of its pictures: type, time, order of showing (ISO/IEC 14496-2, 6.2).

Only headers are read, and only as far as needed; whatever is unusual or contradicts itself gives None.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["B", "Picture", "order_of_showing", "read_pictures"]

B = 2  # the coding type of a picture made from the one before and the one after: 0 I, 1 P, 2 B, 3 S

_VOP = b"\x00\x00\x01\xb6"  # start codes: a picture, the group of pictures before it, the layer's header
_GOV = b"\x00\x00\x01\xb3"
_VOL = re.compile(rb"\x00\x00\x01[\x20-\x2f]")
_PACKED = re.compile(rb"DivX\d+(?:Build|b)\d+p")  # in the user data of a stream that packs pictures
_RECTANGULAR = 0
_OWN_ASPECT = 15
_MOST_SECONDS = 30  # between two pictures
_SMALL = 19  # bytes; libav takes no larger packet for an empty one


class Picture(NamedTuple):
    """A picture: its type, when it is shown, in ticks of the stream, whether it holds anything, and its size."""

    kind: int
    time: int
    coded: bool
    size: int


def read_pictures(packets: Sequence[bytes]) -> list[Picture] | None:
    """Read the headers of all coded pictures, in coding order.

    XviD and DivX may pack the first of a run of B-pictures behind the picture that the run is shown before. An empty
    picture, "not coded", then stands behind the run, so that there are as many packets as pictures.

    Returns:
        None unless every packet holds one coded picture, but for such pairs, where the stream announces them, and the
        empty packet that each one owes; the last may owe it still.
    """
    clock, owed, pairs = _Clock(), False, False
    pictures: list[Picture] = []
    for packet in packets:
        first = packet.find(_VOP)
        second = packet.find(_VOP, first + 4)
        picture = clock.read(packet, first, second if second >= 0 else len(packet))
        if picture is None:
            return None
        if owed and len(packet) <= _SMALL:
            if picture.coded:
                return None  # libav would take it for the empty one
            owed = False
            continue
        if not picture.coded or (owed and picture.kind != B):
            return None
        pictures.append(picture)
        if second >= 0:
            behind = clock.read(packet[second:], 0, len(packet) - second)
            is_pair = picture.kind != B and behind and behind.kind == B and behind.coded
            if owed or not is_pair or behind is None or packet.find(_VOP, second + 4) >= 0:
                return None
            pictures.append(behind)
            owed = pairs = True
    return pictures if not pairs or _PACKED.search(packets[0]) else None


def order_of_showing(pictures: Sequence[Picture]) -> list[int] | None:
    """Return each picture's place in the order of showing (7.6.7).

    A B-picture is shown when it is decoded, any other when the next of its kind arrives.

    Returns:
        None unless every B-picture follows two others and the times grow by equal steps in that order: a lost
        picture leaves a gap, and what a decoder then makes of its neighbours cannot be foretold. Only before the
        last one there may be a gap: cutting a stream often leaves out the B-pictures there.
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
    steps = [second - first for first, second in pairwise(times)]
    return order if min(steps, default=0) > 0 and len(set(steps[:-1])) <= 1 else None


class _Clock:
    """Reads pictures one after the other; a picture's time counts from what came before it."""

    def __init__(self) -> None:
        self._ticks = 0  # in a second
        self._width = 1  # bits that hold a number of ticks
        self._base = self._before = 0  # the seconds reached, and those reached before the last I or P

    def read(self, packet: bytes, start: int, stop: int) -> Picture | None:
        """Read the picture whose start code is at `start`, and the headers before it; None where malformed."""
        if start > 0:
            self._read_head(packet[:start])
        bits = int.from_bytes(packet[start + 4 : start + 12].ljust(8, b"\0"), "big")
        kind, left, seconds = bits >> 62, 61, 0
        while bits >> left & 1 and seconds < _MOST_SECONDS:
            seconds, left = seconds + 1, left - 1
        left -= 3 + self._width  # past the zero and the ticks between two markers
        tail = bits >> left
        if start < 0 or not self._ticks or not tail & 2 or not tail >> self._width & 4:
            return None
        increment = tail >> 2 & (1 << self._width) - 1
        if kind != B:
            self._before, self._base = self._base, self._base + seconds
        whole = self._before + seconds if kind == B else self._base
        return Picture(kind, whole * self._ticks + increment, bool(tail & 1), stop)

    def _read_head(self, head: bytes) -> None:
        if layer := _VOL.search(head):
            self._ticks = _ticks(head[layer.end() :])
            self._width = max(1, (self._ticks - 1).bit_length())
        if (group := head.find(_GOV)) >= 0:
            bits = _Bits(head[group + 4 :])
            hours, minutes, _, seconds = bits.take(5), bits.take(6), bits.take(1), bits.take(6)
            self._base = hours * 3600 + minutes * 60 + seconds


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


class _Bits:
    """Bits from the start of some bytes, the first one first; zeros behind their end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data.ljust(32, b"\0")[:32], "big")
        self._left = 256

    def take(self, count: int) -> int:
        self._left -= count
        return self._value >> self._left & (1 << count) - 1
