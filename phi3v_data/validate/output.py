"""How a result is shown: text like a good compiler's, or one JSON document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from phi3v_data.printable import printable
from phi3v_data.validate.rule import RULES
from phi3v_schemas import SCHEMA_VERSION

if TYPE_CHECKING:
    from typing import TextIO

    from phi3v_data.validate.result import Result
    from phi3v_schemas import Finding

__all__ = ["render_json", "render_text"]

_COLOURS = {"error": "red", "warning": "yellow"}
_REMEMBERED_HINTS = 1000


def render_text(result: Result, stream: TextIO | None = None, *, color: bool | None = None) -> None:
    """Write the findings one a line, each hint once, then the counts and a line that sums up.

    Args:
        result: What `validate` returned.
        stream: Where to write; standard output by default.
        color: Whether to colour; by default where the stream is a terminal.
    """
    hints: set[str] = set()
    for finding in result.findings:
        click.echo(_finding_line(finding), file=stream, color=color)
        if finding.hint not in hints and len(hints) < _REMEMBERED_HINTS:
            hints.add(finding.hint)
            click.echo(f"    {click.style('hint:', fg='cyan')} {printable(finding.hint)}", file=stream, color=color)
    if result.counts:
        click.echo(file=stream)
    for code, count in result.counts.items():
        click.echo(f"{count:>9,}  {_code(code)}  {RULES[code].slug}", file=stream, color=color)
    if left := result.errors + result.warnings - len(result.findings):
        click.echo(f"{left:,} more are counted but not shown; --max_findings 0 shows all", file=stream)
    click.echo(_summary(result), file=stream, color=color)


def render_json(result: Result, stream: TextIO | None = None) -> None:
    """Write the document of `validate --format json`, finding by finding, so that spooled ones stay on disk.

    Args:
        result: What `validate` returned.
        stream: Where to write; standard output by default.
    """
    head = {
        "schema_version": SCHEMA_VERSION,
        "files": result.files,
        "records": result.records,
        "counts": result.counts,
    }
    click.echo(json.dumps(head, separators=(",", ":"))[:-1] + ',"findings":[', file=stream, nl=False)
    for index, finding in enumerate(result.findings):
        click.echo(("," if index else "") + finding.model_dump_json(), file=stream, nl=False)
    click.echo("]}", file=stream)


def _finding_line(finding: Finding) -> str:
    place = ":".join(str(part) for part in (finding.file, finding.line, finding.pointer) if part not in (None, ""))
    message = printable(finding.message)
    return f"{click.style(printable(place), bold=True)}: {_code(finding.code)} {message}"


def _code(code: str) -> str:
    return click.style(code, fg=_COLOURS[RULES[code].severity], bold=True)


def _summary(result: Result) -> str:
    rate = result.records / result.seconds if result.seconds else 0
    work = (
        f"{_counted(len(result.files), 'file')}, {_counted(result.records, 'record')} "
        f"in {result.seconds:.2f} s ({rate:,.0f} records/s)"
    )
    if not result.errors and not result.warnings:
        return f"{click.style('clean', fg='green', bold=True)}: {work}"
    verdict = f"{_counted(result.errors, 'error')}, {_counted(result.warnings, 'warning')}"
    return f"{click.style(verdict, fg='red' if result.errors else 'yellow', bold=True)}: {work}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
