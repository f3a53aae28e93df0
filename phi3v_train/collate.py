"""Records of any kind to one batch: texts alone, one image, several images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, NotRequired, TypedDict

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Batch", "Collator", "Example", "Failure"]

_NOTHING_TO_LEARN = -100


class Example(TypedDict):
    """A record, ready for a batch.

    Attributes:
        input_ids: Tokens; image n is copies of -n.
        labels: As many, -100 where nothing is to be learnt; absent in a prompt.
        pixel_values: uint8, (tiles, 3, 336, 336), of the record's images in order; absent without images.
        image_sizes: int64, (images, 2), padded height and width in pixels; likewise.
        record: Its id and its dataset, for messages.
    """

    input_ids: Sequence[int]
    labels: NotRequired[Sequence[int]]
    pixel_values: NotRequired[Tensor]
    image_sizes: NotRequired[Tensor]
    record: str


class Failure(NamedTuple):
    """Why a record cannot be trained on.

    It is returned, not raised: an exception comes out of a process that reads as a traceback in a message.
    """

    sentence: str


class Batch(TypedDict, total=False):
    """What the model takes, and names for its rows; or `failure` with labels of nothing, which a loop may count first.

    Attributes:
        input_ids: int64, (batch, sequence).
        labels: int64, (batch, sequence), -100 where nothing is to be learnt; absent for prompts.
        attention_mask: int64, (batch, sequence), 0 where a row is padded.
        pixel_values: uint8, (tiles, 3, 336, 336), of all images in order; absent where there is none.
        image_sizes: int64, (images, 2), padded height and width in pixels; likewise.
        records: Each row's id and dataset.
        failure: Why there is no batch. An exception would come out of a process that reads as a traceback.
    """

    input_ids: Tensor
    labels: Tensor
    attention_mask: Tensor
    pixel_values: Tensor
    image_sizes: Tensor
    records: list[str]
    failure: str


class Collator:
    """Makes batches, padded to the longest of their records.

    Args:
        pad_id: Token to pad with. It may be one of the text too: the mask comes from lengths.
        side: Where; prompts that are to be gone on with are padded on the left.
    """

    def __init__(self, pad_id: int, side: Literal["left", "right"] = "right") -> None:
        self._pad_id = pad_id
        self._side = side

    def __call__(self, examples: Sequence[Example | Failure]) -> Batch:
        """Return the batch of some examples, or the first failure among them."""
        rows: list[Example] = []
        for example in examples:
            if isinstance(example, Failure):
                return {"failure": example.sentence, "labels": torch.full((1, 1), _NOTHING_TO_LEARN)}
            rows.append(example)
        batch: Batch = {
            "input_ids": self._padded([row["input_ids"] for row in rows], self._pad_id),
            "attention_mask": self._padded([[1] * len(row["input_ids"]) for row in rows], 0),
            "records": [row["record"] for row in rows],
        }
        if "labels" in rows[0]:
            batch["labels"] = self._padded([row["labels"] for row in rows], _NOTHING_TO_LEARN)
        if images := [row for row in rows if "pixel_values" in row]:
            batch["pixel_values"] = torch.cat([row["pixel_values"] for row in images])
            batch["image_sizes"] = torch.cat([row["image_sizes"] for row in images])
        return batch

    def _padded(self, rows: Sequence[Sequence[int]], value: int) -> Tensor:
        padded = torch.full((len(rows), max(map(len, rows))), value)
        for row, target in zip(rows, padded, strict=True):
            place = slice(len(row)) if self._side == "right" else slice(len(target) - len(row), None)
            target[place] = torch.tensor(row)
        return padded
