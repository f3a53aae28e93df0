"""Write one part: records and rejects into a folder that appears whole or not at all."""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ValidationError

from phi3v_data.convert.converter import Reject
from phi3v_data.convert.kept import Kept
from phi3v_data.errors import SourceError
from phi3v_data.formats.jsonl import JsonlWriter
from phi3v_data.fs import sync_folder
from phi3v_data.layout import IMAGES
from phi3v_schemas import Record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from phi3v_data.convert.converter import Example, Image
    from phi3v_data.convert.plan import PlannedSource

__all__ = ["Finished", "Highlight", "PartSummary", "PartWriter"]

_HIGHLIGHTS = 64
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
class Finished:
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
    def _write(self, finished: Sequence[Finished]) -> Sequence[int | None]:
        """Write the records and images of one source, or none of them; return the key of each record that has one."""

    @abstractmethod
    def _close(self) -> None:
        """Make what was written durable."""

    @abstractmethod
    def _abandon(self) -> None:
        """Remove what was written outside of the part's folder."""

    def _finish(
        self, planned: PlannedSource, index: int, count: int, example: Example, named: dict[int, tuple[str, Image]]
    ) -> Finished:
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
        return Finished(record, record.to_line()[:-1], list(images.items()), label)

    def _highlight(self, done: Finished, key: int | None) -> None:
        if done.label in self._classes or len(self._summary.highlights) >= _HIGHLIGHTS:
            return
        turn = done.record.conversations[0]
        text = turn.user if turn.assistant is None else f"{turn.user} · {turn.assistant}"
        title = done.record.id if done.label is None else done.label
        images = done.record.image_paths()
        self._summary.highlights.append(Highlight(title=title, text=text[-400:], images=images, key=key))


def _keep(kept: Kept) -> Finished:
    return Finished(kept.record, kept.data, kept.images, label=None, is_kept=True)


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
