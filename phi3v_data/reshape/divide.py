"""Divide a dataset into splits anew: by group, so that none crosses a split, stratified by answer, seeded."""

from __future__ import annotations

from array import array
from itertools import chain
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field
from xxhash import xxh3_64_intdigest

from phi3v_data.errors import UsageError
from phi3v_data.formats.record_file import BadRecord
from phi3v_data.reshape.records import RecordOptions, Reshard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from phi3v_data.convert.converter import Reject, Source
    from phi3v_data.formats.record_file import Sample

__all__ = ["Divide", "DivideOptions", "assign", "tied_groups"]


class DivideOptions(RecordOptions):
    """Which dataset, into what."""

    fractions: dict[str, float] = Field(min_length=1)
    seed: int = 0
    stratify: bool = True


class Divide(Reshard[DivideOptions]):
    """The records of a dataset in other splits."""

    name: ClassVar[str] = "split"
    options_type = DivideOptions

    def sources(self) -> Mapping[str, Iterator[Source | Reject]]:
        """List every record in the split that it falls into."""
        super().sources()
        self.known_classes = {}  # whoever is where cannot be told from the counts
        places = self._assigned()
        return {split: self._of_place(place, places) for place, split in enumerate(self.options.fractions)}

    def _of_place(self, place: int, places: NDArray[np.uint8]) -> Iterator[Source]:
        listed = (source for split in self.datasets[0].splits for source in self.listed(0, split))
        yield from (source for source, its in zip(listed, places, strict=True) if its == place)

    def _assigned(self) -> NDArray[np.uint8]:
        """Return the place of each record's split among those asked for."""
        records, keys, strata = array("q"), array("Q"), array("Q")
        dataset, seed = self.datasets[0], self.options.seed
        for sample in chain.from_iterable(dataset.split(split).samples() for split in dataset.splits):
            ties, answer = _ties(sample)
            records.extend([len(strata)] * len(ties))
            keys.extend(_hash(tie, seed) for tie in ties)
            strata.append(_hash(answer, 0) if self.options.stratify else 0)
        if not strata:
            raise UsageError(f"{dataset.path} holds no record to divide")
        groups = tied_groups(np.asarray(records), np.asarray(keys), len(strata))
        fractions = list(self.options.fractions.values())
        return assign(groups, _without_rare(np.asarray(strata), fractions), fractions)


def _ties(sample: Sample) -> tuple[list[str], str]:
    """Return what ties a record to others, its group and its images, and its last answer."""
    try:
        record = sample.record()
    except BadRecord:  # it becomes a reject, wherever it falls
        return [f"place {sample.place}"], ""
    ties = [f"image {path}" for path in dict.fromkeys(record.image_paths())]
    if record.group is not None:
        ties.append(f"group {record.group}")
    return ties or [f"id {record.id}"], record.conversations[-1].assistant or ""


def _hash(text: str, seed: int) -> int:
    return xxh3_64_intdigest(text.encode(), seed=seed & (2**64 - 1))


def tied_groups(records: NDArray[np.int64], keys: NDArray[np.uint64], count: int) -> NDArray[np.uint64]:
    """Return the group of each record: records that share a key are one group, and so are those tied by others.

    Args:
        records: The number of a record for each of its keys, (ties,).
        keys: Its keys as seeded hashes, (ties,).
        count: How many records there are.

    Returns:
        The smallest key of the record's group, (count,).
    """
    names, key = np.unique(keys, return_inverse=True)
    smallest = names.copy()
    while True:
        of_record = np.full(count, np.iinfo(np.uint64).max, np.uint64)
        np.minimum.at(of_record, records, smallest[key])
        tied = smallest.copy()
        np.minimum.at(tied, key, of_record[records])
        tied = tied[np.searchsorted(names, tied)]  # the smallest of the smallest, so that long chains end soon
        if np.array_equal(tied, smallest):
            return of_record
        smallest = tied


def _without_rare(strata: NDArray[np.uint64], fractions: list[float]) -> NDArray[np.uint64]:
    """Put strata together that are too small for every split to get a record of them, such as answers given once."""
    _, member, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    least = sum(fractions) / min(fraction for fraction in fractions if fraction)
    return np.where(sizes[member] < least, np.uint64(0), strata)


def assign(groups: NDArray[np.uint64], strata: NDArray[np.uint64], fractions: list[float]) -> NDArray[np.uint8]:
    """Assign records to splits, whole groups at a time, each stratum in the proportions asked for.

    The groups of a stratum are put in the order of their hash, and cut where the records so far come to each fraction;
    a group belongs to the stratum of most of its records.

    Args:
        groups: Each record's group as a seeded hash, (records,).
        strata: Each record's stratum, (records,).
        fractions: The part of each split; they are taken in proportion to their sum.

    Returns:
        The index of each record's split, (records,).
    """
    names, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    stratum = _majority(member, strata, len(names))
    order = np.lexsort((names, stratum))
    ends = np.cumsum(sizes[order])
    first = np.r_[True, stratum[order][1:] != stratum[order][:-1]]
    starts = np.maximum.accumulate(np.where(first, ends - sizes[order], 0))
    lengths = np.diff(np.r_[starts[first], ends[-1]])[np.cumsum(first) - 1]
    middles = (ends - sizes[order] / 2 - starts) / lengths
    bounds = np.cumsum(fractions)[:-1] / sum(fractions)
    places = np.empty(len(names), np.uint8)
    places[order] = np.searchsorted(bounds, middles, side="right")
    return places[member]


def _majority(member: NDArray[np.intp], strata: NDArray[np.uint64], count: int) -> NDArray[np.uint64]:
    """Return the stratum of most records of each group, the smallest among equals."""
    pairs, tallies = np.unique(np.stack([member.astype(np.uint64), strata]), axis=1, return_counts=True)
    order = np.lexsort((pairs[1], -tallies, pairs[0]))
    owners, starts = np.unique(pairs[0][order], return_index=True)
    assert len(owners) == count
    majority: NDArray[np.uint64] = pairs[1][order][starts]
    return majority
