"""What batches take, held against every batch there is; and the histogram they are computed from."""

from __future__ import annotations

import random
from itertools import combinations
from math import ceil

import numpy as np
import pytest

from phi3v_data.stats.batches import SIZES, batches_of, expected_longest, fit
from phi3v_data.stats.histogram import Histogram


def counted(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


VALUES = [30, 5, 5, 80, 12, 12, 12, 41, 7, 30, 30, 2]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 11, 12])
def test_the_expected_longest_is_the_mean_of_all_batches(size: int) -> None:
    every = [max(batch) for batch in combinations(VALUES, size)]
    assert expected_longest(*counted(VALUES).cumulative(), size) == pytest.approx(np.mean(every))


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_the_figures_of_a_batch(size: int) -> None:
    batch = next(batch for batch in batches_of(counted(VALUES)) if batch.records == size)
    every = sorted(combinations(VALUES, size), key=max)
    tokens = [size * max(one) for one in every]
    assert batch.expected == pytest.approx(np.mean(tokens))
    assert batch.p99 == tokens[ceil(0.99 * len(tokens)) - 1]
    assert batch.worst == size * 80
    assert batch.padding == pytest.approx(1 - sum(map(sum, every)) / sum(tokens), abs=1e-12)


def test_only_batches_that_the_records_suffice_for_are_told() -> None:
    assert [batch.records for batch in batches_of(counted(VALUES))] == [1, 2, 4, 8]
    assert [batch.records for batch in batches_of(counted([7] * 100))] == list(SIZES)
    assert batches_of(Histogram()) == []


def test_how_many_records_fit() -> None:
    assert fit(counted([100] * 50), 1050) == (10, 10)
    assert fit(counted([100] * 50), 99) == (0, 0)
    assert fit(counted([100] * 50), 10**9) == (50, 50)
    assert fit(counted([1] * 5000), 10**9) == (1024, 1024)
    assert fit(Histogram(), 1000) == (0, 0)
    rare = counted([100] * 9_999 + [5000])
    assert fit(rare, 5000) == (1, 50)
    assert fit(rare, 20_000) == (4, 100)  # of batches of 101 more than 1 in 100 holds the long one
    assert fit(counted([10, 2000]), 1000) == (0, 0)


def test_fit_is_where_the_table_crosses_the_limit() -> None:
    draw = random.Random(0)
    tokens = counted([int(draw.lognormvariate(6, 1)) for _ in range(500)])
    for batch in batches_of(tokens):
        assert fit(tokens, batch.p99).p99 >= batch.records > fit(tokens, batch.p99 - 1).p99
        assert fit(tokens, batch.worst).always >= batch.records > fit(tokens, batch.worst - 1).always


def test_quantiles_are_values_that_occur() -> None:
    histogram = counted(list(range(1, 101)))
    assert [histogram.quantile(share) for share in (0, 0.05, 0.5, 0.95, 0.99, 1)] == [1, 5, 50, 95, 99, 100]
    assert counted([3]).quantile(0.99) == 3
    assert Histogram().quantile(0.5) is None
    assert (Histogram().mean, Histogram().least, Histogram().most) == (None, None, None)


@pytest.mark.parametrize("most", [3, 10, 40])
def test_bins_hold_every_value_once(most: int) -> None:
    draw = random.Random(most)
    for spread in (1, 7, 100, 5000, 200_000, 10**9):
        values = [draw.randint(0, spread) for _ in range(300)] + [draw.randint(0, 9) for _ in range(200)]
        bins = counted(values).bins(most)
        assert 1 <= len(bins) <= most
        assert [item.low for item in bins[1:]] == [item.high + 1 for item in bins[:-1]]
        assert bins[0].low <= min(values) <= max(values) <= bins[-1].high
        if spread <= 5000:
            assert [item.number for item in bins] == [
                sum(item.low <= value <= item.high for value in values) for item in bins
            ]
        assert sum(item.number for item in bins) == len(values)
    assert Histogram().bins(most) == []


def test_few_far_values_do_not_widen_the_bins() -> None:
    bins = counted([*range(1000, 2000), 90_000]).bins(12)
    assert [(item.low, item.high) for item in bins[:2]] == [(1000, 1099), (1100, 1199)]
    assert bins[-1] == (2000, 90_000, 1)
    assert counted([8] * 10).bins(12) == [(8, 8, 10)]


def test_large_values_take_bounded_memory_and_keep_total_and_most() -> None:
    draw = random.Random(2)
    values = [draw.randint(0, 10**12) for _ in range(20_000)] + [draw.randint(0, 10**7) for _ in range(20_000)]
    histogram, other = counted(values[:25_000]), counted(values[25_000:])
    histogram.merge(other)
    assert (len(histogram), histogram.total, histogram.most) == (40_000, sum(values), max(values))
    assert len(histogram.counts) < 40_000 - 15_000
    assert histogram.quantile(0.25) == pytest.approx(sorted(values)[9_999], abs=1024)
    single = counted([131_073])
    assert (single.least, single.most, single.bins(5)) == (131_073, 131_073, [(131_073, 131_073, 1)])
