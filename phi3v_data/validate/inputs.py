"""E1xx, the file as a whole: whatever it is, here it becomes a file that can be read twice and in pieces."""

from __future__ import annotations

import errno
import stat
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from phi3v_data.errors import CannotRun
from phi3v_data.formats.kinds import format_of
from phi3v_data.validate.framing import file_fault
from phi3v_data.validate.rule import Problem, Rule
from phi3v_data.validate.temporary import temporary_space
from phi3v_data.validate.unpack import packing_of, unpack

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from types import TracebackType
    from typing import BinaryIO

__all__ = ["CompressedFile", "FileChanged", "Input", "Inputs"]

_HEAD = 1 << 16
_BLOCK = 1 << 20
_PROBE = 1 << 14


class FileChanged(Rule):
    """A file was changed while it was read."""

    code = "E110"
    slug = "file-changed"
    message = "the file {fault} while it was read"
    hint = "Let whatever writes it come to its end, then validate again: what is said of it here may fit neither state."
    bad = "train.jsonl, to which another process appends"
    good = "train.jsonl after that process has ended"


class CompressedFile(Rule):
    """A file is compressed."""

    code = "E111"
    slug = "compressed-file"
    message = "the file is compressed with {kind}{fault}"
    hint = "Training reads plain files only: unpack it with {command}."
    bad = "train.jsonl that begins with the bytes 1F 8B"
    good = "train.jsonl after gunzip"


class Input:
    """A file as it is read.

    Args:
        path: Where its bytes can be read, again and again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[Problem] = []
        """What is wrong with it as a whole."""
        self.is_readable = True
        """Whether its lines can be told apart."""
        self._before = path.stat()
        self.size = self._before.st_size

    def change(self) -> Problem | None:
        """Return the problem of a file that is no longer what it was when this was made."""
        try:
            after = self.path.stat()
        except OSError:
            return FileChanged.problem(fault="vanished")
        return None if _identity(after) == _identity(self._before) else FileChanged.problem(fault="was changed")

    def pieces(self, size: int) -> Iterator[tuple[int, int]]:
        """Cut it between lines: yield offset and size of pieces of about so many bytes.

        Raises:
            OSError: It cannot be read.
        """
        start = 0
        with self.path.open("rb") as file:
            while start < self.size:
                stop = _next_line(file, start + size, self.size)
                yield start, stop - start
                start = stop


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev


def _next_line(file: BinaryIO, start: int, size: int) -> int:
    """Return where the first line begins that does not begin before `start`; the file's size where none does."""
    file.seek(start - 1)
    while data := file.read(_PROBE):
        if (newline := data.find(b"\n")) >= 0:
            return min(start + newline, size)
        start += len(data)
    return size


class Inputs:
    """Opens files; a context manager, at whose end the copies are gone that it made."""

    def __init__(self) -> None:
        self._folder: TemporaryDirectory[str] | None = None
        self._copies = 0

    def __enter__(self) -> Inputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def open(self, path: Path | None) -> Input:
        """Look at a file's kind and first bytes; a pipe is copied first, a compressed file unpacked.

        Args:
            path: The file; None stands for standard input.

        Raises:
            OSError: It cannot be read.
            CannotRun: There is no room for the copy.
        """
        if path is not None and format_of(path) != "jsonl":
            return Input(path)
        source = path if path is not None and path.is_file() else self._copy(path)
        with source.open("rb") as file:
            head = file.read(_HEAD)
        opened = Input(source)
        if (packing := packing_of(head)) is not None:
            fault = unpack(packing, source, target := self._new_copy())
            opened = Input(target)
            hint = CompressedFile.hint.format(command=packing.command)
            opened.problems.append(CompressedFile.problem(kind=packing.kind, fault=fault, hint=hint))
            with target.open("rb") as file:
                head = file.read(_HEAD)
        if (problem := file_fault(head, whole=opened.size <= len(head))) is not None:
            opened.problems.append(problem)
            opened.is_readable = False
        return opened

    def _copy(self, path: Path | None) -> Path:
        copy = self._new_copy()
        with _open(path) as stream, temporary_space(), copy.open("wb") as file:
            for data in _blocks(stream):
                file.write(data)
        return copy

    def _new_copy(self) -> Path:
        with temporary_space():
            if self._folder is None:
                self._folder = TemporaryDirectory(prefix="phi3v-")
            self._copies += 1
            path = Path(self._folder.name, f"{self._copies}.jsonl")
            path.touch(mode=0o600)
        return path


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    try:
        while data := stream.read(_BLOCK):
            yield data
    except OSError as error:
        raise CannotRun(f"standard input or the pipe cannot be read on: {error.strerror or error}") from None


def _open(path: Path | None) -> BinaryIO:
    """Open a file, or standard input, whose descriptor stays open when this stream is closed."""
    if path is None:
        if sys.stdin is None:
            raise OSError(errno.EBADF, "standard input is closed")
        return open(sys.stdin.fileno(), "rb", closefd=False)
    if stat.S_ISDIR(path.stat().st_mode):
        raise IsADirectoryError(21, "Is a directory")
    return path.open("rb")
