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

__all__ = ["ask", "check_columns"]

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_QUESTION, _ANSWER = "question", "answer"


def check_columns(table: Table, options: CsvOptions, *, is_test: bool) -> None:
    """Check that a table has every column that is named, once; a test's need have no answers.

    Raises:
        UsageError: It lacks one, or has one twice.
    """
    for flag, column in _named(options, is_test):
        found = table.columns.count(column)
        if not found:
            raise UsageError(f"--{flag}: {table.path} has no column {column!r}{_guess(column, table)}")
        if found > 1:
            raise UsageError(f"--{flag}: {table.path} has {found} columns {column!r}: rename all but one")


def _named(options: CsvOptions, is_test: bool) -> Iterator[tuple[str, str]]:
    """Yield every column that is named, with the flag that names it."""
    for flag in ("image", "metadata"):
        yield from ((flag, column) for column in getattr(options, flag))
    if options.prompt is None:
        yield "question", options.question or _QUESTION
    else:
        yield from (("prompt", match[1]) for match in _PLACEHOLDER.finditer(options.prompt) if match[1] is not None)
    for flag in ("group", "split_column", *(() if is_test else ("answer", "answers", "label"))):
        if column := getattr(options, flag):
            yield flag, column


def _guess(column: str, table: Table) -> str:
    """Return what the person may have meant, and the columns that there are, as the end of a sentence."""
    near = difflib.get_close_matches(column, table.columns, n=1)
    guess = f" did you mean {near[0]!r}?" if near else " is its --delimiter another?" if len(table.columns) == 1 else ""
    return f";{guess} it has {', '.join(map(repr, table.columns))[:400]}"


def ask(row: Mapping[str, str], options: CsvOptions, split: str) -> Question:
    """Make the question of a row of a split.

    Raises:
        SourceError: The question is empty, or the answer is, in a split other than test.
    """
    accepted = [part.strip() for part in row.get(options.answers or "", "").split(options.answers_delimiter)]
    accepted = [part for part in accepted if part]
    answer = row.get(options.answer or _ANSWER) or next(iter(accepted), None)
    may_lack = split.startswith("test") or not (options.answers or (options.answer or _ANSWER) in row)
    if answer is None and not may_lack:
        raise SourceError("no_answer", "the row has no answer, which only a test split may lack")
    return Question(
        user=_asked(row, options),
        assistant=answer,
        answers=accepted or None,
        label=row.get(options.label or "") or None,
        metadata={column: row[column] for column in options.metadata} or None,
    )


def _asked(row: Mapping[str, str], options: CsvOptions) -> str:
    if options.prompt is None:
        asked = row[options.question or _QUESTION]
    else:
        asked = _PLACEHOLDER.sub(lambda match: match[0][0] if match[1] is None else row[match[1]], options.prompt)
    if not asked.strip():
        raise SourceError("no_question", "the row asks nothing: its question is empty")
    return asked
