"""E5xx: how many tokens a record takes, which must not be more than the model can."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from phi3v_data.errors import UsageError
from phi3v_data.extras import require
from phi3v_data.tokens import ImpossibleSize, grid_tokens, image_tokens
from phi3v_data.validate.rule import Problem, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from phi3v_schemas import Record

__all__ = ["LengthChecker", "RecordTooLong"]

_NEWLINE = 2  # tokens of a new line by itself in the published tokenizer: the space put before it, and it
_UNKNOWN = (0, 0)


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
    """Counts the tokens of records as they are laid out for training, and evaluation prompts up to where answers begin.

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
        self._num_crops = num_crops
        self._plain = None if tokenizer is None else _load(tokenizer)
        self._newline = _NEWLINE if self._plain is None else self._text_tokens("\n")
        self._least_image = _least_tokens(num_crops)
        self._most_image = (num_crops + 1) * (grid_tokens(1, 1) - grid_tokens(0, 1) + 12) + 2

    def may_be_too_long(self, line_bytes: int, images: int) -> bool:
        """Return whether a record may be too long, at the cost of a glance; no text has more tokens than bytes.

        Args:
            line_bytes: Bytes of its line.
            images: The number of its images.
        """
        return line_bytes + images * self._most_image > self._max_length

    def check(self, record: Record, sizes: Sequence[tuple[int, int]]) -> list[Problem]:
        """Return the problem of a record that is too long.

        Args:
            record: The record.
            sizes: Width and height in pixels of its images, in order; (0, 0), or no size at all, where they are not
                known.
        """
        count = len(record.image_paths())
        sizes = sizes if len(sizes) == count else [_UNKNOWN] * count
        images = sum(self._image_tokens(size) for size in sizes)
        tokens = images + count * (self._newline + 1) + self._other_tokens(record)
        if tokens <= self._max_length:
            return []
        least = "at least " if self._plain is None or _UNKNOWN in sizes else ""
        problem = RecordTooLong.problem(least=least, tokens=tokens, images=images, limit=self._max_length)
        return [problem]

    def _image_tokens(self, size: tuple[int, int]) -> int:
        if size == _UNKNOWN:
            return self._least_image
        return _tokens_of(size, self._num_crops) or self._least_image

    def _other_tokens(self, record: Record) -> int:
        """Count texts and what stands around them: each turn is between marks of who speaks, the whole between two."""
        turn_end = 1 + self._newline
        tokens = 1
        if record.system is not None:
            tokens += 1 + self._text_tokens("\n" + record.system) + turn_end
        for turn in record.conversations:
            tokens += 1 + self._text_tokens("\n" + turn.user) + turn_end + 1
            if turn.assistant is None:
                return tokens
            tokens += self._text_tokens(turn.assistant) + turn_end
        return tokens + 1

    def _text_tokens(self, text: str) -> int:
        return 0 if self._plain is None else len(self._plain.encode(text, add_special_tokens=False).ids)


@lru_cache(maxsize=4096)
def _tokens_of(size: tuple[int, int], num_crops: int) -> int:
    """Return the tokens of an image; 0 for one that the model cannot take."""
    try:
        return image_tokens(*size, num_crops)
    except ImpossibleSize:
        return 0


def _least_tokens(num_crops: int) -> int:
    """Return the fewest tokens that an image of any size takes."""
    return min(grid_tokens(long, short) for long, short in _grids(num_crops))


def _grids(num_crops: int) -> Iterator[tuple[int, int]]:
    """Yield the grids, long side first, that no image outgrows: one more crop on either side would be too many."""
    for long in range(1, num_crops + 1):
        for short in range(1, min(long, num_crops // long) + 1):
            if (long + 1) * (short + 1) > num_crops:
                yield long, short


def _load(folder: Path) -> Any:
    """Load a tokenizer to which every text is nothing but text."""
    tokenizers = require("tokenizers", extra="train", purpose="counting the tokens of texts")
    path = folder / "tokenizer.json"
    try:
        pipeline = json.loads(path.read_bytes())
        if "<|assistant|>" not in {token["content"] for token in pipeline["added_tokens"]}:
            raise ValueError("it has no <|assistant|>")
        pipeline |= {"added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
        return tokenizers.Tokenizer.from_str(json.dumps(pipeline))
    except OSError as error:
        fault = error.strerror or str(error)
    except Exception as error:  # tokenizers raises plain ones
        fault = str(error).partition("\n")[0][:200]
    raise UsageError(f"{path} is no tokenizer of the model ({fault}): name the folder of a Phi-3.5-vision checkpoint")
