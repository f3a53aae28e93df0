"""How many tokens records take, found with little work: most are not tokenized, nor are their images opened."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from phi3v_data.errors import DataError
from phi3v_data.tokens import CROP, grid_tokens, hd_size
from phi3v_train.encode import cut, training_images
from phi3v_train.faults import describe_fault
from phi3v_train.sources import BadData

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phi3v_data.formats.images import ImageStore
    from phi3v_schemas import Record
    from phi3v_train.encode import Encoder
    from phi3v_train.sources import Source

__all__ = ["Length", "Measure", "Scan"]


class Length(NamedTuple):
    """The exact length of a record.

    Attributes:
        tokens: All of them.
        image_tokens: Those of its images.
        images: How many images it has.
        crops: Those of its images, an overview of each among them.
        text_bound: What `Encoder.text_length_bound` says.
    """

    tokens: int
    image_tokens: int
    images: int
    crops: int
    text_bound: int


def _numbers() -> array[int]:
    return array("I")


@dataclass
class Scan:
    """What was found in a stretch of records.

    Attributes:
        too_long: Positions of those over the limit.
        tokens: The exact lengths of the same.
        longest: Of the one among the others that may be the longest: its bound and its position.
        texts: Each record's bound of its text's tokens; only where all lengths are wanted.
        images: Each record's exact number of its images' tokens; likewise.
    """

    too_long: array[int] = field(default_factory=_numbers)
    tokens: array[int] = field(default_factory=_numbers)
    longest: tuple[int, int] | None = None
    texts: array[int] = field(default_factory=_numbers)
    images: array[int] = field(default_factory=_numbers)


class Measure:
    """Measures the records of a split; it can be sent to other processes.

    Args:
        source: The split.
        encoder: Writes a record as tokens.
        num_crops: Most tiles of an image.
        limit: Most tokens of a record.
        cuts: Whether longer records are cut, which not all can be.
        all_lengths: Whether a scan estimates the length of each record, for which it opens all images.
    """

    def __init__(
        self, source: Source, encoder: Encoder, *, num_crops: int, limit: int, cuts: bool, all_lengths: bool
    ) -> None:
        self.source = source
        self.limit = limit
        self._split = source.dataset.split(source.split)
        self._encoder = encoder
        self._num_crops = num_crops
        self._cuts = cuts
        self._all_lengths = all_lengths

    def __len__(self) -> int:
        return len(self._split)

    def place(self, position: int) -> str:
        """Return where a record stands, as FILE:LINE."""
        return self._split.place(position)

    def length(self, position: int) -> Length:
        """Measure one record exactly.

        Raises:
            BadData: It cannot be trained on.
        """
        try:
            record, images = self._split.load(position)
            grids = self._grids(images, training_images(record))
            of_images = [grid_tokens(*grid) for grid in grids]
            tokens = len(self._encoder.encode(record, of_images).input_ids)
        except (DataError, OSError) as error:
            raise self._bad_data(position, error) from None
        crops = sum(columns * rows + 1 for columns, rows in grids)
        return Length(tokens, sum(of_images), len(of_images), crops, self._encoder.text_length_bound(record))

    def scan(self, positions: range) -> Scan:
        """Look for records that cannot be trained on or are too long.

        Raises:
            BadData: A record cannot be trained on.
        """
        scan = Scan()
        for position in positions:
            try:
                self._scan(position, scan)
            except (DataError, OSError) as error:
                raise self._bad_data(position, error) from None
        return scan

    def _scan(self, position: int, scan: Scan) -> None:
        record, store = self._split.load(position)
        paths = training_images(record)
        text = self._encoder.text_length_bound(record)
        bound = text + len(paths) * self._most_of_an_image
        if self._all_lengths or bound > self.limit or record.conversations[0].assistant is None:
            images = [grid_tokens(*grid) for grid in self._grids(store, paths)]
            if self._all_lengths:
                scan.texts.append(text)
                scan.images.append(sum(images))
            if tokens := self._excessive(record, text, images):
                scan.too_long.append(position)
                scan.tokens.append(tokens)
                return
        scan.longest = max(scan.longest or (0, 0), (bound, position))

    def _excessive(self, record: Record, text: int, images: Sequence[int]) -> int | None:
        """Return the exact length of a record that is over the limit; one that has no answer is refused."""
        if text + sum(images) <= self.limit and record.conversations[0].assistant is not None:
            return None
        encoding = self._encoder.encode(record, images)
        if (length := len(encoding.input_ids)) <= self.limit:
            return None
        if self._cuts:
            cut(encoding, self.limit)
        return length

    def _grids(self, images: ImageStore, paths: Sequence[str]) -> list[tuple[int, int]]:
        """Return the columns and rows of crops of each image, by the sizes in their headers."""
        headers = map(images.header, paths)
        sizes = (hd_size(header.width, header.height, self._num_crops) for header in headers)
        return [(width // CROP, height // CROP) for width, height in sizes]

    @cached_property
    def _most_of_an_image(self) -> int:
        crops = self._num_crops
        return max(grid_tokens(columns, crops // columns) for columns in range(1, crops + 1))

    def _bad_data(self, position: int, error: Exception) -> BadData:
        return BadData(describe_fault(self.source.dataset, self._split, position, error))
