"""E3xx: ids, which must differ within a dataset."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from xxhash import xxh3_64_intdigest

from phi3v_data.validate.lines import BOM
from phi3v_data.validate.rule import Problem, Rule, quote
from phi3v_data.validate.schema import read_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["Duplicate", "DuplicateId", "IdIndex"]

_NO_ID = 0
_BLOCK = 1 << 20
_SECOND_SEED = 1


class DuplicateId(Rule):
    """Two records of a dataset have the same id."""

    code = "E301"
    slug = "duplicate-id"
    message = "the id {id} is already that of {first}"
    hint = "Give every record of a dataset, in all its splits, an id of its own; or remove the copy."
    bad = (
        '{"id": "a", "source": "s", "conversations": [{"user": "Hot?", "assistant": "Yes."}]}\n'
        '{"id": "a", "source": "s", "conversations": [{"user": "Cold?", "assistant": "No."}]}'
    )
    good = (
        '{"id": "a", "source": "s", "conversations": [{"user": "Hot?", "assistant": "Yes."}]}\n'
        '{"id": "b", "source": "s", "conversations": [{"user": "Cold?", "assistant": "No."}]}'
    )


class Duplicate(NamedTuple):
    """A record whose id an earlier one has."""

    file: str
    line: int
    problem: Problem


class _File(NamedTuple):
    name: str
    start: int
    reread: Callable[[], Iterator[tuple[int, bytes | None]]]


class IdIndex:
    """The ids of a dataset: 8 bytes for each line, and as many again while duplicates are looked for.

    Only a 64-bit hash of each id is kept, in the order of the lines, so that a hash's position is its place.
    Where two hashes are equal, the lines are read again.
    """

    def __init__(self) -> None:
        self._hashes: array[int] = array("Q")
        self._files: list[_File] = []

    def start_file(self, name: str, reread: Callable[[], Iterator[tuple[int, bytes | None]]]) -> None:
        """Begin a file; every line of it follows by `add` or `skip`.

        Args:
            name: The file's name in findings.
            reread: Reads it again from its beginning: the number of every line, from 1, and its bytes.
        """
        self._files.append(_File(name, len(self._hashes), reread))

    def add(self, record_id: str) -> None:
        """Note the id of the next line."""
        self._hashes.append(xxh3_64_intdigest(record_id.encode()) or 1)

    def skip(self) -> None:
        """Note that the next line has no id."""
        self._hashes.append(_NO_ID)

    def duplicates(self) -> Iterator[Duplicate]:
        """Find the records whose id an earlier record has, in the order of the lines."""
        hashes = np.frombuffer(self._hashes or array("Q", [_NO_ID]), dtype=np.uint64)
        repeated = _repeated(hashes)
        if not len(repeated):
            return
        first_place = np.full(len(repeated), -1, dtype=np.int64)
        # A second hash of the first id: together 128 bits, so that equal means equal.
        first_check = np.zeros(len(repeated), dtype=np.uint64)
        for place, record_id in self._ids_at(_places(hashes, repeated)):
            slot = int(np.searchsorted(repeated, hashes[place]))
            check = xxh3_64_intdigest(record_id.encode(), seed=_SECOND_SEED)
            if first_place[slot] < 0:
                first_place[slot], first_check[slot] = place, check
            elif int(first_check[slot]) == check:
                file, line = self._where(place)
                first = "{}:{}".format(*self._where(int(first_place[slot])))
                problem = DuplicateId.problem(pointer="/id", id=quote(record_id), first=first)
                yield Duplicate(file, line, problem)

    def _ids_at(self, places: NDArray[np.int64]) -> Iterator[tuple[int, str]]:
        """Read lines again, file by file; a line that is no record any more is passed over."""
        ends = [file.start for file in self._files[1:]] + [len(self._hashes)]
        for file, end in zip(self._files, ends, strict=True):
            low, high = np.searchsorted(places, (file.start, end))
            wanted = iter(places[low:high].tolist())
            place = next(wanted, None)
            if place is None:
                continue
            for number, data in file.reread():
                if number - 1 + file.start != place:
                    continue
                record, _ = read_record((data or b"").removeprefix(BOM))
                if record is not None:
                    yield place, record.id
                place = next(wanted, None)
                if place is None:
                    break

    def _where(self, place: int) -> tuple[str, int]:
        file = next(file for file in reversed(self._files) if file.start <= place)
        return file.name, place - file.start + 1


def _repeated(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the hashes that occur more than once, each once, sorted."""
    ordered = np.sort(hashes)
    ordered = ordered[np.searchsorted(ordered, np.uint64(_NO_ID), side="right") :]
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def _places(hashes: NDArray[np.uint64], repeated: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return where the repeated hashes stand, block by block so that no large copy is made."""
    found = [
        np.flatnonzero(np.isin(hashes[start : start + _BLOCK], repeated, assume_unique=False)) + start
        for start in range(0, len(hashes), _BLOCK)
    ]
    return np.concatenate(found).astype(np.int64)
