r"""WebDataset shards: a tar archive in which a record's files stand together and share a number.

    000000300.json    the record, as one line of a JSONL file would hold it
    000000300.0.jpg   its images, each once, in the order in which the record first names them
    000000300.1.jpg

The format: files of a sample have one name up to its first dot, and what follows says what each of them is. Other
writers may put the files of a sample in another order.
"""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from phi3v_data.formats.images import HeldImages, named_images
from phi3v_data.formats.record_file import BadShard, RecordFile, Sample
from phi3v_data.formats.shard_writer import StreamWriter
from phi3v_data.formats.tar import BLOCK, END, Member, TarFault, header, padding, read_members
from phi3v_data.lines import MAX_LINE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["TarFile", "TarWriter"]

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
"""What images may be called: readers of shards decode by suffix, and of others they would run the content."""


class TarFile(RecordFile):
    """A WebDataset shard of records.

    Args:
        path: The file.
    """

    suffix = ".tar"

    def iter_keys(self) -> Iterator[int]:
        """Yield where the first header of every sample stands."""
        for members in self._grouped():
            yield min(member.offset for member in members) - BLOCK

    def samples(self) -> Iterator[Sample]:
        """Yield every record, read once from begin to end."""
        for number, members in enumerate(self._grouped(), start=1):
            yield self._sample(members, number)

    def sample(self, key: int) -> Sample:
        """Return the record of the sample whose first header stands at an offset."""
        members = next(self._grouped(key), None)
        if members is None:
            raise BadShard(self.path, "has changed since its records were counted")
        return self._sample(members, 0)

    def _grouped(self, start: int = 0) -> Iterator[list[Member]]:
        """Yield the members of each sample, that of the record first."""
        sample: list[Member] = []
        key, count = None, 0
        try:
            for member in read_members(self._open(), start):
                if _key(member) != key:
                    if sample:
                        yield self._in_order(sample, count)
                        count += 1
                    key, sample = _key(member), []
                sample.append(member)
        except TarFault as fault:
            raise BadShard(self.path, str(fault), after=count) from None
        if sample:
            yield self._in_order(sample, count)

    def _in_order(self, members: list[Member], after: int) -> list[Member]:
        """Return the members of a sample, its record first and then its images by number, however they stand.

        Raises:
            BadShard: It has no record, or several.
        """
        records = [member for member in members if _extension(member) == "json"]
        if len(records) != 1:
            held = f"{len(records)} records" if records else "no record"
            fault = f"holds the sample {_key(members[0])[:100]!r} with {held} (.json)"
            raise BadShard(self.path, fault, after=after)
        return records + sorted((member for member in members if member is not records[0]), key=_number)

    def _sample(self, members: Sequence[Member], number: int) -> Sample:
        first, *images = members
        if first.size > MAX_LINE:
            return Sample(None, HeldImages((), lambda place: None), self.path, number)
        data = self._read(first)

        def load(place: int) -> bytes | None:
            return self._read(images[place]) if place < len(images) else None

        return Sample(data, HeldImages(named_images(data), load), self.path, number)

    def _read(self, member: Member) -> bytes:
        data = os.pread(self._open(), member.size, member.offset)
        while len(data) < member.size:
            more = os.pread(self._open(), member.size - len(data), member.offset + len(data))
            if not more:
                raise BadShard(self.path, "was cut while it was read")
            data += more
        return data


def _key(member: Member) -> str:
    """Return what the files of a sample share: the name up to the first dot of its last part."""
    folder, slash, name = member.name.rpartition("/")
    return folder + slash + name.partition(".")[0]


def _extension(member: Member) -> str:
    """Return what tells the files of a sample apart: all behind the first dot of the name."""
    return member.name.rpartition("/")[2].partition(".")[2]


def _number(member: Member) -> tuple[bool, int]:
    """Return an image's place among those of its sample; those without a number come last, as they stand."""
    number = _extension(member).partition(".")[0]
    return (False, int(number)) if number.isascii() and number.isdigit() else (True, 0)


class TarWriter(StreamWriter):
    """Writes a WebDataset shard; the same records give the same bytes.

    Args:
        path: The file; it must not exist.
        first: The number of the first record, which names its files.
    """

    suffix = ".tar"

    def __init__(self, path: Path, first: int = 0) -> None:
        super().__init__(path)
        self._first = first

    def add(self, data: bytes, images: Sequence[tuple[str, bytes]]) -> None:
        """Write a record and its images."""
        name = f"{self._first + self.records:09d}"
        self._member(f"{name}.json", data)
        for index, (path, image) in enumerate(images):
            self._member(f"{name}.{index}{_suffix_of(path)}", image)
        self.count(images)

    def _member(self, name: str, data: bytes) -> None:
        self.write(header(name, len(data)))
        self.write(data)
        self.write(padding(len(data)))

    def close(self) -> str:
        """End the archive, make it durable, and return its SHA-256."""
        self.write(END)
        return super().close()


def _suffix_of(path: str) -> str:
    """Return an image's suffix in small letters, or one that says no more than that it is an image."""
    suffix = PurePosixPath(path).suffix.lower()
    return suffix if suffix in _SUFFIXES else ".img"
