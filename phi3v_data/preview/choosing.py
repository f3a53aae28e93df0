"""Which records a page shows: all, or a sample that keeps the proportions of splits and classes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from phi3v_data.classes import MOST_CLASSES, RECORDS_A_CLASS
from phi3v_data.preview.scan import CANDIDATE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from phi3v_data.preview.scan import Scanned

    Stratum = tuple[int, str | None]

__all__ = ["Place", "Strata"]

_SPARE = 32
_HELD = 1 << 16


class Place(NamedTuple):
    """Where a record is: the number of its file, its line from 1, and the key that finds it there."""

    file: int
    line: int
    key: int


class Strata:
    """Candidates by split and class, no more of them than may be chosen in the end.

    A stratum keeps twice the share that it has by now of all that are chosen, and a few. What is chosen of it later
    are those of the smallest priorities, and of those that have come by now no more than that: its later share of
    them is smaller on average, and chance does not double it.

    Args:
        limit: The most records that are chosen.
    """

    def __init__(self, limit: int) -> None:
        self.counts: Counter[Stratum] = Counter()
        self._limit = limit
        self._has_classes = True
        self._answers: set[str] = set()
        self._held: dict[Stratum, list[NDArray[np.void]]] = {}
        self._number = 0
        self._most = _HELD

    @property
    def records(self) -> int:
        """How many records have come, those too that are none but lines that hold something."""
        return self.counts.total()

    @property
    def held(self) -> int:
        """How many candidates are in memory."""
        return self._number

    def add(self, split: int, scanned: Scanned, lines_before: int) -> None:
        """Add the candidates of a piece."""
        if self._has_classes and not (scanned.has_classes and self._are_few(scanned)):
            self._drop_classes()
        for answer, candidates in scanned.strata.items():
            candidates["line"] += lines_before
            stratum = (split, answer if self._has_classes else None)
            self._held.setdefault(stratum, []).append(candidates)
            self.counts[stratum] += len(candidates)
            self._number += len(candidates)
        if self._number > self._most:
            self._compact()

    def end(self) -> dict[str, int]:
        """Return the classes with their records, the most frequent first; none where answers are too varied."""
        classes: Counter[str] = Counter()
        for (_, answer), count in self.counts.items():
            if answer is not None:
                classes[answer] += count
        if classes.total() < RECORDS_A_CLASS * len(classes):
            self._drop_classes()
            return {}
        return dict(sorted(classes.items(), key=lambda item: (-item[1], item[0])))

    def of_split(self, split: int) -> int:
        """Return the records of a split."""
        return sum(count for (of, _), count in self.counts.items() if of == split)

    def choose(self, first: Iterable[Place]) -> list[Place]:
        """Choose records, in the order of the dataset.

        Args:
            first: Those that are chosen in any case, no more than the limit.
        """
        chosen = {(place.file, place.line): place for place in first}
        for row in self._all() if self.records <= self._limit else self._sample(set(chosen)):
            chosen.setdefault((int(row["file"]), int(row["line"])), Place(*(int(row[name]) for name in Place._fields)))
        return [chosen[at] for at in sorted(chosen)]

    def _sample(self, without: set[tuple[int, int]]) -> list[np.void]:
        """Return candidates besides those chosen: each stratum's share, and the next best where one has too few."""
        number = self._limit - len(without)
        quotas = _quotas(self.counts, number)
        taken, left = [], []
        for stratum, pieces in self._held.items():
            rows = np.sort(np.concatenate(pieces), order=("priority", "file", "line"))
            free = [row for row in rows if (int(row["file"]), int(row["line"])) not in without]
            taken += free[: quotas[stratum]]
            left += free[quotas[stratum] :]
        left.sort(key=lambda row: (int(row["priority"]), int(row["file"]), int(row["line"])))
        return taken + left[: number - len(taken)]

    def _all(self) -> Iterable[np.void]:
        pieces = [piece for pieces in self._held.values() for piece in pieces]
        return np.concatenate(pieces) if pieces else np.empty(0, CANDIDATE)

    def _are_few(self, scanned: Scanned) -> bool:
        self._answers.update(answer for answer in scanned.strata if answer is not None)
        return len(self._answers) <= MOST_CLASSES

    def _drop_classes(self) -> None:
        """Make one stratum of all that a split has."""
        self._has_classes = False
        held, counts = self._held, self.counts
        self._held, self.counts = {}, Counter()
        for (split, answer), pieces in held.items():
            self._held.setdefault((split, None), []).extend(pieces)
            self.counts[split, None] += counts[split, answer]

    def _compact(self) -> None:
        """Forget the candidates that will not be chosen."""
        self._number = 0
        for stratum, pieces in self._held.items():
            rows = np.concatenate(pieces)
            share = 2 * -(-self._limit * self.counts[stratum] // self.records) + _SPARE
            if len(rows) > share:
                rows = rows[np.argpartition(rows["priority"], share)[:share]]
            self._held[stratum] = [rows]
            self._number += len(rows)
        self._most = 2 * self._number + _HELD


def _quotas(counts: Counter[Stratum], number: int) -> Counter[Stratum]:
    """Divide a number in proportion (largest remainders first), so that every split has one if there are enough."""
    total = counts.total()
    quotas = Counter({stratum: number * count // total for stratum, count in counts.items()})
    by_rest = sorted(counts, key=lambda stratum: -(number * counts[stratum] % total))  # stable: in order where equal
    quotas.update(by_rest[: number - quotas.total()])
    for split in dict.fromkeys(split for split, _ in counts):
        own = [stratum for stratum in counts if stratum[0] == split]
        richest = max(quotas, key=lambda stratum: quotas[stratum])
        if not any(quotas[stratum] for stratum in own) and quotas[richest] > 1:
            quotas[richest] -= 1
            quotas[max(own, key=lambda stratum: counts[stratum])] += 1
    return quotas
