"""The findings of a validation, brought to the records that a page shows."""

from __future__ import annotations

from collections import defaultdict
from heapq import nsmallest
from typing import TYPE_CHECKING, Any

from xxhash import xxh3_64_intdigest

from phi3v_data.validate.rule import RULES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from phi3v_data.validate.result import Result
    from phi3v_schemas import Finding

__all__ = ["Joined", "codes_of", "join", "lines_with_findings"]

_OF_A_RECORD = 20
_GENERAL = 500
_LONGEST = 500  # characters
_REMEMBERED = 100_000


class Joined:
    """Findings, as the page is told of them.

    Attributes:
        of: Those about a record that is shown, by the name of its file and its line.
        general: Those about no record that is shown: files and folders first.
        left_out: How many of the findings that were kept are in neither.
    """

    def __init__(self) -> None:
        self.of: defaultdict[tuple[str, int | None], list[dict[str, Any]]] = defaultdict(list)
        self.general: list[dict[str, Any]] = []
        self.left_out = 0


def lines_with_findings(
    result: Result, files: Collection[str], most: int, seed: int, *, in_order: bool
) -> dict[str, list[int]]:
    """Return lines about which something was found, by the file's name, ascending.

    Args:
        result: What was found.
        files: The names of the files that count.
        most: How many lines are wanted.
        seed: Another seed draws others.
        in_order: Whether the first are taken where there are more; else they are drawn.
    """
    places = ((line, file) for file, line in _places(result, files))
    if in_order:
        taken = [place for place, _ in zip(places, range(most), strict=False)]
    else:
        key = seed % (1 << 64)
        taken = nsmallest(most, places, key=lambda place: xxh3_64_intdigest(f"{place[0]}:{place[1]}".encode(), key))
    lines: defaultdict[str, list[int]] = defaultdict(list)
    for line, file in sorted(taken):
        lines[file].append(line)
    return lines


def _places(result: Result, files: Collection[str]) -> Iterator[tuple[str, int]]:
    """Yield each place once, or again after very many others: findings may be too many to remember all."""
    seen: dict[tuple[str, int], None] = {}
    for finding in result.findings:
        if finding.line is None or finding.file not in files:
            continue
        place = (finding.file, finding.line)
        if place not in seen:
            yield place
            seen[place] = None
            if len(seen) > _REMEMBERED:
                seen.pop(next(iter(seen)))


def join(result: Result, shown: Collection[tuple[str, int]], passed_over: Collection[str]) -> Joined:
    """Bring findings to the records shown.

    Args:
        result: What was found.
        shown: File and line of each record.
        passed_over: Names of files whose findings are left out.
    """
    joined = Joined()
    others: list[dict[str, Any]] = []
    for finding in result.findings:
        place = (finding.file, finding.line)
        if place in shown:
            group, most, told = joined.of[place], _OF_A_RECORD, _of_record(finding)
        elif finding.file in passed_over:
            continue
        else:
            group, most, told = joined.general if finding.line is None else others, _GENERAL, _general(finding)
        if len(group) < most:
            group.append(told)
        else:
            joined.left_out += 1
    joined.general += others
    joined.left_out += len(joined.general[_GENERAL:])
    del joined.general[_GENERAL:]
    return joined


def _of_record(finding: Finding) -> dict[str, Any]:
    return {"pointer": _cut(finding.pointer), **_said(finding)}


def _general(finding: Finding) -> dict[str, Any]:
    return {"file": finding.file, "line": finding.line, **_said(finding)}


def _said(finding: Finding) -> dict[str, Any]:
    """Return what is said of it; its hint only where that is not the rule's own."""
    said = {"code": finding.code, "message": _cut(finding.message)}
    return said if finding.hint == RULES[finding.code].hint else {**said, "hint": _cut(finding.hint)}


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def codes_of(result: Result) -> list[dict[str, Any]]:
    """Return every code that was found, with what it means and how often it was found."""
    return [
        {
            "code": code,
            "slug": RULES[code].slug,
            "severity": RULES[code].severity,
            "hint": "" if "{" in RULES[code].hint else RULES[code].hint,  # each finding fills in its own
            "count": count,
        }
        for code, count in result.counts.items()
    ]
