"""Write one part: images into the dataset, records and rejects into a folder that appears whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ValidationError

from phi3v_data.convert.converter import Reject
from phi3v_data.errors import SourceError
from phi3v_data.fs import sync_folder
from phi3v_data.layout import IMAGES
from phi3v_schemas import Record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from phi3v_data.convert.converter import Example, Image
    from phi3v_data.convert.plan import PlannedSource

__all__ = ["Highlight", "JsonlPartWriter", "PartSummary"]

_HIGHLIGHTS = 64
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
    """The first record of a class, or of a source without one, in a part: a card of the contact sheet."""

    title: str
    text: str
    images: list[str]


class PartSummary(BaseModel):
    """The document `summary.json`: what a part holds."""

    records: int = 0
    rejects: int = 0
    images: int = 0
    image_bytes: int = 0
    classes: dict[str, int] = {}
    highlights: list[Highlight] = []


class JsonlPartWriter:
    """Writes the records of one part; nothing of it counts before `commit`.

    Args:
        out_dir: The dataset's folder; images go below `images/`.
        folder: The part's folder, which `commit` brings into being.
        dataset: `source` of every record.

    When the block ends without `commit`, the images and lines of the part are removed again.
    """

    def __init__(self, out_dir: Path, folder: Path, dataset: str) -> None:
        self._images = out_dir / IMAGES
        self._folder = folder
        self._temporary = folder.with_name(folder.name + ".tmp")
        self._dataset = dataset
        self._written: list[Path] = []
        self._made: set[Path] = set()
        self._classes: Counter[str] = Counter()
        self._summary = PartSummary()

    def __enter__(self) -> Self:
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir(parents=True)
        self._records = (self._temporary / "records.jsonl").open("wb")
        self._rejects = (self._temporary / "rejects.jsonl").open("wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder.exists():  # committed
            return
        for path in self._written:
            path.unlink(missing_ok=True)
        for file in (self._records, self._rejects):
            with suppress(OSError):  # on a full disk, what is still buffered cannot be written either
                file.close()
        shutil.rmtree(self._temporary, ignore_errors=True)

    def add(self, planned: PlannedSource, examples: Sequence[Example]) -> None:
        """Validate and write all records of one source, or none of them.

        Raises:
            SourceError: A record breaks the schema, or an image is not what its suffix says.
        """
        paths: dict[int, tuple[str, Image]] = {}
        lines = []
        for index, example in enumerate(examples):
            identity = f"{planned.split}-{planned.number:010d}" + (f"-{index}" if len(examples) > 1 else "")
            lines.append(self._record(planned, identity, example, paths))
        self._write_images(list(paths.values()))
        for index, (record, example) in enumerate(zip(lines, examples, strict=True)):
            label = planned.source.label if example.label is None else example.label
            self._records.write(record.to_line())
            self._summary.records += 1
            if label is not None or index == 0:
                self._highlight(record, label)
            if label is not None:
                self._classes[label] += 1

    def reject(self, planned: PlannedSource, code: str, message: str) -> None:
        """Write why a source gives no record."""
        line = Reject(source=planned.source.path, split=planned.split, code=code, message=message)
        self._rejects.write(line.to_line())
        self._summary.rejects += 1

    def commit(self) -> PartSummary:
        """Make the part durable and visible, in one rename."""
        self._summary.classes = dict(sorted(self._classes.items()))
        for file in (self._records, self._rejects):
            file.flush()
            os.fsync(file.fileno())
            file.close()
        with (self._temporary / "summary.json").open("wb") as file:
            file.write(self._summary.model_dump_json().encode())
            file.flush()
            os.fsync(file.fileno())
        self._temporary.rename(self._folder)
        sync_folder(self._folder.parent)
        return self._summary

    def _record(
        self, planned: PlannedSource, identity: str, example: Example, paths: dict[int, tuple[str, Image]]
    ) -> Record:
        turns = []
        for turn in example.turns:
            names = [self._name(planned, image, paths) for image in turn.images]
            turns.append(
                {
                    "images": names or None,
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
            return Record.model_validate(fields)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = "/" + "/".join(str(part) for part in first["loc"])
            raise SourceError("invalid_record", f"the converter made a bad record: {where}: {first['msg']}") from None

    def _name(self, planned: PlannedSource, image: Image, paths: dict[int, tuple[str, Image]]) -> str:
        """Return the path of an image; `paths` holds what this source has named so far, by object."""
        known = paths.get(id(image))
        if known is not None:
            return known[0]
        magic = _MAGIC.get(image.suffix)
        if magic is None or not image.data.startswith(magic):
            raise SourceError("invalid_image", f"the converter made an image that is no {image.suffix} file")
        path = f"{planned.split}/{planned.source.name}.{len(paths)}{image.suffix}"
        paths[id(image)] = (path, image)
        return path

    def _write_images(self, images: list[tuple[str, Image]]) -> None:
        """Write the images of one source, or none of them."""
        before = len(self._written)
        try:
            for relative, image in images:
                self._write_image(self._images / relative, image.data)
        except OSError as error:
            for path in self._written[before:]:
                path.unlink(missing_ok=True)
            if error.errno in _NAME_FAULTS:
                raise SourceError("unwritable_name", f"no image can be named after it: {error.strerror}") from error
            raise
        self._summary.images += len(images)
        self._summary.image_bytes += sum(len(image.data) for _, image in images)

    def _write_image(self, path: Path, data: bytes) -> None:
        if path.parent not in self._made:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(path.parent)
        self._written.append(path)  # first, for a signal may come between
        with path.open("wb") as file:
            file.write(data)

    def _highlight(self, record: Record, label: str | None) -> None:
        if label in self._classes or len(self._summary.highlights) >= _HIGHLIGHTS:
            return
        turn = record.conversations[0]
        text = turn.user if turn.assistant is None else f"{turn.user} · {turn.assistant}"
        title = record.id if label is None else label
        self._summary.highlights.append(Highlight(title=title, text=text[-400:], images=record.image_paths()))
