"""Write one part: records and rejects into a folder that appears whole or not at all.

Images of a dataset of JSON lines go into its images folder at once. Where they are to be inside of shards, a part holds
its records and their images in a tar file, a WebDataset shard like any other, from which the final shards are made.
"""

from __future__ import annotations

import errno
import os
import shutil
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ValidationError
from xxhash import xxh3_64_intdigest

from phi3v_data.convert.converter import Reject
from phi3v_data.convert.kept import Kept
from phi3v_data.errors import CannotRun, SourceError
from phi3v_data.formats.jsonl import JsonlWriter
from phi3v_data.formats.webdataset import TarWriter
from phi3v_data.fs import sync_folder
from phi3v_data.layout import IMAGES
from phi3v_schemas import Record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from phi3v_data.convert.converter import Example, Image
    from phi3v_data.convert.plan import PlannedSource

__all__ = ["RECORDS", "SAMPLES", "Highlight", "JsonlPartWriter", "PartSummary", "PartWriter", "TarPartWriter"]

RECORDS = "records.jsonl"
SAMPLES = "samples.tar"

_HIGHLIGHTS = 64
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
"""What a file system answers that has no hard links."""

_NAME_FAULTS = {errno.ENAMETOOLONG, errno.EILSEQ, errno.EISDIR, errno.ENOTDIR, errno.EEXIST}
_MAGIC = {
    ".jpg": b"\xff\xd8\xff",
    ".jpeg": b"\xff\xd8\xff",
    ".png": b"\x89PNG\r\n\x1a\n",
    ".webp": b"RIFF",
    ".gif": b"GIF8",
    ".bmp": b"BM",
}


class Highlight(BaseModel):
    """The first record of a class, or of a source without one, in a part: a card of the contact sheet.

    Attributes:
        key: Where the record is in the part's tar file, which also holds its images.
    """

    title: str
    text: str
    images: list[str]
    key: int | None = None


class PartSummary(BaseModel):
    """The document `summary.json`: what a part holds."""

    records: int = 0
    rejects: int = 0
    images: int = 0
    image_bytes: int = 0
    tar_bytes: int = 0
    classes: dict[str, int] = {}
    highlights: list[Highlight] = []


@dataclass(frozen=True, slots=True)
class _Finished:
    """A record with its images, each once, ready to be written; where it is kept, others may name the same images."""

    record: Record
    data: bytes
    images: Sequence[tuple[str, bytes]]
    label: str | None
    is_kept: bool = False


class PartWriter(ABC):
    """Writes the records of one part; nothing of it counts before `commit`.

    Args:
        out_dir: The dataset's folder.
        folder: The part's folder, which `commit` brings into being.
        dataset: `source` of every record.

    When the block ends without `commit`, the part leaves nothing behind.
    """

    def __init__(self, out_dir: Path, folder: Path, dataset: str) -> None:
        self._images = out_dir / IMAGES
        self._folder = folder
        self._temporary = folder.with_name(folder.name + ".tmp")
        self._dataset = dataset
        self._classes: Counter[str] = Counter()
        self._summary = PartSummary()

    def __enter__(self) -> Self:
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir(parents=True)
        self._rejects = JsonlWriter(self._temporary / "rejects.jsonl")
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder.exists():  # committed
            return
        self._rejects.abandon()
        self._abandon()
        shutil.rmtree(self._temporary, ignore_errors=True)

    def add(self, planned: PlannedSource, examples: Sequence[Example | Kept]) -> None:
        """Validate and write all records of one source, or none of them.

        Raises:
            SourceError: A record breaks the schema, or an image is not what its suffix says.
        """
        named: dict[int, tuple[str, Image]] = {}
        finished = [
            _keep(example) if isinstance(example, Kept) else self._finish(planned, index, len(examples), example, named)
            for index, example in enumerate(examples)
        ]
        keys = self._write(finished)
        for index, (done, key) in enumerate(zip(finished, keys, strict=True)):
            self._summary.records += 1
            if done.label is not None or index == 0:
                self._highlight(done, key)
            if done.label is not None:
                self._classes[done.label] += 1

    def reject(self, planned: PlannedSource, code: str, message: str) -> None:
        """Write why a source gives no record."""
        line = Reject(source=planned.source.path, split=planned.split, code=code, message=message)
        self._rejects.write(line.to_line())
        self._summary.rejects += 1

    def commit(self) -> PartSummary:
        """Make the part durable and visible, in one rename."""
        self._summary.classes = dict(sorted(self._classes.items()))
        self._rejects.close()
        self._close()
        with (self._temporary / "summary.json").open("wb") as file:
            file.write(self._summary.model_dump_json().encode())
            file.flush()
            os.fsync(file.fileno())
        self._temporary.rename(self._folder)
        sync_folder(self._folder.parent)
        return self._summary

    @abstractmethod
    def _open(self) -> None:
        """Make what takes the records."""

    @abstractmethod
    def _write(self, finished: Sequence[_Finished]) -> Sequence[int | None]:
        """Write the records and images of one source, or none of them; return the key of each record that has one."""

    @abstractmethod
    def _close(self) -> None:
        """Make what was written durable."""

    @abstractmethod
    def _abandon(self) -> None:
        """Remove what was written outside of the part's folder."""

    def _finish(
        self, planned: PlannedSource, index: int, count: int, example: Example, named: dict[int, tuple[str, Image]]
    ) -> _Finished:
        identity = f"{planned.split}-{planned.number:010d}" + (f"-{index}" if count > 1 else "")
        images: dict[str, bytes] = {}
        turns = []
        for turn in example.turns:
            paths = [_name(planned, image, named) for image in turn.images]
            images |= {path: image.data for path, image in zip(paths, turn.images, strict=True)}
            turns.append(
                {
                    "images": paths or None,
                    "user": turn.user,
                    "assistant": turn.assistant,
                    "answers": turn.answers and list(turn.answers),
                }
            )
        fields: dict[str, Any] = {
            "id": identity,
            "source": self._dataset,
            "group": planned.source.group,
            "system": example.system,
            "conversations": turns,
            "metadata": example.metadata and dict(example.metadata),
        }
        try:
            record = Record.model_validate(fields)
        except ValidationError as error:
            raise _bad_record(error) from None
        label = planned.source.label if example.label is None else example.label
        return _Finished(record, record.to_line()[:-1], list(images.items()), label)

    def _highlight(self, done: _Finished, key: int | None) -> None:
        if done.label in self._classes or len(self._summary.highlights) >= _HIGHLIGHTS:
            return
        turn = done.record.conversations[0]
        text = turn.user if turn.assistant is None else f"{turn.user} · {turn.assistant}"
        title = done.record.id if done.label is None else done.label
        images = done.record.image_paths()
        self._summary.highlights.append(Highlight(title=title, text=text[-400:], images=images, key=key))


def _keep(kept: Kept) -> _Finished:
    try:
        record = Record.model_validate_json(kept.data)
    except ValidationError as error:
        raise _bad_record(error) from None
    return _Finished(record, kept.data, kept.images, kept.label, is_kept=True)


def _bad_record(error: ValidationError) -> SourceError:
    first = error.errors(include_url=False, include_input=False)[0]
    where = "/" + "/".join(str(part) for part in first["loc"])
    return SourceError("invalid_record", f"the converter made a bad record: {where}: {first['msg']}")


def _name(planned: PlannedSource, image: Image, named: dict[int, tuple[str, Image]]) -> str:
    """Return the path of an image; `named` holds what this source has named so far, by object."""
    known = named.get(id(image))
    if known is not None:
        return known[0]
    magic = _MAGIC.get(image.suffix)
    if magic is None or not image.data.startswith(magic):
        raise SourceError("invalid_image", f"the converter made an image that is no {image.suffix} file")
    path = f"{planned.split}/{planned.source.name}.{len(named)}{image.suffix}"
    named[id(image)] = (path, image)
    return path


class JsonlPartWriter(PartWriter):
    """Writes JSON lines, and images into the dataset's images folder."""

    def _open(self) -> None:
        self._records = JsonlWriter(self._temporary / RECORDS)
        self._written: list[Path] = []
        self._known: dict[str, int] = {}  # images written, by path; of records that are kept, the hash of the bytes
        self._made: set[Path] = set()

    def _write(self, finished: Sequence[_Finished]) -> Sequence[None]:
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

    def _write(self, finished: Sequence[_Finished]) -> Sequence[int]:
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
