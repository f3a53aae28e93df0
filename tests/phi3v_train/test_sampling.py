"""The order of an epoch, and that accelerate leaves it as it is on every process, in every epoch and after a resume."""

from __future__ import annotations

import tracemalloc
from itertools import chain, pairwise
from typing import Any

import numpy as np
import pytest
from accelerate.data_loader import prepare_data_loader, skip_first_batches
from torch.utils.data import DataLoader

from phi3v_train.collate import Failure
from phi3v_train.sampling import EpochSampler, EvenData, tell_epochs


def order(sampler: EpochSampler, epoch: int = 0) -> list[int]:
    sampler.set_epoch(epoch)
    return list(sampler)


class TestWithoutWeights:
    def test_each_epoch_is_every_record_once_in_an_order_of_its_own(self) -> None:
        sampler = EpochSampler([700, 300], seed=3)
        epochs = [order(sampler, epoch) for epoch in range(3)]
        assert all(sorted(epoch) == list(range(1000)) for epoch in epochs)
        assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
        assert epochs[0] != list(range(1000))

    def test_seed_and_epoch_alone_decide(self) -> None:
        sampler = EpochSampler([10], seed=0)
        later = order(sampler, 1)
        # Runs go on from checkpoints: what stands here must never change.
        assert order(sampler, 0) == [4, 6, 2, 7, 3, 5, 9, 0, 8, 1]
        assert order(EpochSampler([5, 5], seed=0), 1) == later
        assert order(EpochSampler([10], seed=1), 0) != order(sampler, 0)

    def test_a_large_epoch_takes_few_bytes_a_record(self) -> None:
        sampler = EpochSampler([1_000_000], seed=0)
        tracemalloc.start()
        total = sum(sampler)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert total == 499_999_500_000
        assert peak < 8_000_000


class TestWeights:
    def test_an_epoch_is_divided_by_weight(self) -> None:
        drawn = order(EpochSampler([10, 90], [2, 1], seed=0))
        assert len(drawn) == len(EpochSampler([10, 90], [2, 1], seed=0)) == 100
        assert sum(index < 10 for index in drawn) == 67
        assert max(drawn) < 100

    def test_the_largest_remainders_get_what_is_left(self) -> None:
        drawn = order(EpochSampler([4, 3, 3], [1, 1, 1.2], seed=0))  # shares of 3.125, 3.125 and 3.75
        counts = np.bincount(np.digitize(drawn, [4, 7]))
        assert counts.tolist() == [3, 3, 4]

    def test_a_record_comes_again_only_after_all_of_its_dataset(self) -> None:
        drawn = order(EpochSampler([10, 90], [2, 1], seed=0))
        small = [index for index in drawn if index < 10]
        passes = [small[start : start + 10] for start in range(0, 60, 10)]
        assert all(sorted(one) == list(range(10)) for one in passes)
        assert len(set(map(tuple, passes))) == 6
        assert len(set(small[60:])) == 7
        large = [index for index in drawn if index >= 10]
        assert len(set(large)) == len(large) == 33

    def test_datasets_are_mixed(self) -> None:
        owners = [index < 500 for index in order(EpochSampler([500, 500], [1, 1], seed=0))]
        changes = sum(before != after for before, after in pairwise(owners))
        assert 400 < changes < 600


class TestByLength:
    lengths = np.random.default_rng(0).integers(10, 10_000, 5003).astype(np.uint32)

    def sampler(self, **options: Any) -> EpochSampler:
        return EpochSampler([3003, 2000], seed=0, lengths=self.lengths, batch_size=8, **options)

    def test_every_record_comes_once(self) -> None:
        assert sorted(order(self.sampler())) == list(range(5003))

    @pytest.mark.parametrize("weights", [(), (3, 1)])
    def test_batches_are_alike_and_the_longest_comes_first(self, weights: tuple[float, ...]) -> None:
        drawn = order(self.sampler(weights=weights))
        batches = self.lengths[drawn[:5000]].reshape(-1, 8)
        spread = (batches.max(axis=1) - batches.min(axis=1)).mean()
        assert spread < 300  # of 10,000; about 7,800 by chance
        assert batches[0].max() == batches.max()

    def test_long_and_short_batches_alternate_by_chance(self) -> None:
        first, second = (self.lengths[order(self.sampler(), epoch)[:5000]].reshape(-1, 8)[:, 0] for epoch in (0, 1))
        assert not np.array_equal(first, second)
        steps = np.diff(first.astype(int))
        assert 0.4 < (steps > 0).mean() < 0.6

    def test_fewer_records_than_a_batch(self) -> None:
        sampler = EpochSampler([3], seed=0, lengths=np.array([5, 9, 7], np.uint32), batch_size=8)
        assert order(sampler) == [1, 2, 0]


@pytest.mark.parametrize("processes", [1, 2, 3])
class TestWithAccelerate:
    """Through accelerate's own loaders, as transformers uses them."""

    records, batch_size = 53, 4

    def loader(self, processes: int, rank: int) -> Any:
        sampler = EpochSampler([self.records], seed=5)
        loader = DataLoader(range(self.records), batch_size=self.batch_size, sampler=sampler)
        prepared = prepare_data_loader(
            loader, num_processes=processes, process_index=rank, rng_types=["generator"], use_seedable_sampler=True
        )
        tell_epochs(prepared, sampler)
        return prepared

    def batches(self, loader: Any, epoch: int) -> list[list[int]]:
        loader.set_epoch(epoch)
        return [batch.tolist() for batch in loader]

    def expected(self, processes: int, epoch: int) -> list[list[int]]:
        """The batches that are dealt out; the last round is filled up from the beginning."""
        drawn = order(EpochSampler([self.records], seed=5), epoch)
        rounds = -(-self.records // (self.batch_size * processes))
        drawn += drawn[: rounds * self.batch_size * processes - self.records] if processes > 1 else []
        return [drawn[start : start + self.batch_size] for start in range(0, len(drawn), self.batch_size)]

    def test_processes_share_each_epoch(self, processes: int) -> None:
        loaders = [self.loader(processes, rank) for rank in range(processes)]
        for epoch in range(3):
            dealt = [self.batches(loader, epoch) for loader in loaders]
            assert list(chain(*zip(*dealt, strict=True))) == self.expected(processes, epoch)

    def test_a_resume_goes_on_in_the_middle_of_a_later_epoch(self, processes: int) -> None:
        for rank in range(processes):
            loader = self.loader(processes, rank)
            resumed = self.batches(skip_first_batches(loader, 2), 1)
            assert resumed == self.expected(processes, 1)[rank::processes][2:]
            assert self.batches(loader, 2) == self.expected(processes, 2)[rank::processes]


class TestEvenData:
    def test_what_is_added_teaches_nothing(self) -> None:
        data = [{"input_ids": [7, 8, 9], "labels": [-100, 8, 9], "record": "a"}, {"input_ids": [1], "labels": [1]}]
        even = EvenData(data, 4)  # type: ignore[arg-type]
        assert len(even) == 4
        assert [even[index] for index in (0, 1)] == data
        assert even[2] == even[3] == {**data[0], "labels": [-100, -100, -100]}
        assert data[0]["labels"] == [-100, 8, 9]

    def test_nothing_is_added_where_it_is_even(self) -> None:
        assert len(EvenData([{}] * 6, 3)) == 6  # type: ignore[list-item, arg-type]

    def test_a_failure_stays_one(self) -> None:
        assert EvenData([Failure("no")], 2)[1] == Failure("no")  # type: ignore[arg-type]


def test_an_epoch_is_lengthened_by_fillers_and_not_by_records() -> None:
    sampler = EpochSampler([3, 2], [1, 3], seed=0, multiple=4)
    order = list(sampler)
    assert len(order) == len(sampler) == 8
    assert max(order[:5]) < 5 and order[5:] == [5, 6, 7]
    assert list(EpochSampler([4], seed=0, multiple=2)) == list(EpochSampler([4], seed=0))
