"""Divide a dataset into splits anew: by group, so that none crosses a split, stratified by answer, seeded."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field
from xxhash import xxh3_64_intdigest

from phi3v_data.errors import UsageError
from phi3v_data.reshape.records import RecordOptions, Reshard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from phi3v_data.convert.converter import Reject, Source
    from phi3v_schemas import Record

__all__ = ["Divide", "DivideOptions", "assign"]


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
        groups, strata = array("Q"), array("Q")
        for split in self.datasets[0].splits:
            for record in self.datasets[0].split(split):
                groups.append(_hash(_group(record), self.options.seed))
                strata.append(_hash(record.conversations[-1].assistant or "", 0) if self.options.stratify else 0)
        if not groups:
            raise UsageError(f"{self.datasets[0].path} holds no record to divide")
        fractions = list(self.options.fractions.values())
        return assign(np.asarray(groups), _without_rare(np.asarray(strata), fractions), fractions)


def _group(record: Record) -> str:
    """Return what must not cross splits: the record's group, else its first image, else itself."""
    if record.group is not None:
        return f"group {record.group}"
    return f"image {images[0]}" if (images := record.image_paths()) else f"id {record.id}"


def _hash(text: str, seed: int) -> int:
    return xxh3_64_intdigest(text.encode(), seed=seed & (2**64 - 1))


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
