"""Values that occur in several splits of a dataset: where, and whether they are equal and not only their hashes."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from phi3v_data.validate.columns import Column
    from phi3v_data.validate.facts import DatasetFacts, Reread

__all__ = [
    "Crossings",
    "Range",
    "append",
    "confirmed",
    "find_crossings",
    "first_of_each",
    "hits",
    "homes",
    "image_ranges",
    "in_several",
    "keep_first",
    "places_at",
    "split_numbers",
]

Range = tuple[str, int, int]
"""A split, and where in a column one of its files begins and ends."""

_DIGEST = 16  # bytes
_Number = TypeVar("_Number", np.int64, np.uint64)


class Crossings(NamedTuple):
    """Values found in a later split than the one they are first in, ascending by `here`.

    Attributes:
        first: Where the value is first, as an index of the column, (n,).
        here: Where it is first in the later split, (n,).
        number: How often it is in the later split, (n,).
        left_out: How many there are besides.
    """

    first: NDArray[np.int64]
    here: NDArray[np.int64]
    number: NDArray[np.int32]
    left_out: int


_NONE = Crossings(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int32), 0)


def in_several(column: Column, ranges: Sequence[Range]) -> NDArray[np.uint64]:
    """Return the values that are in more than one split, each once, sorted.

    Memory: up to 16 bytes for each different value of a split.
    """
    of_split = _by_split(ranges)
    if len(of_split) < 2 or not len(column):
        return np.empty(0, np.uint64)
    values = np.concatenate([_different(column, parts) for parts in of_split.values()])
    values.sort()
    return np.unique(values[1:][values[1:] == values[:-1]])


def find_crossings(
    column: Column, values: NDArray[np.uint64], ranges: Sequence[Range], most: int | None = None
) -> Crossings:
    """Find where values are that are in more than one split.

    Memory: some 30 bytes for each value, and as many for each crossing kept.

    Args:
        column: The column.
        values: Its values `in_several` splits.
        ranges: What part of it belongs to which split.
        most: How many crossings are worth keeping; None for all.
    """
    first, home = homes(column, values, ranges)
    found = []
    for number, parts in enumerate(_by_split(ranges).values() if len(values) else ()):
        here, count = _of_split(column, values, parts)
        slots = np.flatnonzero((here >= 0) & (home != number))
        found.append((len(slots), _first_most(Crossings(first[slots], here[slots], count[slots], 0), most)))
    joined = Crossings(
        np.concatenate([_NONE.first, *(part.first for _, part in found)]),
        np.concatenate([_NONE.here, *(part.here for _, part in found)]),
        np.concatenate([_NONE.number, *(part.number for _, part in found)]),
        0,
    )
    kept = _first_most(joined, most)
    return kept._replace(left_out=sum(number for number, _ in found) - len(kept.here))


def homes(
    column: Column, values: NDArray[np.uint64], ranges: Sequence[Range]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return where each value is first, and the number of the split that is."""
    first = np.full(len(values), -1, np.int64)
    for places, slots in hits(column, values):
        keep_first(first, slots, places)
    file = np.searchsorted([start for _, start, _ in ranges], first, side="right") - 1
    return first, np.asarray(split_numbers(ranges), np.int32)[file]


def split_numbers(ranges: Sequence[Range]) -> list[int]:
    """Return the number of each range's split, in the order in which splits are first met."""
    numbers = {split: number for number, split in enumerate(_by_split(ranges))}
    return [numbers[split] for split, _, _ in ranges]


def confirmed(
    facts: DatasetFacts,
    crossings: Crossings,
    places: Callable[[NDArray[np.int64]], NDArray[np.int64]],
    digest_of: Callable[[Reread, int], bytes | None],
) -> Iterator[tuple[int, int, Reread]]:
    """Read the records of crossings again, in order, and pass over those that were not equal.

    Args:
        facts: The dataset.
        crossings: What was found.
        places: Returns the records' places for ascending indices of the column.
        digest_of: Returns 16 bytes that stand for the value, from a record and the index; None where it is gone.

    Yields:
        The number of the crossing, the place of the first record with the value, and the later record.
    """
    firsts, slot_of = np.unique(crossings.first, return_inverse=True)
    first_places, here_places = places(firsts), places(crossings.here)
    digests = np.zeros((len(firsts), _DIGEST), np.uint8)
    slot = number = 0
    for again in facts.read(np.union1d(first_places, here_places)):
        while slot < len(firsts) and first_places[slot] <= again.place:
            if first_places[slot] == again.place and (digest := digest_of(again, int(firsts[slot]))):
                digests[slot] = np.frombuffer(digest, np.uint8)
            slot += 1
        while number < len(here_places) and here_places[number] <= again.place:
            if here_places[number] == again.place:
                digest = digest_of(again, int(crossings.here[number]))
                if digest is not None and digest == digests[slot_of[number]].tobytes():
                    yield number, int(first_places[slot_of[number]]), again
            number += 1


def hits(
    column: Column, values: NDArray[np.uint64], start: int = 0, stop: int | None = None
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.intp]]]:
    """Yield where a column holds one of some values, block by block: the indices, and which values those are.

    Args:
        column: The column.
        values: Sorted, each once.
        start: Where to begin.
        stop: Where to end.
    """
    if not len(values):
        return
    for place, block in column.blocks(start, stop):
        slots = np.minimum(np.searchsorted(values, block), len(values) - 1)
        if len(found := np.flatnonzero(values[slots] == block)):
            yield found + place, slots[found]


def keep_first(first: NDArray[_Number], slots: NDArray[np.intp], found: NDArray[_Number], *, empty: int = -1) -> None:
    """Note what was found for values, such as their places, where nothing is noted; of several the first stays.

    Args:
        first: What is noted of each value; `empty` where nothing is.
        slots: The values at hand.
        found: What was found for each of them.
        empty: Stands for nothing.
    """
    new = np.flatnonzero(first[slots] == empty)[::-1]
    first[slots[new]] = found[new]


def first_of_each(column: Column) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Yield for each block of a column its start, and whether each of its values is there for the first time."""
    repeated = column.repeated()
    seen = np.full(len(repeated), -1, np.int64)
    for place, block in column.blocks():
        is_first = np.ones(len(block), np.bool_)
        for places, slots in hits(column, repeated, place, place + len(block)):
            keep_first(seen, slots, places)
            is_first[places - place] = seen[slots] == places
        yield place, is_first


def image_ranges(facts: DatasetFacts) -> list[Range]:
    """Return what part of the columns of images belongs to which split, file by file."""
    ranges = list(facts.ranges())
    ends = np.zeros(len(ranges), np.int64)
    for _, block in facts.image_places.blocks():
        ends += np.searchsorted(block, np.asarray([stop for _, _, stop in ranges], np.uint64))
    starts = [0, *ends[:-1].tolist()]
    return [(split, start, stop) for (split, _, _), start, stop in zip(ranges, starts, ends.tolist(), strict=True)]


def append(column: Column, values: NDArray[np.uint64]) -> None:
    """Append numbers to a column."""
    column.extend(array("Q", values.tobytes()))


def places_at(column: Column, indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers at some indices of a column."""
    return np.fromiter((column.at(index) for index in indices.tolist()), np.int64, len(indices))


def _by_split(ranges: Sequence[Range]) -> dict[str, list[tuple[int, int]]]:
    parts: dict[str, list[tuple[int, int]]] = {}
    for split, start, stop in ranges:
        parts.setdefault(split, []).append((start, stop))
    return parts


def _different(column: Column, parts: Sequence[tuple[int, int]]) -> NDArray[np.uint64]:
    found = [column.unique(start, stop) for start, stop in parts]
    return found[0] if len(found) == 1 else np.unique(np.concatenate(found))


def _of_split(
    column: Column, values: NDArray[np.uint64], parts: Sequence[tuple[int, int]]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return where a split has each value first, or -1, and how often."""
    here = np.full(len(values), -1, np.int64)
    count = np.zeros(len(values), np.int32)
    for start, stop in parts:
        for places, slots in hits(column, values, start, stop):
            keep_first(here, slots, places)
            np.add.at(count, slots, 1)
    return here, count


def _first_most(found: Crossings, most: int | None) -> Crossings:
    order = np.argsort(found.here, kind="stable")[:most]
    return Crossings(found.first[order], found.here[order], found.number[order], 0)
