"""The records of one split, by iteration and by index, none of them held in memory."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from itertools import accumulate
from operator import index as as_index
from typing import TYPE_CHECKING

from phi3v_data.formats.kinds import open_record_file
from phi3v_data.formats.record_file import BadRecord, decode_record, too_long
from phi3v_data.image_folder import ImageFolder
from phi3v_data.layout import IMAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from phi3v_data.formats.images import ImageStore
    from phi3v_data.formats.record_file import RecordFile, Sample
    from phi3v_schemas import Record

__all__ = ["Split"]


class Split:
    """The records of one split, in order: lazily by iteration, and by `len()` and index.

    The first `len()` or index reads the files once to learn where each record begins: 8 bytes a record. A
    Split can be pickled and used after a fork: reading by position, no process moves another's place.

    Args:
        files: Its files, in order: JSON lines, of which blank ones hold no record, or shards of WebDataset or Parquet.
        images: The images folder of JSON lines; by default `images` beside them.
    """

    def __init__(self, files: Sequence[Path], images: ImageFolder | None = None) -> None:
        self.files = list(files)
        self._images = images
        self._indexes: list[_FileIndex] | None = None
        self._ends: list[int] = []

    def __iter__(self) -> Iterator[Record]:
        for sample in self.samples():
            yield sample.record()

    def samples(self) -> Iterator[Sample]:
        """Yield every record as it is stored, with its images.

        Raises:
            BadShard: A shard is damaged.
        """
        for path in self.files:
            yield from self._file(path).samples()

    def __len__(self) -> int:
        self._index()
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, position: int) -> Record:
        return self.load(position)[0]

    def load(self, position: int) -> tuple[Record, ImageStore]:
        """Return a record, and what hands out its images.

        Raises:
            IndexError: There is no such record.
            BadRecord: It is none.
            DataError: The file has changed since its records were counted, or is damaged.
        """
        index, within = self._find(position)
        sample = index.sample(within)
        try:
            return sample.record(), sample.images
        except BadRecord:  # only now it is worth the while to count lines
            return decode_record(sample.data, sample.file, index.number(within)), sample.images

    def sample(self, position: int) -> Sample:
        """Return a record as it is stored, with its images.

        Raises:
            IndexError: There is no such record.
            DataError: The file has changed since its records were counted, or is damaged.
        """
        index, within = self._find(position)
        return index.sample(within)

    def raw(self, position: int) -> bytes:
        """Return the bytes of a record as they are in the file, without a newline.

        Raises:
            IndexError: There is no such record.
            BadRecord: The line is over 32 MB.
            DataError: The file has changed since its records were counted.
        """
        index, within = self._find(position)
        data = index.sample(within).data
        if data is None:
            raise BadRecord(too_long(index.file.path, index.number(within)))
        return data

    def place(self, position: int) -> str:
        """Return where a record stands, as FILE:LINE; the lines before it are read, and FILE alone if they cannot be.

        Raises:
            IndexError: There is no such record.
        """
        index, within = self._find(position)
        return index.place(within)

    def _file(self, path: Path) -> RecordFile:
        return open_record_file(path, self._images or ImageFolder(path.parent / IMAGES))

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
            indexes = [_FileIndex(self._file(path)) for path in self.files]
            self._ends = list(accumulate(len(index.keys) for index in indexes))
            self._indexes = indexes
        return self._indexes


class _FileIndex:
    """Where the records of one file are."""

    def __init__(self, file: RecordFile) -> None:
        self.file = file
        self.keys = array("Q", file.iter_keys())
        file.take_size()

    def number(self, position: int) -> int:
        """Return a record's line, or its number in a shard."""
        return self.file.number(self.keys[position], position)

    def sample(self, position: int) -> Sample:
        """Return a record as it is stored."""
        return self.file.sample(self.keys[position])

    def place(self, position: int) -> str:
        """Return FILE:LINE, or FILE where it cannot be read."""
        try:
            return f"{self.file.path}:{self.number(position)}"
        except OSError:
            return str(self.file.path)
