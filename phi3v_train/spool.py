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
        key: What tells this evaluation from others.
        answers: Those to begin with, by the number of the question.

    Raises:
        OSError: The system refuses.
    """

    def __init__(self, out: Path, rank: int, key: str, answers: Mapping[int, Answer]) -> None:
        self._file = out.with_name(f"{out.name}.partial-{rank}").open("w", encoding="utf-8")
        self._file.write(json.dumps(key) + "\n")
        self.add(answers)

    def add(self, answers: Mapping[int, Answer]) -> None:
        """Keep answers.

        Raises:
            OSError: The system refuses.
        """
        for number, answer in answers.items():
            self._file.write(json.dumps([number, *answer]) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def collect(out: Path, key: str) -> dict[int, Answer]:
    """Return the answers that earlier processes have left of the same evaluation."""
    answers: dict[int, Answer] = {}
    for path in _files(out):
        lines = path.read_bytes().split(b"\n")[:-1]  # behind the last new line is what a kill has cut
        with suppress(ValueError, TypeError):
            if lines and json.loads(lines[0]) == key:
                answers |= {number: Answer(text, is_cut) for number, text, is_cut in map(json.loads, lines[1:])}
    return answers


def remove(out: Path) -> None:
    """Remove what all processes have kept."""
    for path in _files(out):
        path.unlink()


def _files(out: Path) -> Iterator[Path]:
    return out.parent.glob(f"{out.name}.partial-*")
