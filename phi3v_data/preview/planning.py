"""What a page will show: the records chosen, their findings, and how much room each gets."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from phi3v_data.preview.choosing import Place, Strata
from phi3v_data.preview.findings import join, lines_with_findings
from phi3v_data.preview.scan import Scan, Search, find_keys, scan_piece
from phi3v_data.validate.target_run import PIECE_SIZE
from phi3v_data.workers import Task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from phi3v_data.preview.findings import Joined
    from phi3v_data.preview.scan import Scanned
    from phi3v_data.preview.sources import Source, Sources
    from phi3v_data.validate.result import Result
    from phi3v_data.workers import Workers

__all__ = ["Plan", "choose_records"]

_PIECE = PIECE_SIZE["none"]
_SHARE_OF_FINDINGS = 4  # one record in so many has findings, if there are


@dataclass(frozen=True)
class Plan:
    """The records of a page.

    Args:
        sources: All files.
        strata: All that was counted.
        classes: The classes with their records, the most frequent first.
        places: The records chosen, in order.
        joined: The findings; None where nothing was validated.
        faults: What could not be read, a sentence each.
    """

    sources: Sources
    strata: Strata
    classes: dict[str, int]
    places: list[Place]
    joined: Joined | None
    faults: list[str]

    def source_of(self, place: Place) -> Source:
        """Return the file that a place is in."""
        return self.sources.files[place.file]

    def findings_of(self, place: Place) -> list[dict[str, Any]]:
        """Return what was found about a place, as the page is told."""
        return [] if self.joined is None else self.joined.of.get((self.source_of(place).name, place.line), [])


def choose_records(
    sources: Sources, result: Result | None, *, most: int, seed: int, only_findings: bool, pool: Workers
) -> Plan:
    """Read all files, and choose the records to show.

    Args:
        sources: The files.
        result: What was found in them.
        most: The most records.
        seed: Another seed gives another sample.
        only_findings: Whether records with findings are taken before all others.
        pool: Reads the files.
    """
    names = {source.name: number for number, source in enumerate(sources.files)}
    wanted: dict[int, list[int]] = {}
    if result is not None:
        share = most if only_findings else most // _SHARE_OF_FINDINGS
        lines = lines_with_findings(result, names, share, seed, in_order=only_findings)
        wanted = {names[file]: numbers for file, numbers in lines.items()}
    strata, faults = Strata(most), list(sources.faults)
    searches = _scan(sources, strata, faults, wanted, seed, pool)
    classes = strata.end()
    first = _find(searches, pool) if strata.records > most or only_findings else []
    places = strata.choose(first)
    shown = {(sources.files[place.file].name, place.line) for place in places}
    joined = None if result is None else join(result, shown, sources.passed_over)
    return Plan(sources, strata, classes, places, joined, faults)


def _scan(
    sources: Sources, strata: Strata, faults: list[str], wanted: Mapping[int, list[int]], seed: int, pool: Workers
) -> list[tuple[Search, int]]:
    """Read all files into strata; return which pieces hold the lines wanted, and the lines before each piece."""
    searches: list[tuple[Search, int]] = []
    file, before = -1, 0
    for task, scanned in pool.ordered(_scans(sources, seed)):
        scan: Scan = task.argument
        if scan.file != file:
            file, before = scan.file, 0
        if searched := _between(wanted.get(file, []), before, scanned):
            searches.append((Search(scan, searched), before))
        strata.add(scan.source.split, scanned, before)
        before += scanned.lines
        if scanned.fault is not None:
            faults.append(f"{scan.source.name} {scanned.fault}")
    return searches


def _scans(sources: Sources, seed: int) -> Iterator[Task]:
    for number, source in enumerate(sources.files):
        for start, size in [(0, source.size)] if source.is_shard else _pieces(source):
            yield Task(scan_piece, Scan(source, number, start, size, seed))


def _pieces(source: Source) -> list[tuple[int, int]]:
    """Cut a file between lines; one that is gone since is one piece, whose reading tells."""
    from phi3v_data.validate.inputs import Input

    try:
        return list(Input(source.path).pieces(_PIECE))
    except OSError:
        return [(0, source.size)]


def _between(lines: list[int], before: int, scanned: Scanned) -> frozenset[int]:
    """Return which lines are in a piece, counted from 1 at its begin."""
    low, high = bisect_left(lines, before + 1), bisect_right(lines, before + scanned.lines)
    return frozenset(line - before for line in islice(lines, low, high))


def _find(searches: list[tuple[Search, int]], pool: Workers) -> list[Place]:
    places = []
    tasks = [Task(find_keys, search) for search, _ in searches]
    for (search, before), (_, keys) in zip(searches, pool.ordered(tasks), strict=True):
        places += [Place(search.scan.file, before + line, key) for line, key in sorted(keys.items())]
    return places
