"""What every file of records can do, whatever its format: hand out samples one after the other, or by place."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ValidationError

from phi3v_data.errors import DataError
from phi3v_data.lines import MAX_LINE
from phi3v_schemas import Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from phi3v_data.formats.images import ImageStore

__all__ = ["BadRecord", "BadShard", "RecordFile", "Sample", "decode_record", "too_long"]


class BadRecord(DataError):
    """A line that is no record: the message names the file, the line and what is wrong with it."""


class BadShard(DataError):
    """A shard that cannot be read on; `fault` is the end of a sentence about it.

    Args:
        path: The file.
        fault: What is wrong, such as "is cut short".
        after: How many records came before.
    """

    def __init__(self, path: Path, fault: str, *, after: int | None = None) -> None:
        where = "" if after is None else f" after record {after}"
        super().__init__(f"{path} {fault}{where}: fetch or make it again")
        self.fault = fault + where


@dataclass(frozen=True, slots=True)
class Sample:
    """A record as it is stored, and its images.

    Args:
        data: The record's JSON, without a newline; None where it is longer than any record may be.
        images: Hands out its images.
        file: The file it is in.
        number: Its line in a file of lines, its number in a shard; from 1. 0 where nobody counted.
    """

    data: bytes | None
    images: ImageStore
    file: Path
    number: int

    @property
    def place(self) -> str:
        """Where it stands, as FILE:LINE, or FILE where nobody counted."""
        return f"{self.file}:{self.number}" if self.number else str(self.file)

    def record(self) -> Record:
        """Decode the record.

        Raises:
            BadRecord: It is none.
        """
        return decode_record(self.data, self.file, self.number)


class RecordFile(ABC):
    """One file of records. It can be pickled and used after a fork: reading by place, no process moves another's.

    A key is a number that finds a record again, ascending within the file: a byte offset, or the number of a row.

    Args:
        path: The file.
        size: Its size in bytes when its keys were taken; None where they have not been.
    """

    suffix: ClassVar[str]

    def __init__(self, path: Path, size: int | None = None) -> None:
        self.path = path
        self._size = size
        self._descriptor: int | None = None

    @abstractmethod
    def iter_keys(self) -> Iterator[int]:
        """Yield the key of every record.

        Raises:
            BadShard: The file is damaged.
            OSError: It cannot be read.
        """

    @abstractmethod
    def samples(self) -> Iterator[Sample]:
        """Yield every record, read once from begin to end.

        Raises:
            BadShard: The file is damaged.
            OSError: It cannot be read.
        """

    @abstractmethod
    def sample(self, key: int) -> Sample:
        """Return the record of a key; its number is not counted.

        Raises:
            DataError: The file has changed since its keys were taken, or is damaged.
            OSError: It cannot be read.
        """

    def number(self, key: int, position: int) -> int:
        """Return the number that people know a record by: its line, or by default its position, from 1."""
        return position + 1

    def take_size(self) -> None:
        """Note the file's size, so that a change is noticed from now on."""
        self._size = self.path.stat().st_size

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_descriptor": None}

    def __del__(self) -> None:
        if self.__dict__.get("_descriptor") is not None:
            os.close(self.__dict__["_descriptor"])

    def _open(self) -> int:
        if self._descriptor is None:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            if self._size is not None and os.fstat(descriptor).st_size != self._size:
                os.close(descriptor)
                raise DataError(f"{self.path} has changed since its records were counted; open the dataset again")
            self._descriptor = descriptor
        return self._descriptor


def decode_record(data: bytes | None, path: Path, number: int) -> Record:
    """Decode a record's JSON.

    Args:
        data: The bytes; None where they are over the limit.
        path: The file it is from, for the message.
        number: Its line in that file, or its number, from 1.

    Raises:
        BadRecord: It is no record.
    """
    if data is None:
        raise BadRecord(too_long(path, number))
    try:
        return Record.model_validate_json(data)
    except ValidationError:
        from phi3v_data.validate.schema import read_record

        _, problems = read_record(data)
        pointer = f" {problems[0].pointer}:" if problems[0].pointer else ""
        raise BadRecord(f"{path}:{number}:{pointer} {problems[0].message}") from None


def too_long(path: Path, number: int) -> str:
    """Return what is wrong with a line over the limit."""
    return f"{path}:{number}: the line is longer than {MAX_LINE:,} bytes"
