"""A column of 64-bit numbers that may be longer than memory: appended to while data are read, then read in blocks."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import numpy as np

from phi3v_data.validate.temporary import temporary_file, temporary_space

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["NOTHING", "Column"]

NOTHING = 0
"""Stands where a line has no such value."""

_BLOCK = 1 << 16  # numbers; half a megabyte
_IN_MEMORY = 1 << 20  # bytes


class Column:
    """Unsigned 64-bit numbers, one for each line or image, in order; those of a large dataset are on disk."""

    def __init__(self) -> None:
        self._file = temporary_file(_IN_MEMORY)
        weakref.finalize(self, self._file.close)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def extend(self, values: array[int]) -> None:
        """Append numbers.

        Raises:
            CannotRun: There is no room for them.
        """
        with temporary_space():
            self._file.seek(0, 2)
            self._file.write(values.tobytes())
        self._length += len(values)

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, NDArray[np.uint64]]]:
        """Yield the numbers of a range in blocks: the place of each block's first, and the block (uint64)."""
        stop = self._length if stop is None else min(stop, self._length)
        while start < stop:
            self._file.seek(8 * start)
            data = self._file.read(8 * min(_BLOCK, stop - start))
            yield start, np.frombuffer(data, dtype=np.uint64)
            start += len(data) // 8

    def at(self, place: int) -> int:
        """Return the number at a place."""
        return int(next(self.blocks(place, place + 1))[1][0])

    def unique(self, start: int = 0, stop: int | None = None) -> NDArray[np.uint64]:
        """Return the different numbers of a range, sorted, without `NOTHING`.

        Memory: 8 bytes for each number of the range, and up to 8 more for each different one.
        """
        ordered = self._sorted(start, stop)
        found = [
            block[np.flatnonzero(np.concatenate(([True], block[1:] != block[:-1])))]
            for block in _overlapping(ordered, overlap=0)
        ]
        values = np.concatenate(found) if found else ordered
        return values[np.concatenate(([True], values[1:] != values[:-1]))] if len(values) else values

    def repeated(self) -> NDArray[np.uint64]:
        """Return the numbers that occur more than once, each once, sorted, without `NOTHING`.

        Memory: 8 bytes for each number, and up to 4 more.
        """
        found = [np.unique(block[1:][block[1:] == block[:-1]]) for block in _overlapping(self._sorted(), overlap=1)]
        return np.unique(np.concatenate(found)) if found else np.empty(0, np.uint64)

    def _sorted(self, start: int = 0, stop: int | None = None) -> NDArray[np.uint64]:
        values = np.empty((self._length if stop is None else stop) - start, np.uint64)
        for place, block in self.blocks(start, stop):
            values[place - start : place - start + len(block)] = block
        values.sort()
        return values[np.searchsorted(values, np.uint64(NOTHING), side="right") :]


def _overlapping(values: NDArray[np.uint64], overlap: int) -> Iterator[NDArray[np.uint64]]:
    for start in range(0, len(values), _BLOCK):
        yield values[max(0, start - overlap) : start + _BLOCK]
