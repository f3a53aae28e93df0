"""All that can be said of lines by themselves: what a worker does with a piece."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from pydantic import ValidationError

from phi3v_data.formats.kinds import open_record_file
from phi3v_data.formats.record_file import BadShard
from phi3v_data.image_folder import ImageFolder
from phi3v_data.lines import TooLong, read_blocks
from phi3v_data.validate.decode import BOM, decode
from phi3v_data.validate.facts import PieceFacts, hash_of
from phi3v_data.validate.glance import glance
from phi3v_data.validate.keys import DuplicateKey, duplicate_keys, quotes_in
from phi3v_data.validate.lines import BlankLine, ByteOrderMark, FileUnreadable, LineTooLong, ShardDamaged
from phi3v_data.validate.piece import Outcome
from phi3v_data.validate.record_checks import RecordChecks
from phi3v_data.validate.schema import LARGE, problems_of, read_record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from phi3v_data.formats.images import ImageStore
    from phi3v_data.validate.piece import Piece, Setting
    from phi3v_data.validate.rule import Problem
    from phi3v_schemas import Record

__all__ = ["check_piece", "forget"]


def check_piece(piece: Piece) -> Outcome:
    """Check a piece; what cannot be read is a problem like any other."""
    return _Work(piece, _checks(piece.setting)).run()


def forget() -> None:
    """Forget what is known of images: they may be others by the next run."""
    _checks.cache_clear()


@lru_cache(maxsize=1)
def _checks(setting: Setting) -> RecordChecks:
    """Keep what is known of images from piece to piece."""
    return RecordChecks(setting)


class _Section:
    """A part of a file, as a file of its own."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        file.seek(start)
        self._file = file
        self._left = size

    def read(self, size: int, /) -> bytes:
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data


class _Work:
    """The state of the work on one piece."""

    def __init__(self, piece: Piece, checks: RecordChecks) -> None:
        self._piece = piece
        self._checks = checks
        self._wanted = piece.setting.checks.selection
        self._max_line = piece.setting.checks.max_line
        self._outcome = Outcome(PieceFacts(related=piece.setting.compare))
        self._found: list[tuple[int | None, Problem]] = []  # in the block at hand

    def run(self) -> Outcome:
        self._checks.start_piece(self._outcome)
        try:
            if self._piece.is_shard:
                self._check_shard()
            else:
                self._check_section()
        except OSError as error:
            self._found.append((None, FileUnreadable.because(error)))
        self._keep()
        return self._outcome

    def _check_section(self) -> None:
        with self._piece.path.open("rb") as file:
            for block in read_blocks(_Section(file, self._piece.start, self._piece.size), limit=self._max_line):
                self._check_block(block.data, block.lines, ended=block.is_ended)

    def _check_shard(self) -> None:
        try:
            for sample in open_record_file(self._piece.path, ImageFolder(self._piece.path.parent)).samples():
                line = TooLong(0) if sample.data is None else sample.data
                self._check_block(sample.data or b"", [line], ended=True, held=sample.images)
        except BadShard as error:
            self._found.append((None, ShardDamaged.problem(fault=error.fault)))

    def _check_block(
        self, data: bytes, lines: Sequence[bytes | TooLong], *, ended: bool, held: ImageStore | None = None
    ) -> None:
        """Check lines that follow each other; not `ended` is the last one of a file without a newline."""
        self._checks.start_block(data)
        check, looks_further = self._checks.check, self._checks.looks_further
        facts, found = self._outcome.facts, self._found
        ids, is_related = facts.ids, facts.related
        before = self._outcome.lines
        strings: list[int | None] = []  # of each line; None where it holds no record
        is_large = len(data) >= LARGE
        for line in lines:
            error = None
            try:
                record = None if is_large else decode(line)
            except ValidationError as raised:
                record, error = None, raised
            if record is None:
                is_last = len(strings) + 1 == len(lines)
                record = self._explain(before + len(strings) + 1, line, error, ended=ended or not is_last)
                if record is None:
                    facts.skip()
                    strings.append(None)
                    continue
            count, is_plain = glance(record)
            strings.append(count)
            if looks_further or not is_plain:
                number = before + len(strings)
                found += [(number, problem) for problem in check(record, len(line), held, is_plain=is_plain)]
            ids.append(hash_of(record.id))
            if is_related:
                facts.relate(record)
        sound = len(lines) - strings.count(None)
        self._outcome.lines += len(lines)
        self._outcome.sound += sound
        self._outcome.records += sound
        if DuplicateKey.code in self._wanted:
            self._find_duplicate_keys(data, lines, strings, before)
        self._keep()

    def _explain(
        self, number: int, line: bytes | TooLong, error: ValidationError | None, *, ended: bool
    ) -> Record | None:
        """Say what is wrong with a line; return its record where that is sound after all.

        Args:
            number: Its number in the piece, from 1.
            line: The line.
            error: Why it could not be decoded; None where that was not tried, because it is so long.
            ended: Whether a newline follows.
        """
        if isinstance(line, TooLong):
            problems = [LineTooLong.problem(limit=self._max_line)]
        else:
            if self._piece.start == 0 and number == 1 and line.startswith(BOM):
                self._found.append((1, ByteOrderMark.problem()))
                line, error = line[len(BOM) :], None
            # A blank line of a file is nothing, but a shard has each record under a name: a blank one is a broken one.
            if not self._piece.is_shard and (not line or line.isspace()):
                self._found.append((number, BlankLine.problem()))
                return None
            record, problems = (
                read_record(line, ended=ended) if error is None else (None, problems_of(line, error, ended=ended))
            )
            if record is not None:
                return record
        self._outcome.records += 1
        self._found += [(number, problem) for problem in problems]
        return None

    def _find_duplicate_keys(
        self, data: bytes, lines: Sequence[bytes | TooLong], strings: Sequence[int | None], before: int
    ) -> None:
        if None in strings:
            data = b"\n".join(line for line, count in zip(lines, strings, strict=True) if count is not None)  # type: ignore[misc]  # what holds a record is bytes
        if quotes_in(data) == 2 * sum(filter(None, strings)):
            return
        for number, (line, count) in enumerate(zip(lines, strings, strict=True), before + 1):
            if count is not None and isinstance(line, bytes) and quotes_in(line) != 2 * count:
                problems = duplicate_keys(line.removeprefix(BOM))
                self._found += [(number, problem) for problem in problems]
        self._found.sort(key=lambda found: found[0] or 0)

    def _keep(self) -> None:
        """Keep the problems of a block, in order, as long as there is room; count the others."""
        room, kept, uncounted = self._piece.room, self._outcome.problems, self._outcome.uncounted
        for line, problem in self._found:
            if problem.rule.code not in self._wanted:
                continue
            if room is None or len(kept) < room:
                kept.append((line, problem))
            else:
                uncounted[problem.rule] = uncounted.get(problem.rule, 0) + 1
        self._found.clear()
