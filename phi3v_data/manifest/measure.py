"""What a manifest says of a file of records, measured in one reading."""

from __future__ import annotations

import hashlib
from array import array
from typing import TYPE_CHECKING, NamedTuple

from xxhash import xxh3_64_intdigest

from phi3v_data.formats.kinds import open_record_file
from phi3v_data.formats.record_file import decode_record
from phi3v_data.fs import sha256_of
from phi3v_data.image_folder import ImageFolder
from phi3v_data.layout import SUFFIXES
from phi3v_data.lines import MAX_LINE, read_lines
from phi3v_data.media.checks import check_exists

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from phi3v_schemas import Record

__all__ = ["Measured", "measure_file"]

_BLOCK = 1 << 20


class Measured(NamedTuple):
    """The figures of a file, by the names they have in the manifest."""

    records: int
    images: int
    image_bytes: int | None
    bytes: int
    sha256: str


def measure_file(
    path: Path, images: Path | None, *, on_record: Callable[[Record], object] = lambda record: None
) -> Measured:
    """Read a file of records once and measure it; an image of many records counts once, or once for each in a shard.

    Memory: 16 bytes for each time a record names an image, and 8 more at the end.

    Args:
        path: The file.
        images: The images folder; None leaves the images alone, and their bytes unknown.
        on_record: Told every record.

    Raises:
        BadRecord: A line is no record.
        BadShard: A shard is damaged.
        BadImage: An image is not there, or holds nothing.
        UnsafePath: An image path leaves the folder.
    """
    if path.suffix in SUFFIXES[1:]:
        return _measure_shard(path, images, on_record)
    digest, tally, records = hashlib.sha256(), _ImageTally(images), 0
    with path.open("rb") as file:
        for line in read_lines(file, limit=MAX_LINE, on_chunk=digest.update):
            if line.is_blank:
                continue
            record = decode_record(line.data, path, line.number)
            records += 1
            tally.add(record.image_paths())
            on_record(record)
        size = file.tell()
    count, image_bytes = tally.total()
    return Measured(records, count, image_bytes, size, digest.hexdigest())


def _measure_shard(path: Path, images: Path | None, on_record: Callable[[Record], object]) -> Measured:
    records = count = image_bytes = 0
    for sample in open_record_file(path, ImageFolder(path.parent)).samples():
        record = sample.record()
        records += 1
        on_record(record)
        for image in dict.fromkeys(record.image_paths()):
            count += 1
            image_bytes += len(sample.images.read(image)) if images else 0
    return Measured(records, count, image_bytes if images else None, path.stat().st_size, sha256_of(path))


class _ImageTally:
    """Counts distinct images by a 64-bit hash of each path, and adds up their sizes."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = None if folder is None else ImageFolder(folder)
        self._hashes = array("Q")
        self._sizes = array("Q")

    def add(self, paths: list[str]) -> None:
        """Take the images of a record."""
        for path in paths:
            self._hashes.append(xxh3_64_intdigest(path.encode()))
            self._sizes.append(check_exists(self._folder.locate(path)) if self._folder else 0)

    def total(self) -> tuple[int, int | None]:
        """Return how many distinct images there are, and their bytes together where the folder is known."""
        import numpy as np  # here, for a conversion seldom has to count

        hashes, sizes = np.asarray(self._hashes, np.uint64), np.asarray(self._sizes, np.uint64)
        order = hashes.argsort()
        count = size = 0
        last = None
        for start in range(0, len(order), _BLOCK):  # in blocks, so that no further copy of all is made
            block = order[start : start + _BLOCK]
            values = hashes[block]
            is_new = np.concatenate(([values[0] != last], values[1:] != values[:-1]))
            last = values[-1]
            count += int(is_new.sum())
            size += int(sizes[block[is_new]].sum())
        return count, None if self._folder is None else size
