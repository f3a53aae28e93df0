"""A piece of a dataset, as large as one task, and what can be found in it by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.validate.checks import Checks
    from phi3v_data.validate.facts import PieceFacts
    from phi3v_data.validate.rule import Problem, Rule

__all__ = ["Outcome", "Piece", "Setting"]


@dataclass(frozen=True)
class Setting:
    """What is common to all pieces of a dataset.

    Args:
        checks: How closely to look.
        images: The images folder.
        compare: Whether to note what records are compared by.
        compare_images: Whether to note what images are compared by.
        compare_pictures: Whether to note what they look like, too.
    """

    checks: Checks
    images: Path
    compare: bool
    compare_images: bool
    compare_pictures: bool


@dataclass(frozen=True)
class Piece:
    """Some lines of a file, or a whole shard.

    Args:
        setting: How they are checked.
        path: The file.
        start: Byte at which the first line begins.
        size: Bytes.
        is_shard: Whether it is a whole shard.
        room: How many problems are worth keeping; None for all.
    """

    setting: Setting
    path: Path
    start: int
    size: int
    is_shard: bool
    room: int | None


@dataclass
class Outcome:
    """What was found in a piece.

    Args:
        facts: What is noted of its records.
        problems: Line from 1, counted within the piece, or None for the whole file; and the problem.
        uncounted: How often each rule is broken besides.
        lines: Its lines, or records of a shard.
        records: Those of them that hold something.
        sound: Those of them that are records of the format.
        images: Images looked at.
        needs_folder: Whether a record needs the images folder, which is not there.
    """

    facts: PieceFacts
    problems: list[tuple[int | None, Problem]] = field(default_factory=list)
    uncounted: dict[type[Rule], int] = field(default_factory=dict)
    lines: int = 0
    records: int = 0
    sound: int = 0
    images: int = 0
    needs_folder: bool = False
