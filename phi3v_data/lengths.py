"""How many tokens a record takes, laid out for training; an evaluation prompt counts up to where answers begin."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from phi3v_data.errors import UsageError
from phi3v_data.extras import require
from phi3v_data.tokens import ImpossibleSize, grid_tokens, image_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from phi3v_schemas import Record

__all__ = ["BYTES_PER_TOKEN", "UNKNOWN_SIZE", "TokenCounter"]

BYTES_PER_TOKEN = 3.5
"""Of UTF-8, for an estimate where texts are not tokenized.

Measured with the published tokenizer: of 120 questions of NLVR2's dev split and their answers the estimate is 1 % too
much. Of other English it was from 17 % too few (records of a few short words) to 13 % too many (long prompts of plain
words); other scripts take more tokens.
"""

UNKNOWN_SIZE = (0, 0)
"""Stands for the size of an image that could not be read: it counts as the smallest."""

_NEWLINE = 2  # tokens of a new line by itself in the published tokenizer: the space put before it, and it


class TokenCounter:
    """Counts the tokens of records: those of images exactly, those of texts exactly with the model's tokenizer.

    Args:
        num_crops: The most crops an image is scaled to.
        tokenizer: The folder of the model's tokenizer.json; None counts texts by their bytes.
        bytes_per_token: Bytes of UTF-8 that stand for a token where there is no tokenizer; None counts texts as 0,
            so that the count is the least.

    Raises:
        UsageError: The folder holds no tokenizer of this model.
        MissingExtra: The package `tokenizers` is not installed.
    """

    def __init__(self, num_crops: int, tokenizer: Path | None = None, *, bytes_per_token: float | None = None) -> None:
        self._num_crops = num_crops
        self._plain = None if tokenizer is None else _load(tokenizer)
        self._bytes_per_token = bytes_per_token
        self._newline = _NEWLINE if self._plain is None else self._in_text("\n")
        self._least_image = min(grid_tokens(long, short) for long, short in _grids(num_crops))
        self.most_of_image = (num_crops + 1) * (grid_tokens(1, 1) - grid_tokens(0, 1) + 12) + 2
        """More than any image takes, with what stands around it."""

    @property
    def is_exact(self) -> bool:
        """Whether texts are counted by the model's tokenizer."""
        return self._plain is not None

    def of_images(self, sizes: Sequence[tuple[int, int]]) -> int:
        """Count the tokens that stand for images themselves.

        Args:
            sizes: Width and height in pixels of each; `UNKNOWN_SIZE` where it is not known.
        """
        return sum(self._in_image(size) for size in sizes)

    def of_rest(self, record: Record) -> int:
        """Count texts and what stands around them: each turn is between marks of who speaks, the whole between two."""
        turn_end = 1 + self._newline
        tokens = 1
        if record.system is not None:
            tokens += 1 + self._in_text("\n" + record.system) + turn_end
        for turn in record.conversations:
            tokens += 1 + self._in_text("\n" + turn.user) + turn_end + 1
            tokens += len(turn.images or ()) * (self._newline + 1)
            if turn.assistant is None:
                return tokens
            tokens += self._in_text(turn.assistant) + turn_end
        return tokens + 1

    def _in_image(self, size: tuple[int, int]) -> int:
        if size == UNKNOWN_SIZE:
            return self._least_image
        return _tokens_of(size, self._num_crops) or self._least_image

    def _in_text(self, text: str) -> int:
        if self._plain is not None:
            return len(self._plain.encode(text, add_special_tokens=False).ids)
        return 0 if self._bytes_per_token is None else round(len(text.encode()) / self._bytes_per_token)


@lru_cache(maxsize=4096)
def _tokens_of(size: tuple[int, int], num_crops: int) -> int:
    """Return the tokens of an image; 0 for one that the model cannot take."""
    try:
        return image_tokens(*size, num_crops)
    except ImpossibleSize:
        return 0


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
