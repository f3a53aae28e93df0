"""Where the records of a part go: JSON lines, their images into the dataset's folder at once; or a tar file with both.

The tar file is a WebDataset shard like any other; the final shards are made of those of all parts.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from xxhash import xxh3_64_intdigest

from phi3v_data.convert.writers import PartWriter
from phi3v_data.errors import CannotRun, SourceError
from phi3v_data.formats.jsonl import JsonlWriter
from phi3v_data.formats.webdataset import TarWriter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from phi3v_data.convert.writers import Finished

__all__ = ["RECORDS", "SAMPLES", "JsonlPartWriter", "TarPartWriter"]

RECORDS = "records.jsonl"
SAMPLES = "samples.tar"

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
"""What a file system answers that has no hard links."""

_NAME_FAULTS = {errno.ENAMETOOLONG, errno.EILSEQ, errno.EISDIR, errno.ENOTDIR, errno.EEXIST}


class JsonlPartWriter(PartWriter):
    """Writes JSON lines, and images into the dataset's images folder."""

    def _open(self) -> None:
        self._records = JsonlWriter(self._temporary / RECORDS)
        self._written: list[Path] = []
        self._known: dict[str, int] = {}  # images written, by path; of records that are kept, the hash of the bytes
        self._made: set[Path] = set()

    def _write(self, finished: Sequence[Finished]) -> Sequence[None]:
        named = {path: image for done in finished for path, image in done.images}
        are_kept = any(done.is_kept for done in finished)
        hashes = {path: xxh3_64_intdigest(image) if are_kept else 0 for path, image in named.items()}
        if changed := [path for path, found in hashes.items() if self._known.get(path, found) != found]:
            raise _two_images(changed[0])
        images = {path: image for path, image in named.items() if path not in self._known}
        write = self._write_shared if are_kept else self._write_image
        before = len(self._written)
        try:
            for relative, image in images.items():
                self._make_folder((self._images / relative).parent)
                write(self._images / relative, image)
        except OSError as error:
            for path in self._written[before:]:
                path.unlink(missing_ok=True)
            if error.errno in _NAME_FAULTS:
                raise SourceError("unwritable_name", f"no image can be named after it: {error.strerror}") from error
            raise
        self._known.update(hashes)
        self._summary.images += len(images)
        self._summary.image_bytes += sum(map(len, images.values()))
        for done in finished:
            self._records.add(done.data)
        return [None] * len(finished)

    def _make_folder(self, folder: Path) -> None:
        if folder not in self._made:
            folder.mkdir(parents=True, exist_ok=True)
            self._made.add(folder)

    def _write_image(self, path: Path, data: bytes) -> None:
        self._written.append(path)  # first, for a signal may come between
        with path.open("wb") as file:
            file.write(data)

    def _write_shared(self, path: Path, data: bytes) -> None:
        """Write an image that records of other parts may name too, all of it at once, unless it is there."""
        new = self._temporary / "image.new"
        new.write_bytes(data)
        try:
            _give_name(new, path)
            self._written.append(path)
        except FileExistsError:
            if path.read_bytes() != data:
                raise _two_images(path.relative_to(self._images).as_posix()) from None
        finally:
            new.unlink(missing_ok=True)

    def _close(self) -> None:
        self._records.close()

    def _abandon(self) -> None:
        for path in self._written:
            path.unlink(missing_ok=True)
        self._records.abandon()


def _give_name(new: Path, path: Path) -> None:
    """Give a file that is whole its name, unless there is one of that name.

    Raises:
        FileExistsError: There is.
    """
    try:
        os.link(new, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        new.replace(path)  # which another process may have made meanwhile, nearly always of the same bytes


def _two_images(path: str) -> CannotRun:
    return CannotRun(
        f"two records have different images under one path, {path}: keep them apart, as --output webdataset or "
        "parquet does"
    )


class TarPartWriter(PartWriter):
    """Writes records with their images into a tar file, for shards to be made of."""

    def _open(self) -> None:
        self._tar = TarWriter(self._temporary / SAMPLES)

    def _write(self, finished: Sequence[Finished]) -> Sequence[int]:
        keys = []
        for done in finished:
            keys.append(self._tar.size)
            self._tar.add(done.data, done.images)
        return keys

    def _close(self) -> None:
        self._tar.close()
        self._summary.images = self._tar.images
        self._summary.image_bytes = self._tar.image_bytes
        self._summary.tar_bytes = self._tar.size

    def _abandon(self) -> None:
        self._tar.abandon()
