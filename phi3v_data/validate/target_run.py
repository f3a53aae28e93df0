"""The check of one dataset: its files cut into pieces, what is found in them put together in order, then the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from phi3v_data.formats.kinds import format_of
from phi3v_data.fs import sha256_of
from phi3v_data.image_folder import ImageFolder
from phi3v_data.printable import unicode_of
from phi3v_data.validate.check_piece import check_piece, forget
from phi3v_data.validate.dataset import check_dataset, compares, compares_images, compares_pictures
from phi3v_data.validate.facts import DatasetFacts, FileSpan
from phi3v_data.validate.image_rules import FolderMissing
from phi3v_data.validate.lines import EmptyFile, FileUnreadable, ShardDamaged
from phi3v_data.validate.manifest import CountDiffers, FileFacts, check_file
from phi3v_data.validate.piece import Piece, Setting
from phi3v_data.validate.targets import STDIN
from phi3v_data.workers import Task

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from phi3v_data.progress import Progress
    from phi3v_data.validate.allowed import Allowed
    from phi3v_data.validate.checks import Checks
    from phi3v_data.validate.inputs import Input, Inputs
    from phi3v_data.validate.piece import Outcome
    from phi3v_data.validate.result import Result
    from phi3v_data.validate.targets import Target
    from phi3v_data.workers import Workers

__all__ = ["PIECE_SIZE", "TargetRun"]

PIECE_SIZE = {"none": 1 << 22, "exists": 1 << 20, "header": 1 << 19, "decode": 1 << 16}
"""Bytes of a piece, by how closely images are looked at: about a tenth of a second's work."""

_ALL_KEPT = 1 << 17  # bytes of a piece where all findings are kept: there may be one for every byte or two


@dataclass(frozen=True)
class _Begin:
    """A step: what follows is about this file."""

    path: Path | None
    input: Input


@dataclass(frozen=True)
class _End:
    """A step: the file has no more pieces."""

    path: Path | None
    input: Input


@dataclass(frozen=True)
class _Unreadable:
    """A step: a file cannot be read, or not on."""

    path: Path | None
    error: OSError


class TargetRun:
    """The state of the check of one dataset.

    Args:
        target: The dataset.
        checks: How closely to look at it.
        allowed: What may be in several splits.
        result: Where everything found goes.
        inputs: Opens its files.
        progress: Told how far it has come.
    """

    def __init__(
        self, target: Target, checks: Checks, allowed: Allowed, result: Result, inputs: Inputs, progress: Progress
    ) -> None:
        self._target = target
        self._allowed = allowed
        self._result = result
        self._findings = result.findings
        self._inputs = inputs
        self._progress = progress
        self._facts = DatasetFacts()
        splits = len({target.split_of(path) for path in target.files})
        self._setting = Setting(
            checks,
            target.images,
            compare=compares(checks),
            compare_images=compares_images(checks, splits, owns_images=target.owns_images),
            compare_pictures=compares_pictures(checks, splits),
        )
        self._said_folder_missing = False
        self._records_before = 0
        self._sum: str | OSError = ""
        self._is_damaged = False  # the shard at hand, so that some of its records were not reached

    def run(self, workers: Workers) -> None:
        """Check the dataset."""
        for file, problem in self._target.problems:
            self._findings.add(file, None, problem)
        forget()
        for step, outcome in workers.ordered(self._steps()):
            match step:
                case _Begin():
                    self._begin(step.path, step.input)
                case Task(argument=Piece() as piece):
                    self._merge(piece, outcome)
                case Task():
                    self._sum = outcome
                case _End():
                    self._end(step.path, step.input)
                case _Unreadable():
                    self._findings.add(_name(step.path), None, FileUnreadable.because(step.error))
        forget()
        self._result.unchecked += check_dataset(
            self._facts, self._findings, self._setting.checks, self._allowed, self._target
        )

    def _steps(self) -> Iterator[_Begin | Task | _End | _Unreadable]:
        for path in self._target.files:
            try:
                source = self._inputs.open(path)
                yield _Begin(path, source)
                if source.is_readable:
                    if path in self._target.entries:
                        yield Task(_sum_of, path)
                    yield from self._pieces(source)
                yield _End(path, source)
            except OSError as error:
                yield _Unreadable(path, error)

    def _pieces(self, source: Input) -> Iterator[Task]:
        room = self._findings.room
        if is_shard := format_of(source.path) != "jsonl":
            yield Task(check_piece, Piece(self._setting, source.path, 0, source.size, is_shard, room))
            return
        most = PIECE_SIZE[self._setting.checks.images]
        for start, size in source.pieces(most if room is not None else min(most, _ALL_KEPT)):
            yield Task(check_piece, Piece(self._setting, source.path, start, size, is_shard, self._findings.room))

    def _begin(self, path: Path | None, source: Input) -> None:
        name = _name(path)
        self._result.files.append(unicode_of(name))
        self._records_before = self._result.records
        self._is_damaged = False
        is_shard = format_of(source.path) != "jsonl"
        images = ImageFolder(self._target.images)
        self._facts.files.append(
            FileSpan(name, source.path, self._target.split_of(path), len(self._facts.ids), images, is_shard)
        )
        for problem in source.problems:
            self._findings.add(name, None, problem)

    def _merge(self, piece: Piece, outcome: Outcome) -> None:
        span = self._facts.files[-1]
        place = len(self._facts.ids)
        span.pieces.append((place, piece.start))
        if outcome.needs_folder and not self._said_folder_missing:
            self._said_folder_missing = True
            self._findings.add(span.name, None, FolderMissing.problem(folder=self._target.images))
        for line, problem in outcome.problems:
            self._findings.add(span.name, None if line is None else place - span.start + line, problem)
        for rule, number in outcome.uncounted.items():
            self._findings.count(rule, number)
        self._facts.add(outcome.facts)
        self._result.records += outcome.records
        self._result.sound += outcome.sound
        self._result.images += outcome.images
        self._result.bytes += piece.size
        self._is_damaged |= piece.is_shard and any(problem.rule is ShardDamaged for _, problem in outcome.problems)
        self._is_damaged |= ShardDamaged in outcome.uncounted
        self._progress.advance(piece.size)

    def _end(self, path: Path | None, source: Input) -> None:
        """Say what can be said of the file as a whole."""
        name, records = _name(path), self._result.records - self._records_before
        if (problem := source.change()) is not None:
            self._findings.add(name, None, problem)
        if not source.is_readable:
            return
        if not records and not self._is_damaged:
            self._findings.add(name, None, EmptyFile.problem())
        if path not in self._target.entries:
            return
        if isinstance(self._sum, OSError):
            self._findings.add(name, None, FileUnreadable.because(self._sum))
            return
        for problem in check_file(self._target.entries[path], FileFacts(records, self._sum)):
            if not (self._is_damaged and problem.rule is CountDiffers):
                self._findings.add(name, None, problem)


def _sum_of(path: Path) -> str | OSError:
    try:
        return sha256_of(path)
    except OSError as error:
        return error


def _name(path: Path | None) -> str:
    return STDIN if path is None else str(path)
