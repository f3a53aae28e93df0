"""What is counted of records, piece by piece, and put together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from phi3v_data.classes import LONGEST_CLASS, MOST_CLASSES, RECORDS_A_CLASS
from phi3v_data.stats.histogram import Histogram

if TYPE_CHECKING:
    from phi3v_data.stats.measure import Measured

__all__ = ["Answers", "Pictures", "Tally", "Texts"]

_MOST_SIZES = 1 << 16


@dataclass
class Texts:
    """Texts of one role.

    Args:
        number: How many.
        words: Their words, as white space parts them.
        characters: Their characters.
    """

    number: int = 0
    words: int = 0
    characters: int = 0

    def add(self, text: str) -> None:
        """Count a text."""
        self.number += 1
        self.words += len(text.split())
        self.characters += len(text)

    def merge(self, other: Texts) -> None:
        """Count what another has counted."""
        self.number += other.number
        self.words += other.words
        self.characters += other.characters


@dataclass
class Pictures:
    """Images, each as often as records name it.

    Args:
        unreadable: Those that are not there or are none.
        bytes: Of the files of the others.
        widths: In pixels.
        heights: Likewise.
        kilopixels: Width times height, in thousands of pixels.
        sizes: How often each width and height occurs, of the first 65,536 that occur.
        other_sizes: How many images have others.
        formats: By Pillow's name.
    """

    unreadable: int = 0
    bytes: int = 0
    widths: Histogram = field(default_factory=Histogram)
    heights: Histogram = field(default_factory=Histogram)
    kilopixels: Histogram = field(default_factory=Histogram)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    other_sizes: int = 0
    formats: Counter[str] = field(default_factory=Counter)

    def add(self, image: Measured | None) -> None:
        """Count an image; None stands for one that could not be read."""
        if image is None:
            self.unreadable += 1
            return
        self.bytes += image.bytes
        self.widths.add(image.width)
        self.heights.add(image.height)
        self.kilopixels.add(round(image.width * image.height / 1000))
        self.formats[image.format] += 1
        self._add_size((image.width, image.height), 1)

    def merge(self, other: Pictures) -> None:
        """Count what another has counted."""
        self.unreadable += other.unreadable
        self.bytes += other.bytes
        self.widths.merge(other.widths)
        self.heights.merge(other.heights)
        self.kilopixels.merge(other.kilopixels)
        self.formats.update(other.formats)
        self.other_sizes += other.other_sizes
        for size, count in other.sizes.items():
            self._add_size(size, count)

    def _add_size(self, size: tuple[int, int], count: int) -> None:
        if size in self.sizes or len(self.sizes) < _MOST_SIZES:
            self.sizes[size] += count
        else:
            self.other_sizes += count


class Answers:
    """The answers of last turns, as long as they are few and short enough for classes."""

    def __init__(self) -> None:
        self._counts: Counter[str] | None = Counter()

    @property
    def classes(self) -> Counter[str] | None:
        """How often each class is the answer; None where the answers are too many, too long or too varied for that."""
        if not self._counts or self._counts.total() < RECORDS_A_CLASS * len(self._counts):
            return None
        return self._counts

    @property
    def imbalance(self) -> float | None:
        """Records of the most frequent class for each of the rarest; None where there are no classes."""
        return None if self.classes is None else max(self.classes.values()) / min(self.classes.values())

    def ranked(self) -> list[tuple[str, int]]:
        """Return the classes, the most frequent first and equal ones by name; none where there are none."""
        return sorted((self.classes or Counter()).items(), key=lambda item: (-item[1], item[0]))

    def add(self, answer: str) -> None:
        """Count an answer."""
        if len(answer) > LONGEST_CLASS:
            self._counts = None
        elif self._counts is not None:
            self._counts[answer] += 1
            if len(self._counts) > MOST_CLASSES:
                self._counts = None

    def merge(self, other: Answers) -> None:
        """Count what another has counted."""
        if self._counts is None or other._counts is None:
            self._counts = None
        else:
            self._counts.update(other._counts)
            if len(self._counts) > MOST_CLASSES:
                self._counts = None


@dataclass
class Tally:
    """All that is counted of some records.

    Args:
        broken: Lines that hold no record; nothing else is counted of them.
        prompts: Records without an answer in their last turn.
        turns: Of each record.
        images: Those that each record names.
        tokens: Of each record.
        image_tokens: Of all images.
        too_long: Records with more tokens than the limit.
        user: What users say.
        assistant: What is answered.
        pictures: The images, where they were looked at.
        answers: Those of last turns.
    """

    broken: int = 0
    prompts: int = 0
    turns: Histogram = field(default_factory=Histogram)
    images: Histogram = field(default_factory=Histogram)
    tokens: Histogram = field(default_factory=Histogram)
    image_tokens: int = 0
    too_long: int = 0
    user: Texts = field(default_factory=Texts)
    assistant: Texts = field(default_factory=Texts)
    pictures: Pictures = field(default_factory=Pictures)
    answers: Answers = field(default_factory=Answers)

    @property
    def records(self) -> int:
        """The number of records."""
        return len(self.turns)

    @property
    def image_share(self) -> float | None:
        """The share of all tokens that are images'; None where there are no records."""
        return self.image_tokens / self.tokens.total if self.tokens.total else None

    def merge(self, other: Tally) -> None:
        """Count what another has counted."""
        self.broken += other.broken
        self.prompts += other.prompts
        self.image_tokens += other.image_tokens
        self.too_long += other.too_long
        self.turns.merge(other.turns)
        self.images.merge(other.images)
        self.tokens.merge(other.tokens)
        self.user.merge(other.user)
        self.assistant.merge(other.assistant)
        self.pictures.merge(other.pictures)
        self.answers.merge(other.answers)
