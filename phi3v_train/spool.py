"""Answers as they come, kept on the disk so that an evaluation which is stopped goes on with the rest."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from phi3v_train.answer import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Spool", "collect", "remove"]


class Spool:
    """The answers of one process: a file `OUT.partial-RANK`, a line each behind a line that names the evaluation.

    Args:
        out: The file that the evaluation is for.
        rank: The process.
        key: What tells the model, as it is asked, from others.
        answers: Those to begin with, by the question's key.

    Raises:
        OSError: The system refuses.
    """

    def __init__(self, out: Path, rank: int, key: str, answers: Mapping[str, Answer]) -> None:
        self._file = out.with_name(f"{out.name}.partial-{rank}").open("w", encoding="utf-8")
        self._file.write(json.dumps(key) + "\n")
        self.add(answers)

    def add(self, answers: Mapping[str, Answer]) -> None:
        """Keep answers.

        Raises:
            OSError: The system refuses.
        """
        for question, answer in answers.items():
            self._file.write(json.dumps([question, *answer]) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def collect(out: Path, key: str) -> dict[str, Answer]:
    """Return the answers that earlier processes have left of the same model, by the question's key."""
    answers: dict[str, Answer] = {}
    for path in _files(out):
        first, *lines = path.read_bytes().split(b"\n")
        if first != json.dumps(key).encode():
            continue
        for line in lines:
            with suppress(ValueError, TypeError):  # a kill may have cut the last one
                question, text, is_cut = json.loads(line)
                answers[question] = Answer(text, is_cut)
    return answers


def remove(out: Path) -> None:
    """Remove what all processes have kept."""
    for path in _files(out):
        path.unlink()


def _files(out: Path) -> Iterator[Path]:
    return out.parent.glob(f"{out.name}.partial-*")
