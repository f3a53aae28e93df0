"""What the columns of a table mean: whether those that are named are there, and the question that a row asks."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from phi3v_data.convert.pictures import Question
from phi3v_data.errors import SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from phi3v_converters.csv_options import CsvOptions
    from phi3v_converters.csv_rows import Table

__all__ = ["ask", "check_answers", "check_columns"]

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_QUESTION, _ANSWER = "question", "answer"


def check_columns(table: Table, options: CsvOptions) -> None:
    """Check that a table has every column that each of its rows needs, and none that is named twice.

    Raises:
        UsageError: It lacks one, or has one twice.
    """
    for flag, column in _needed(options):
        if column not in table.columns:
            raise UsageError(f"--{flag}: {table.path} has no column {column!r}{_guess(column, table)}")
    for flag, column in (*_needed(options), *_of_answers(options)):
        if (found := table.columns.count(column)) > 1:
            raise UsageError(f"--{flag}: {table.path} has {found} columns {column!r}: rename all but one")


def check_answers(table: Table, options: CsvOptions) -> None:
    """Check that a table has the columns of answers, without which its rows can only be a test's.

    Raises:
        UsageError: It lacks one.
    """
    for flag, column in _of_answers(options):
        by_default = flag == "answer" and options.answer is None
        if column not in table.columns and not (by_default and options.answers):
            message = f"--{flag}: {table.path} has no column {column!r}, which only a test split may lack"
            raise UsageError(f"{message}{_guess(column, table)}")


def _needed(options: CsvOptions) -> Iterator[tuple[str, str]]:
    """Yield the columns that each row needs, with the flags that name them."""
    for flag in ("image", "metadata"):
        yield from ((flag, column) for column in getattr(options, flag))
    if options.prompt is None:
        yield "question", options.question or _QUESTION
    else:
        yield from (("prompt", match[1]) for match in _PLACEHOLDER.finditer(options.prompt) if match[1] is not None)
    for flag in ("group", "split_column"):
        if column := getattr(options, flag):
            yield flag, column


def _of_answers(options: CsvOptions) -> Iterator[tuple[str, str]]:
    """Yield the columns that a test need not have, with the flags that name them."""
    yield "answer", options.answer or _ANSWER
    for flag in ("answers", "label"):
        if column := getattr(options, flag):
            yield flag, column


def _guess(column: str, table: Table) -> str:
    """Return what the person may have meant, and the columns that there are, as the end of a sentence."""
    folded = {name.lower(): name for name in table.columns}
    near = difflib.get_close_matches(column.lower(), folded, n=1)
    guess = (
        f" did you mean {folded[near[0]]!r}?"
        if near
        else " is its --delimiter another?"
        if len(table.columns) == 1
        else ""
    )
    return f";{guess} it has {', '.join(map(repr, table.columns))[:400]}"


def ask(row: Mapping[str, str], options: CsvOptions, split: str) -> Question:
    """Make the question of a row of a split.

    Raises:
        SourceError: The question is empty, or the answer is, in a split other than test.
    """
    accepted = [part.strip() for part in _cell(row, options.answers).split(options.answers_delimiter)]
    accepted = [part for part in accepted if part]
    answer = _cell(row, options.answer or _ANSWER) or next(iter(accepted), None)
    if answer is None and not split.startswith("test"):
        raise SourceError("no_answer", "the row has no answer, which only a test split may lack")
    return Question(
        user=_asked(row, options),
        assistant=answer,
        answers=accepted or None,
        label=_cell(row, options.label) or None,
        metadata={column: row[column] for column in options.metadata} or None,
    )


def _cell(row: Mapping[str, str], column: str | None) -> str:
    """Return a cell, empty where there is no such column; None is no column, not the one without a name."""
    return "" if column is None else row.get(column, "")


def _asked(row: Mapping[str, str], options: CsvOptions) -> str:
    if options.prompt is None:
        asked = row[options.question or _QUESTION]
    else:
        asked = _PLACEHOLDER.sub(lambda match: match[0][0] if match[1] is None else row[match[1]], options.prompt)
    if not asked.strip():
        raise SourceError("no_question", "the row asks nothing: its question is empty")
    return asked
