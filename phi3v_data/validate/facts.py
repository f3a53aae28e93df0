"""What is noted of every record of a dataset while it is read, so that records can be held against each other.

Of each line there are 64-bit hashes, on disk where they are many. A line's place counts all lines of all files of the
dataset, from 0. Where hashes say that two records may be equal, they are read again.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from xxhash import xxh3_64_intdigest

from phi3v_data.classes import LONGEST_CLASS, MOST_CLASSES
from phi3v_data.formats.kinds import open_record_file
from phi3v_data.formats.record_file import BadShard
from phi3v_data.lines import read_lines
from phi3v_data.validate.columns import NOTHING, Column
from phi3v_data.validate.decode import try_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from phi3v_data.formats.images import ImageStore
    from phi3v_data.image_folder import ImageFolder
    from phi3v_data.validate.look import Look
    from phi3v_schemas import Record

__all__ = ["DatasetFacts", "FileSpan", "PieceFacts", "Reread", "content_of", "hash_of", "question_of"]

_SEPARATOR = "\x1f"  # no image path holds a control character


def hash_of(text: str) -> int:
    """Return the 64-bit hash (XXH3) under which a text stands in a column; it is never `NOTHING`."""
    return xxh3_64_intdigest(text.encode()) or 1


def question_of(record: Record) -> str:
    """Return what the first turn asks, as one text: the system prompt, the images in order and the user's text."""
    turn = record.conversations[0]
    return _SEPARATOR.join((record.system or "", *(turn.images or ()), "", turn.user))


def content_of(record: Record, question: str | None = None) -> str:
    """Return all that the model is shown and taught by a record, as one text.

    Args:
        record: The record.
        question: Its `question_of`, where that is known.
    """
    first, *others = record.conversations
    parts = [question_of(record) if question is None else question, first.assistant or ""]
    for turn in others:
        parts += ["", *(turn.images or ()), "", turn.user, turn.assistant or ""]
    return _SEPARATOR.join(parts)


class PieceFacts:
    """The facts of some lines, in order; what a worker hands to the run.

    Args:
        related: Whether to note what records are compared by, besides their ids.
    """

    def __init__(self, *, related: bool) -> None:
        self.related = related
        self.ids = array("Q")
        self.groups = array("Q")
        self.questions = array("Q")
        self.contents = array("Q")
        self.answers: Counter[str] | None = Counter()
        self.images = array("Q")
        self.fingerprints = array("Q")
        self.likenesses = array("Q")
        self.image_lines = array("Q")

    def skip(self) -> None:
        """Note a line that holds no record."""
        self.ids.append(NOTHING)
        if self.related:
            for column in (self.groups, self.questions, self.contents):
                column.append(NOTHING)

    def relate(self, record: Record) -> None:
        """Note what a record is compared by, besides its id."""
        self.groups.append(NOTHING if record.group is None else hash_of(record.group))
        question = question_of(record)
        self.questions.append(hash_of(question))
        self.contents.append(hash_of(content_of(record, question)))
        if self.answers is not None and (answer := record.conversations[-1].assistant) is not None:
            self._count(answer)

    def add_image(self, path: str, look: Look) -> None:
        """Note an image of the line that is noted next."""
        self.images.append(hash_of(path))
        self.fingerprints.append(look.fingerprint)
        self.likenesses.append(NOTHING if look.likeness is None else look.likeness or 1)
        self.image_lines.append(len(self.ids))

    def _count(self, answer: str) -> None:
        """Count an answer, as long as they may be classes."""
        answers = self.answers or Counter()
        answers[answer] += 1
        self.answers = None if len(answer) > LONGEST_CLASS or len(answers) > MOST_CLASSES else answers


@dataclass
class FileSpan:
    """A file of a dataset and the places of its lines.

    Args:
        name: Its name in findings.
        path: Where it can be read again.
        split: The split it belongs to.
        start: The place of its first line.
        images: Where the images of its records are, unless it is a shard, which holds them.
        is_shard: Whether it holds images beside its records.
        pieces: Of JSON lines: place and byte offset at which a piece of it begins, ascending.
    """

    name: str
    path: Path
    split: str
    start: int
    images: ImageFolder
    is_shard: bool
    pieces: list[tuple[int, int]] = field(default_factory=list)


class Reread(NamedTuple):
    """A record that was read again, and what hands out its images."""

    place: int
    record: Record
    images: ImageStore


class DatasetFacts:
    """The facts of a whole dataset.

    Attributes:
        ids, groups, questions, contents: Columns with a hash for each line; the last three are empty where records are
            not compared.
        images, fingerprints, likenesses, image_places: Columns with a number for each image that a record names: the
            hash of its path, that of its bytes' ends and size, its likeness (all may be `NOTHING`), its record's place.
        answers: By split, how often each answer is given in the last turn; None where they are too many or too long
            to be classes.
        files: The files, in order.
    """

    def __init__(self) -> None:
        self.ids, self.groups, self.questions, self.contents = (Column() for _ in range(4))
        self.images, self.fingerprints, self.likenesses, self.image_places = (Column() for _ in range(4))
        self.answers: dict[str, Counter[str] | None] = {}
        self.files: list[FileSpan] = []

    @property
    def splits(self) -> list[str]:
        """The splits, in the order of their first files."""
        return list(dict.fromkeys(span.split for span in self.files))

    def add(self, facts: PieceFacts) -> None:
        """Append the facts of the next lines of the last file."""
        start = len(self.ids)
        for name in ("ids", "groups", "questions", "contents", "images", "fingerprints", "likenesses"):
            getattr(self, name).extend(getattr(facts, name))
        self.image_places.extend(array("Q", (start + line for line in facts.image_lines)))
        if facts.related:
            split = self.files[-1].split
            before = self.answers.get(split, Counter())
            both = None if before is None or facts.answers is None else before + facts.answers
            self.answers[split] = None if both is None or len(both) > MOST_CLASSES else both

    def span_of(self, place: int) -> FileSpan:
        """Return the file that a place is in."""
        return self.files[bisect_right(self.files, place, key=lambda span: span.start) - 1]

    def where(self, place: int) -> tuple[str, int]:
        """Return the file's name and the line, or the record's number in a shard, from 1."""
        span = self.span_of(place)
        return span.name, place - span.start + 1

    def place_name(self, place: int) -> str:
        """Return FILE:LINE."""
        return "{}:{}".format(*self.where(place))

    def split_at(self, place: int) -> str:
        """Return the split that a place belongs to."""
        return self.span_of(place).split

    def ranges(self) -> Iterator[tuple[str, int, int]]:
        """Yield split, first place and the place behind the last, file by file."""
        for index, span in enumerate(self.files):
            following = self.files[index + 1 : index + 2]
            yield span.split, span.start, following[0].start if following else len(self.ids)

    def read_one(self, place: int) -> Reread | None:
        """Read one record again; None where there is none any more."""
        return next(self.read(np.array([place])), None)

    def read(self, places: NDArray[np.int64] | Sequence[int]) -> Iterator[Reread]:
        """Read records again; a line that holds none any more is passed over.

        Args:
            places: Ascending.
        """
        wanted = np.asarray(places, dtype=np.int64)
        ends = [end for _, _, end in self.ranges()]
        for span, end in zip(self.files, ends, strict=True):
            low, high = np.searchsorted(wanted, (span.start, end))
            if low < high:
                yield from _read_file(span, wanted[low:high])


def _read_file(span: FileSpan, wanted: NDArray[np.int64]) -> Iterator[Reread]:
    places = iter(wanted.tolist())
    place = next(places)
    for at, data, images in _samples(span, place):
        if at != place:
            continue
        if (record := try_record(data)) is not None:
            yield Reread(place, record, images)
        following = next(places, None)
        if following is None:
            return
        place = following


def _samples(span: FileSpan, place: int) -> Iterator[tuple[int, bytes | None, ImageStore]]:
    """Iterate over the lines of a file from one not behind `place`: the place of each, its bytes, its images."""
    try:
        if span.is_shard:
            for sample in open_record_file(span.path, span.images).samples():
                yield span.start + sample.number - 1, sample.data, sample.images
            return
        first, offset = span.pieces[bisect_right(span.pieces, place, key=lambda piece: piece[0]) - 1]
        with span.path.open("rb") as file:
            file.seek(offset)
            for line in read_lines(file):
                yield first + line.number - 1, line.data, span.images
    except (OSError, BadShard):  # gone or changed since: the run says so
        return
