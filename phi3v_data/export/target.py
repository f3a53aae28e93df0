"""What writes an export, whatever its format: the base of them, and what they are handed."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from phi3v_data.errors import DataError
from phi3v_data.validate.text import ForeignImageTag, check_texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from phi3v_data.formats.images import ImageStore
    from phi3v_data.formats.record_file import Sample
    from phi3v_schemas import Manifest, Record

__all__ = ["Example", "Note", "SplitCount", "Target", "read_examples"]

_TAG = re.compile(r"<(?:image|video|audio)>")


@dataclass(frozen=True, slots=True)
class Example:
    """A record that may be exported.

    Args:
        record: The record.
        images: Hands out its images.
        place: Where it stands, as FILE:LINE.
    """

    record: Record
    images: ImageStore
    place: str

    def read(self, path: str) -> bytes:
        """Return the bytes of an image.

        Raises:
            DataError: It is not there, or its path is refused.
        """
        try:
            return self.images.read(path)
        except DataError as error:
            raise DataError(f"{self.place}: {error}") from None


@dataclass(frozen=True, slots=True)
class Note:
    """What a format does not carry as the dataset has it.

    Args:
        code: What it is about, such as "answers".
        records: Of how many records it is true.
        message: One line for a person.
    """

    code: str
    records: int
    message: str


@dataclass(slots=True)
class SplitCount:
    """What was written of a split: records, and images as often as records name them."""

    records: int = 0
    images: int = 0


class Target(ABC):
    """Writes an export in one format.

    Args:
        folder: An empty folder, which becomes the export when all is written.

    Attributes:
        counts: How many records every note is true of, by its code.
    """

    notes: Mapping[str, str]
    """What is said of records, by code; their number comes before it."""
    tags_are_places: ClassVar[bool] = True
    """Whether readers of the format take `<image>` within a text for an image."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.counts: Counter[str] = Counter()

    @abstractmethod
    def write_split(self, split: str, examples: Iterable[Example]) -> None:
        """Write the records of a split.

        Raises:
            DataError: One of them cannot be exported.
        """

    @abstractmethod
    def finish(self, splits: Mapping[str, SplitCount], manifest: Manifest | None) -> None:
        """Write what is about all splits.

        Args:
            splits: What was written of each.
            manifest: That of the dataset, where it has one.
        """

    def told(self) -> list[Note]:
        """Return the notes that are true of some record."""
        return [
            Note(code, count, f"{count:,} {'record' if count == 1 else 'records'} {message}")
            for code, message in self.notes.items()
            if (count := self.counts[code])
        ]

    def count(self, **facts: object) -> None:
        """Count a record for every note whose fact is true of it."""
        self.counts.update(code for code, fact in facts.items() if fact)


def read_examples(samples: Iterable[Sample], count: SplitCount, *, tags_are_places: bool) -> Iterator[Example]:
    """Yield the records that may be exported, counted.

    Raises:
        BadRecord: One is no record.
        DataError: A text holds what a reader would take for something else.
    """
    for sample in samples:
        record = sample.record()
        _refuse_tokens(record, sample.place)
        if tags_are_places:
            _refuse_tags(record, sample.place)
        yield Example(record, sample.images, sample.place)
        count.records += 1
        count.images += len(record.image_paths())


def _refuse_tokens(record: Record, place: str) -> None:
    """Refuse what no text may hold, wherever it goes."""
    for problem in check_texts(record):
        if problem.rule is not ForeignImageTag:
            raise DataError(f"{place}: {problem.message}: delete it, as phi3v-data validate says")


def _refuse_tags(record: Record, place: str) -> None:
    texts = [record.system, *(text for turn in record.conversations for text in (turn.user, turn.assistant))]
    if tag := next(filter(None, map(_TAG.search, filter(None, texts))), None):
        raise DataError(
            f"{place}: a text holds {tag[0]}, which readers of this format take for a place: change the text, or "
            "export with --to hf, where parts say what they are"
        )
