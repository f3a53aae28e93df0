"""How a result is shown: text like a good compiler's, or one JSON document."""

from __future__ import annotations

import json
from collections import Counter
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

import click

from phi3v_data.printable import printable
from phi3v_data.validate.rule import RULES
from phi3v_data.validate.shown import left_out, verdict, work_done, write_lines
from phi3v_schemas import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from phi3v_data.validate.result import Result
    from phi3v_schemas import Finding

__all__ = ["render_json", "render_text"]

_COLOURS = {"error": "red", "warning": "yellow"}
_REMEMBERED_HINTS = 1000
_OF_A_CODE = 10
_LONGEST_POINTER = 200


def render_text(result: Result, stream: TextIO | None = None, *, color: bool | None = None, all: bool = False) -> None:
    """Write the findings one a line, each hint once, then what there is of each code and a line that sums up.

    Of a code that a file breaks time and again, the first ten places in the file are shown, and how many more
    there are.

    Args:
        result: What `validate` returned.
        stream: Where to write; standard output by default.
        color: Whether to colour; by default where the stream is a terminal and NO_COLOR is not set.
        all: Whether to show every finding kept.
    """
    write_lines(_Text(result, everything=all).lines(), stream, color=color)


def render_json(result: Result, stream: TextIO | None = None) -> None:
    """Write the document of `validate --format json`, finding by finding, so that spooled ones stay on disk.

    Args:
        result: What `validate` returned.
        stream: Where to write; standard output by default. All it gets is ASCII.
    """
    head = {
        "schema_version": SCHEMA_VERSION,
        "files": result.files,
        "records": result.records,
        "counts": result.counts,
    }
    write_lines(_document(json.dumps(head, separators=(",", ":")), result), stream)


def _document(head: str, result: Result) -> Iterator[str]:
    yield head[:-1] + ',"findings":['
    comma = ""
    for finding in result.findings:
        text = finding.model_dump_json()
        yield comma + (text if text.isascii() else json.dumps(json.loads(text), separators=(",", ":")))
        comma = ","
    yield "]}"


class _Text:
    """The lines of one result, and what must be remembered from one to the next."""

    def __init__(self, result: Result, *, everything: bool) -> None:
        self._result = result
        self._of_a_code = len(result.findings) if everything else _OF_A_CODE
        self._shown = 0
        self._hints: set[str] = set()
        self._first: dict[str, str] = {}

    def lines(self) -> Iterator[str]:
        """Yield the whole text."""
        for _, findings in groupby(self._result.findings, key=attrgetter("file")):
            yield from self._file(findings)
        yield from self._table()
        yield from map(printable, left_out(self._result, self._shown))
        yield self._summary()

    def _file(self, findings: Iterator[Finding]) -> Iterator[str]:
        found: Counter[str] = Counter()
        for finding in findings:
            found[finding.code] += 1
            if found[finding.code] > self._of_a_code:
                continue
            self._shown += 1
            self._first.setdefault(finding.code, _place(finding))
            yield f"{click.style(_place(finding), bold=True)}: {_code(finding.code)} {printable(finding.message)}"
            yield from self._hint(finding.hint)
        kept_all = len(self._result.findings) == self._result.errors + self._result.warnings
        for code, count in found.items():
            if count > self._of_a_code:
                more = f"{'' if kept_all else 'at least '}{count - self._of_a_code:,} more"
                yield f"    … and {more} {_code(code)} in this file"

    def _hint(self, hint: str) -> Iterator[str]:
        if hint not in self._hints and len(self._hints) < _REMEMBERED_HINTS:
            self._hints.add(hint)
            yield f"    {click.style('hint:', fg='cyan')} {printable(hint)}"

    def _table(self) -> Iterator[str]:
        counts = self._result.counts
        if not counts:
            return
        yield ""
        width = max(len(RULES[code].slug) for code in counts)
        for code, count in counts.items():
            place = self._first.get(code)
            where = f"first: {place}" if place else f"found after those shown: see --select {code}"
            yield f"{count:>9,}  {_code(code)}  {RULES[code].slug:<{width}}  {where}"

    def _summary(self) -> str:
        result = self._result
        colour = "red" if result.errors else "yellow" if result.warnings else "green"
        return f"{click.style(verdict(result), fg=colour, bold=True)}: {work_done(result)}"


def _place(finding: Finding) -> str:
    pointer = finding.pointer
    if len(pointer) > _LONGEST_POINTER:
        pointer = pointer[:_LONGEST_POINTER] + "…"
    return printable(":".join(str(part) for part in (finding.file, finding.line, pointer) if part not in (None, "")))


def _code(code: str) -> str:
    return click.style(code, fg=_COLOURS[RULES[code].severity], bold=True)
