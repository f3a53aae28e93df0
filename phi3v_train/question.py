"""A question and its images from the command line, looked at before anything is loaded."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from phi3v_data.errors import DataError, UsageError
from phi3v_data.media.checks import BadImage, check_image
from phi3v_data.validate.text import check_texts
from phi3v_schemas import Record, Turn

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["check_images", "make_record", "read_question"]


def read_question(argument: str | None) -> str:
    """Return the question: the argument, or all of stdin where it is "-", or absent and stdin is no terminal.

    Raises:
        UsageError: There is none.
    """
    if argument not in (None, "-"):
        return argument
    if sys.stdin is None or (argument is None and sys.stdin.isatty()):
        raise UsageError("there is no question: give it behind the model, or on stdin")
    return sys.stdin.buffer.read().decode(errors="surrogateescape").rstrip("\r\n")


def make_record(question: str, system: str | None, images: int) -> Record:
    """Return a record that asks a question about so many images, which it only numbers.

    Raises:
        UsageError: A text is empty or not UTF-8, or it holds an image tag or a special token of the chat.
    """
    _check_text("the question", question)
    if system is not None:
        _check_text("--system", system)
    numbers = [str(number) for number in range(1, images + 1)]
    turn = Turn(user=question, images=numbers)
    record = Record(id="question", source="generate", system=system, conversations=[turn])
    for problem in check_texts(record):
        if problem.rule.severity == "error":
            says = problem.message.replace("'user' of turn 1", "the question").replace("'system'", "--system")
            raise UsageError(f"{says}: leave it out, only the prompt around the texts has such tokens")
    return record


def check_images(paths: Iterable[Path]) -> None:
    """Check image files by their headers and ends; they may lie anywhere.

    Raises:
        DataError: One cannot be used.
    """
    for path in paths:
        try:
            check_image(str(path))
        except BadImage as error:
            raise DataError(f"--image {error}; give an image that can be opened") from None


def _check_text(name: str, text: str) -> None:
    if not text.strip():
        raise UsageError(f"{name} is empty: say something")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{name} is not UTF-8: write it in that") from None
