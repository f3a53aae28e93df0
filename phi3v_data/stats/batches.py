"""The batches a dataset makes: how many tokens a forward pass takes when its records are padded to the longest."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from phi3v_data.stats.histogram import Histogram

__all__ = ["SIZES", "Batch", "Fit", "batches_of", "expected_longest", "fit"]

SIZES = (1, 2, 4, 8, 16, 32, 64)
"""Of the batches that are told of, in records."""

_MOST = 1024
_NEARLY_ALL = 0.99


class Batch(NamedTuple):
    """What batches of one size take, in tokens, padding included.

    Args:
        records: Records of a batch.
        expected: The mean over all batches.
        p99: What 99 of 100 batches do not exceed.
        worst: What a batch with the longest record takes.
        padding: The share of all tokens that are padding.
    """

    records: int
    expected: float
    p99: int
    worst: int
    padding: float


class Fit(NamedTuple):
    """How many records a batch may have to keep to a number of tokens: always, and in 99 of 100 batches.

    0 where a single record does not fit; 1,024, or all records there are, where more would fit too.
    """

    always: int
    p99: int


def batches_of(tokens: Histogram) -> list[Batch]:
    """Return what batches take, for each size that the records suffice for.

    Args:
        tokens: The tokens of each record.
    """
    if tokens.mean is None or tokens.most is None:
        return []
    values, reached = tokens.cumulative()
    made = []
    for size in SIZES:
        if size > reached[-1]:
            break
        longest = expected_longest(values, reached, size)
        p99 = size * _longest_of_most(values, reached, size)
        made.append(Batch(size, size * longest, p99, size * tokens.most, max(0.0, 1 - tokens.mean / longest)))
    return made


def expected_longest(values: NDArray[np.int64], reached: NDArray[np.int64], size: int) -> float:
    """Compute the expected maximum of a batch drawn at random, as the trainer draws: no record twice in an epoch.

    Of N records, n(v) have v tokens at most, so the longest of B has v at most with the probability
    P(v) = C(n(v), B) / C(N, B) = n(v)/N * (n(v)-1)/(N-1) * … in B factors, and is expected to have the sum of
    v * (P(v) - P(v-)) over all v, v- being the next smaller value. The distribution is that of the largest order
    statistic of a sample without replacement: Arnold, Balakrishnan and Nagaraja, A First Course in Order Statistics,
    chapter 3.

    Args:
        values: int64, (values,): the tokens that records have, ascending.
        reached: int64, (values,): how many records have no more than each.
        size: B, at most as many as there are records.
    """
    chances = np.ones(len(values))
    for draw in range(size):
        chances *= np.maximum(reached - draw, 0) / (reached[-1] - draw)
    return float(np.sum(values * np.diff(chances, prepend=0.0)))


def fit(tokens: Histogram, most: int) -> Fit:
    """Return how many records a batch may have.

    Args:
        tokens: The tokens of each record.
        most: Tokens that a batch may take.
    """
    if tokens.most is None:
        return Fit(0, 0)
    values, reached = tokens.cumulative()
    limit = min(_MOST, int(reached[-1]))
    always = min(limit, most // tokens.most)
    low, high = always, limit  # the tokens that most batches stay below grow with their size
    while low < high:
        middle = (low + high + 1) // 2
        if middle * _longest_of_most(values, reached, middle) <= most:
            low = middle
        else:
            high = middle - 1
    return Fit(always, low)


def _longest_of_most(values: NDArray[np.int64], reached: NDArray[np.int64], size: int) -> int:
    """Return the least value that the longest record of 99 of 100 batches does not exceed."""
    draws, records = np.arange(size), int(reached[-1])
    low, high = 0, len(values) - 1
    while low < high:
        middle = (low + high) // 2
        chance = float(np.prod(np.maximum(reached[middle] - draws, 0) / (records - draws)))
        if chance >= _NEARLY_ALL:
            high = middle
        else:
            low = middle + 1
    return int(values[low])
