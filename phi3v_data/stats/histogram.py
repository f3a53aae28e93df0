"""How often each whole number occurs: exact figures in bounded memory, however many numbers there are."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Bin", "Histogram"]

_FINE = 1 << 17
"""Up to here values are kept as they are: no sequence of the model is longer, nor a side of most kinds of image."""
_STEP = 1 << 10
_MOST = 1 << 27
_ROUND = (1, 2, 5, 10, 20, 25, 50, 100)


class Bin(NamedTuple):
    """How many values lie from `low` to `high`, both included."""

    low: int
    high: int
    number: int


class Histogram:
    """Counts whole numbers from 0.

    Number, total and most are exact whatever the values. Others over 131,072 are rounded up to whole 1,024s, and those
    over 134,217,728 are not told apart, so that no data take more than some megabytes.
    """

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        """How often each value occurs, large ones rounded."""
        self.total = 0
        """The sum of the values."""
        self._large = 0  # the most of those that were rounded

    def __len__(self) -> int:
        """Return how many values were counted."""
        return self.counts.total()

    @property
    def mean(self) -> float | None:
        """The mean; None where there is no value."""
        return self.total / len(self) if self.counts else None

    @property
    def least(self) -> int | None:
        """The least value; None where there is none."""
        return int(self.cumulative()[0][0]) if self.counts else None

    @property
    def most(self) -> int | None:
        """The greatest value; None where there is none."""
        return self._large or max(self.counts, default=None)

    def add(self, value: int) -> None:
        """Count a value."""
        self.counts[value if value <= _FINE else self._rounded(value)] += 1
        self.total += value

    def merge(self, other: Histogram) -> None:
        """Count what another has counted."""
        self.counts.update(other.counts)
        self.total += other.total
        self._large = max(self._large, other._large)

    def quantile(self, share: float) -> int | None:
        """Return the least value that this share of all values does not exceed; None where there is none."""
        if not self.counts:
            return None
        values, reached = self.cumulative()
        return int(values[np.searchsorted(reached, ceil(share * reached[-1]))])

    def cumulative(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the values in ascending order, and how many are no greater than each: two arrays, int64, (values,)."""
        ordered = sorted(self.counts.items())
        values = np.array([value for value, _ in ordered], dtype=np.int64)
        if self._large:
            values = np.minimum(values, self._large)
        return values, np.array(list(accumulate(count for _, count in ordered)), dtype=np.int64)

    def bins(self, most: int) -> list[Bin]:
        """Return bins of one round width; a last one takes all where a few values lie far from the others.

        Args:
            most: How many bins there may be, at least 3.
        """
        if (least := self.least) is None or (greatest := self.most) is None:
            return []
        is_narrow = greatest - least < most
        bulk = greatest if is_narrow else self.quantile(0.99) or 0
        width = 1 if is_narrow else _round_width((bulk - least + 1) / (most - 2))
        first, last = least // width, bulk // width
        edges = [number * width for number in range(first, last + 2)]
        if greatest >= edges[-1]:
            edges.append(greatest + 1)
        values, reached = self.cumulative()
        below = [int(reached[place - 1]) if place else 0 for place in np.searchsorted(values, edges)]
        return [
            Bin(low, high - 1, upto - before)
            for low, high, before, upto in zip(edges, edges[1:], below, below[1:], strict=False)
        ]

    def _rounded(self, value: int) -> int:
        self._large = max(self._large, value)
        return min(-(-value // _STEP) * _STEP, _MOST)


def _round_width(least: float) -> int:
    """Return the least of 1, 2, 5, 10, 20, 25, 50, 100, 200, 250 … that is no less than this."""
    power = 1
    while power * 100 < least:
        power *= 10
    return next(power * factor for factor in _ROUND if power * factor >= least)
