"""The records of one split, by iteration and by index, none of them held in memory."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from itertools import accumulate
from operator import index as as_index
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from phi3v_data.errors import DataError
from phi3v_data.lines import MAX_LINE, read_lines
from phi3v_schemas import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["BadRecord", "Split", "decode_record"]


class BadRecord(DataError):
    """A line that is no record: the message names the file, the line and what is wrong with it."""


class Split:
    """The records of one split, in order: lazily by iteration, and by `len()` and index.

    The first `len()` or index reads the files once to learn where each record begins: 8 bytes a record. A
    Split can be pickled and used after a fork: reading by position, no process moves another's place.

    Args:
        files: The JSONL files, in order. Blank lines hold no record.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = list(files)
        self._indexes: list[_FileIndex] | None = None
        self._ends: list[int] = []

    def __iter__(self) -> Iterator[Record]:
        for path in self.files:
            with path.open("rb") as file:
                for line in read_lines(file, limit=MAX_LINE):
                    if not line.is_blank:
                        yield decode_record(line.data, path, line.number)

    def __len__(self) -> int:
        self._index()
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, position: int) -> Record:
        index, within = self._find(position)
        data = index.read(within)
        try:
            return Record.model_validate_json(data)
        except ValidationError:
            return decode_record(data, index.path, index.line_number(within))

    def raw(self, position: int) -> bytes:
        """Return the bytes of a record's line as they are in the file, without the newline.

        Raises:
            IndexError: There is no such record.
            BadRecord: The line is over 32 MB.
            DataError: The file has changed since its records were counted.
        """
        index, within = self._find(position)
        return index.read(within)

    def place(self, position: int) -> str:
        """Return where a record stands, as FILE:LINE; the lines before it are read, and FILE alone if they cannot be.

        Raises:
            IndexError: There is no such record.
        """
        index, within = self._find(position)
        try:
            return f"{index.path}:{index.line_number(within)}"
        except OSError:
            return str(index.path)

    def _find(self, position: int) -> tuple[_FileIndex, int]:
        indexes = self._index()
        position = as_index(position)
        wanted = position + len(self) if position < 0 else position
        if not 0 <= wanted < len(self):
            raise IndexError(f"record {position} of {len(self)}")
        file = bisect_right(self._ends, wanted)
        return indexes[file], wanted - (self._ends[file - 1] if file else 0)

    def _index(self) -> list[_FileIndex]:
        if self._indexes is None:
            indexes = [_FileIndex(path) for path in self.files]
            self._ends = list(accumulate(len(index.starts) for index in indexes))
            self._indexes = indexes
        return self._indexes


class _FileIndex:
    """Where the records of one file begin, and their bytes by position."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        with path.open("rb") as file:
            self.starts = array("Q", (line.offset for line in read_lines(file) if not line.is_blank))
            self._size = file.tell()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_descriptor": None}

    def __del__(self) -> None:
        if self.__dict__.get("_descriptor") is not None:
            os.close(self.__dict__["_descriptor"])

    def read(self, position: int) -> bytes:
        start = self.starts[position]
        end = self.starts[position + 1] if position + 1 < len(self.starts) else self._size
        data = os.pread(self._open(), min(end - start, MAX_LINE + 1), start)
        # Up to the next record there may be blank lines, which are not this record's.
        data = data.partition(b"\n")[0]
        if len(data) > MAX_LINE:
            raise BadRecord(_too_long(self.path, self.line_number(position)))
        return data

    def line_number(self, position: int) -> int:
        """Count the lines up to a record: only errors ask for it."""
        start = self.starts[position]
        with self.path.open("rb") as file:
            for line in read_lines(file):
                if line.offset >= start:
                    return line.number
        return position + 1

    def _open(self) -> int:
        if self._descriptor is None:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            if os.fstat(descriptor).st_size != self._size:
                os.close(descriptor)
                raise DataError(f"{self.path} has changed since its records were counted; open the dataset again")
            self._descriptor = descriptor
        return self._descriptor


def decode_record(data: bytes | None, path: Path, number: int) -> Record:
    """Decode a line.

    Args:
        data: Its bytes; None for a line over the limit.
        path: The file it is from, for the message.
        number: Its number in that file, from 1.

    Raises:
        BadRecord: It is no record.
    """
    if data is None:
        raise BadRecord(_too_long(path, number))
    try:
        return Record.model_validate_json(data)
    except ValidationError:
        from phi3v_data.validate.schema import read_record

        _, problems = read_record(data)
        pointer = f" {problems[0].pointer}:" if problems[0].pointer else ""
        raise BadRecord(f"{path}:{number}:{pointer} {problems[0].message}") from None


def _too_long(path: Path, number: int) -> str:
    return f"{path}:{number}: the line is longer than {MAX_LINE:,} bytes"
