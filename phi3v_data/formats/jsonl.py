"""A file of JSON lines: a record a line, its images in a folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from phi3v_data.formats.record_file import RecordFile, Sample
from phi3v_data.formats.shard_writer import StreamWriter
from phi3v_data.lines import MAX_LINE, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from phi3v_data.image_folder import ImageFolder

__all__ = ["JsonlFile", "JsonlWriter"]

_BLOCK = 1 << 14


class JsonlFile(RecordFile):
    """JSON lines. Blank lines hold no record.

    Args:
        path: The file.
        images: The folder of its images.
    """

    suffix = ".jsonl"

    def __init__(self, path: Path, images: ImageFolder) -> None:
        super().__init__(path)
        self._images = images

    def iter_keys(self) -> Iterator[int]:
        """Yield the byte offset of every record's line."""
        with self.path.open("rb") as file:
            for line in read_lines(file):
                if not line.is_blank:
                    yield line.offset

    def samples(self) -> Iterator[Sample]:
        """Yield every record, read once from begin to end."""
        with self.path.open("rb") as file:
            for line in read_lines(file, limit=MAX_LINE):
                if not line.is_blank:
                    yield Sample(line.data, self._images, self.path, line.number)

    def sample(self, key: int) -> Sample:
        """Return the record whose line begins at an offset."""
        data = os.pread(self._open(), _BLOCK, key)
        while b"\n" not in data and len(data) <= MAX_LINE:
            more = os.pread(self._open(), len(data), key + len(data))
            if not more:
                break
            data += more
        line = data.partition(b"\n")[0]
        return Sample(line if len(line) <= MAX_LINE else None, self._images, self.path, 0)

    def number(self, key: int, position: int) -> int:
        """Count the lines up to a record: only errors ask for it."""
        with self.path.open("rb") as file:
            for line in read_lines(file):
                if line.offset >= key:
                    return line.number
        return position + 1


class JsonlWriter(StreamWriter):
    """Writes JSON lines; the images stay in their folder."""

    suffix = ".jsonl"

    def add(self, data: bytes, images: Sequence[tuple[str, bytes]] = ()) -> None:
        """Write a record."""
        self.write(data + b"\n")
        self.count(images)
