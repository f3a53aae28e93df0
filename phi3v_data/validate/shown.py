"""What the ways to show a result share: the words that sum it up, and lines that any stream takes."""

from __future__ import annotations

import os
import sys
from itertools import islice
from typing import TYPE_CHECKING

import click

from phi3v_data.errors import CannotRun
from phi3v_data.printable import counted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

    from phi3v_data.validate.result import Result

__all__ = ["left_out", "verdict", "work_done", "write_lines"]

_AT_ONCE = 256  # lines; every write is flushed


def verdict(result: Result) -> str:
    """Return how many errors and warnings there are, or "clean"."""
    if not result.errors and not result.warnings:
        return "clean"
    return f"{counted(result.errors, 'error')}, {counted(result.warnings, 'warning')}"


def work_done(result: Result) -> str:
    """Return what was read, and how fast."""
    amounts = [(result.records, "record"), (result.images, "image")] if result.images else [(result.records, "record")]
    seconds = result.seconds or float("inf")
    rates = [f"{amount / seconds:,.0f} {noun}s/s" for amount, noun in amounts]
    return (
        f"{', '.join(counted(amount, noun) for amount, noun in [(len(result.files), 'file'), *amounts])} "
        f"in {result.seconds:.2f} s ({', '.join(rates)}, {result.bytes / 1e6 / seconds:,.1f} MB/s)"
    )


def left_out(result: Result, shown: int) -> list[str]:
    """Return what a person would otherwise not know is missing, a line each.

    Args:
        result: What is shown.
        shown: How many of its findings are.
    """
    hidden = result.errors + result.warnings - shown
    lines = [f"not checked: {line}" for line in result.unchecked]
    return [f"{hidden:,} more are counted but not shown; --max_findings 0 shows all", *lines] if hidden else lines


def write_lines(lines: Iterable[str], stream: TextIO | None, *, color: bool | None = None) -> None:
    """Write lines as they come; what the stream's encoding does not have is escaped.

    Args:
        lines: Each without its end.
        stream: Where to write; standard output where None.
        color: Whether colours are kept; None keeps them on a terminal, unless NO_COLOR is set.

    Raises:
        CannotRun: Standard output is closed.
    """
    stream = sys.stdout if stream is None else stream
    if stream is None:
        raise CannotRun("standard output is closed: let it lead to a terminal, a file or a pipe")
    encoding = getattr(stream, "encoding", None) or "utf-8"
    if color is None and os.environ.get("NO_COLOR"):  # https://no-color.org
        color = False
    iterator = iter(lines)
    while block := list(islice(iterator, _AT_ONCE)):
        text = "\n".join(block).encode(encoding, "backslashreplace").decode(encoding)
        click.echo(text, file=stream, color=color)
