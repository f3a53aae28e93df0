"""E5xx: how many tokens a record takes, which must not be more than the model can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3v_data.lengths import UNKNOWN_SIZE, TokenCounter
from phi3v_data.validate.rule import Problem, Rule

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from phi3v_schemas import Record

__all__ = ["LengthChecker", "RecordTooLong"]


class RecordTooLong(Rule):
    """The record takes more tokens than the model can."""

    code = "E509"
    slug = "record-too-long"
    message = "the record takes {least}{tokens:,} tokens, {images:,} of them for its images; the limit is {limit:,}"
    hint = (
        "Give it fewer images or turns or shorter texts, or allow fewer crops with --num_crops; or raise --max_length."
    )
    bad = "a record with 60 images of 1344x1344 pixels: 151,000 tokens at 16 crops"
    good = "a record with 8 images of 1344x1344 pixels: 20,000 tokens"


class LengthChecker:
    """Finds the records that are too long, by `TokenCounter`.

    Args:
        max_length: The most tokens a record may take.
        num_crops: The most crops an image is scaled to.
        tokenizer: The folder of the model's tokenizer.json; None leaves texts out, so that the count is the least.

    Raises:
        UsageError: The folder holds no tokenizer of this model.
        MissingExtra: The package `tokenizers` is not installed.
    """

    def __init__(self, max_length: int, num_crops: int, tokenizer: Path | None) -> None:
        self._max_length = max_length
        self._count = TokenCounter(num_crops, tokenizer)

    def may_be_too_long(self, line_bytes: int, images: int) -> bool:
        """Return whether a record may be too long, at the cost of a glance; no text has more tokens than bytes.

        Args:
            line_bytes: Bytes of its line.
            images: The number of its images.
        """
        return line_bytes + images * self._count.most_of_image > self._max_length

    def check(self, record: Record, sizes: Sequence[tuple[int, int]]) -> list[Problem]:
        """Return the problem of a record that is too long.

        Args:
            record: The record.
            sizes: Width and height in pixels of its images, in order; `UNKNOWN_SIZE`, or no size at all, where they are
                not known.
        """
        count = len(record.image_paths())
        sizes = sizes if len(sizes) == count else [UNKNOWN_SIZE] * count
        images = self._count.of_images(sizes)
        tokens = images + self._count.of_rest(record)
        if tokens <= self._max_length:
            return []
        least = "" if self._count.is_exact and UNKNOWN_SIZE not in sizes else "at least "
        problem = RecordTooLong.problem(least=least, tokens=tokens, images=images, limit=self._max_length)
        return [problem]
