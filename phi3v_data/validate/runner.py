"""One validation run: every line of every file is read once and accounted for; no fault stops it."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from time import perf_counter
from typing import TYPE_CHECKING, cast

from phi3v_data.formats.kinds import format_of, open_record_file
from phi3v_data.formats.record_file import BadShard
from phi3v_data.image_folder import ImageFolder
from phi3v_data.lines import MAX_LINE, read_lines
from phi3v_data.validate.ids import IdIndex
from phi3v_data.validate.images import ImageChecker
from phi3v_data.validate.lines import (
    BOM,
    BlankLine,
    ByteOrderMark,
    EmptyFile,
    FileUnreadable,
    LineTooLong,
    ShardDamaged,
)
from phi3v_data.validate.manifest import FileFacts, check_file
from phi3v_data.validate.result import Findings, Result
from phi3v_data.validate.schema import read_record
from phi3v_data.validate.targets import STDIN, find_targets
from phi3v_data.validate.text import check_texts, may_break_a_rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from phi3v_data.formats.images import ImageStore
    from phi3v_data.lines import Line
    from phi3v_data.validate.images import ImageLevel
    from phi3v_data.validate.targets import Target
    from phi3v_schemas import DataFile

__all__ = ["validate"]


def validate(
    paths: Sequence[Path | str],
    *,
    images: ImageLevel = "header",
    images_dir: Path | None = None,
    max_findings: int = 1000,
    max_line: int = MAX_LINE,
    against_manifest: bool = True,
    on_progress: Callable[[int, int | None], object] | None = None,
) -> Result:
    """Hold files, dataset folders or standard input against every rule.

    Memory does not grow with the files, except by 8 bytes a line (16 while duplicate ids are looked for).

    Args:
        paths: Files, dataset folders, glob patterns, or "-" for standard input. What cannot be read is a
            finding.
        images: How closely to look at images: "none", "exists", or "header" (which also looks for the end).
        images_dir: The images folder; by default `images` beside the JSONL files.
        max_findings: How many findings are kept; all are counted. 0 keeps all, in a temporary file.
        max_line: Longest line in bytes that is read.
        against_manifest: Whether a folder's files are those of its manifest and as it says; else they are all the JSONL
            files that are there.
        on_progress: Told the bytes read so far, and the bytes there are in all (None for a pipe).

    Returns:
        The findings of each dataset: about the folder, then line by line for each file, then duplicate ids.
    """
    started = perf_counter()
    targets = find_targets(paths, images_dir, against_manifest=against_manifest)
    run = _Run(Findings(max_findings), max_line, on_progress, _total_size(targets))
    for target in targets:
        run.check_target(target, images)
    return Result(run.files, run.records, run.bytes, perf_counter() - started, run.findings)


class _Run:
    """The state of a run: what was found and how far it has come."""

    def __init__(
        self,
        findings: Findings,
        max_line: int,
        on_progress: Callable[[int, int | None], object] | None,
        total: int | None,
    ) -> None:
        self.findings = findings
        self.files: list[str] = []
        self.records = 0
        self.bytes = 0
        self._max_line = max_line
        self._on_progress = on_progress
        self._total = total
        self._spools: list[BinaryIO] = []

    def check_target(self, target: Target, images: ImageLevel) -> None:
        """Check one dataset."""
        for file, problem in target.problems:
            self.findings.add(file, None, problem)
        ids = IdIndex()
        checker = ImageChecker(target.images, images)
        for path in target.files:
            self._check_file(path, target.entries.get(path) if path else None, ids, checker)
        for file, line, problem in ids.duplicates():
            self.findings.add(file, line, problem)
        for spool in self._spools:
            spool.close()

    def _check_file(self, path: Path | None, entry: DataFile | None, ids: IdIndex, checker: ImageChecker) -> None:
        """Check one file, against what the manifest says of it too."""
        name = STDIN if path is None else str(path)
        before = self.records
        digest = hashlib.sha256()
        try:
            if path is None or format_of(path) == "jsonl":
                self._check_jsonl(name, path, [digest.update] if entry else [], ids, checker)
            else:
                self._check_shard(name, path, ids, checker)
                if entry is not None:
                    digest = _digest(path)
        except OSError as error:
            fault = f"cannot be read: {error.strerror or error}"
            self.findings.add(name, None, FileUnreadable.problem(fault=fault))
            return
        if self.records == before:
            self.findings.add(name, None, EmptyFile.problem())
        if entry is not None:
            for problem in check_file(entry, FileFacts(self.records - before, digest.hexdigest())):
                self.findings.add(name, None, problem)

    def _check_jsonl(
        self,
        name: str,
        path: Path | None,
        consumers: list[Callable[[bytes], object]],
        ids: IdIndex,
        checker: ImageChecker,
    ) -> None:
        with _open(path) as stream:
            self.files.append(name)
            spool = None if _is_regular(path) else _temporary_file()
            if spool is not None:
                self._spools.append(spool)
                consumers.append(spool.write)
            ids.start_file(name, lambda: _lines_again(path, spool))
            self._check_lines(name, stream, consumers, ids, checker)

    def _check_shard(self, name: str, path: Path, ids: IdIndex, checker: ImageChecker) -> None:
        shard = open_record_file(path, ImageFolder(path.parent))
        size = path.stat().st_size
        self.files.append(name)
        ids.start_file(name, lambda: ((sample.number, sample.data) for sample in shard.samples()))
        try:
            for sample in shard.samples():
                self.records += 1
                if sample.data is None:
                    ids.skip()
                    self.findings.add(name, sample.number, LineTooLong.problem(limit=self._max_line))
                else:
                    self._check_record(name, sample.number, sample.data, ids, checker, sample.images)
        except BadShard as error:
            self.findings.add(name, None, ShardDamaged.problem(fault=error.fault))
        self._advance(size)

    def _check_lines(
        self,
        name: str,
        stream: BinaryIO,
        consumers: Sequence[Callable[[bytes], object]],
        ids: IdIndex,
        checker: ImageChecker,
    ) -> None:
        def on_chunk(chunk: bytes) -> None:
            for consume in consumers:
                consume(chunk)
            self._advance(len(chunk))

        for line in read_lines(stream, limit=self._max_line, on_chunk=on_chunk):
            data = self._usable(name, line)
            if data is None:
                ids.skip()
            else:
                self._check_record(name, line.number, data, ids, checker)

    def _check_record(
        self,
        name: str,
        number: int,
        data: bytes,
        ids: IdIndex,
        checker: ImageChecker,
        held: ImageStore | None = None,
    ) -> None:
        """Check a record and its images, those `held` beside it in a shard, or else those of the folder."""
        record, problems = read_record(data)
        if record is None:
            ids.skip()
        else:
            ids.add(record.id)
            problems = checker.check(record) if held is None else checker.check_held(record, held)
            if may_break_a_rule(data):
                problems += check_texts(record)
            if (missing := checker.folder_problem()) is not None:
                self.findings.add(name, None, missing)
        for problem in problems:
            self.findings.add(name, number, problem)

    def _usable(self, name: str, line: Line) -> bytes | None:
        """Return the bytes of a line that may hold a record; note what is wrong with any other."""
        data = line.data
        if data is None:
            self.records += 1
            self.findings.add(name, line.number, LineTooLong.problem(limit=self._max_line))
            return None
        if line.number == 1 and data.startswith(BOM):
            self.findings.add(name, 1, ByteOrderMark.problem())
            data = data[len(BOM) :]
        if not data or data.isspace():
            self.findings.add(name, line.number, BlankLine.problem())
            return None
        self.records += 1
        return data

    def _advance(self, size: int) -> None:
        self.bytes += size
        if self._on_progress is not None:
            self._on_progress(self.bytes, self._total)


def _open(path: Path | None) -> BinaryIO:
    """Open a file, or standard input, whose descriptor stays open when this stream is closed."""
    if path is None:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    return path.open("rb")


def _temporary_file() -> BinaryIO:
    return cast("BinaryIO", tempfile.TemporaryFile(prefix="phi3v-stdin-"))


def _reopen(path: Path | None, spool: BinaryIO | None) -> BinaryIO:
    """Open a file again at its beginning; a pipe is read again from the copy made while it was read."""
    if spool is not None:
        spool.seek(0)
        return spool
    assert path is not None
    return path.open("rb")


def _lines_again(path: Path | None, spool: BinaryIO | None) -> Iterator[tuple[int, bytes | None]]:
    with _reopen(path, spool) as stream:
        for line in read_lines(stream):
            yield line.number, line.data


def _digest(path: Path) -> hashlib._Hash:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256")


def _is_regular(path: Path | None) -> bool:
    return path is not None and path.is_file()


def _total_size(targets: Sequence[Target]) -> int | None:
    paths = [path for target in targets for path in target.files]
    if not all(_is_regular(path) or (path and not path.exists()) for path in paths):
        return None
    return sum(path.stat().st_size for path in paths if path and path.exists())
