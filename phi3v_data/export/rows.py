"""Rows of JSON, as llava and messages have them: a row's own keys, and what only this library knows."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from phi3v_data.export.images import ImageCopies
from phi3v_data.export.target import Target

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from phi3v_data.export.target import Example
    from phi3v_schemas import Record, Turn

__all__ = ["CARRIED", "RowTarget", "own_keys", "tagged"]

CARRIED = "phi3v"
"""The key of a row that holds, as JSON text, what its format has no place for: one column of one type, whatever the
rows, for those who read them with `datasets`."""

_KEPT = "kept in the key 'phi3v', which trainers pass over"
_TRAINERS = (
    "conversation conversations messages system image images video videos audio audios tools objects "  # everywhere
    "prompt completion chosen rejected text input_ids labels assistant_masks chat_template chat_template_kwargs "
    "query response history rejected_response rejected_messages channel margin loss loss_scale"  # of ms-swift
)
_TAKEN = frozenset({CARRIED, *_TRAINERS.split()})
"""Keys that mean something to a trainer: LLaVA's, LLaMA-Factory, TRL and ms-swift."""


class RowTarget(Target):
    """Base of the formats with rows of JSON beside a folder of images."""

    notes: Mapping[str, str] = {
        "images": "with images: an <image> stands in a line of its own for each, before the text of its turn",
        "unanswered": "without an answer to the last question: trainers want one, and pass over it or stop",
        "answers": f"with accepted answers: {_KEPT}",
        "group": f"with a group: {_KEPT}",
        "taken": f"with metadata whose keys mean something else to trainers: {_KEPT}",
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._images = ImageCopies(folder)

    @abstractmethod
    def row(self, record: Record, images: list[str]) -> dict[str, Any]:
        """Return the row of a record, without what it carries besides.

        Args:
            record: The record.
            images: The paths of its images in the export, in the order in which the model sees them.
        """

    def line(self, example: Example) -> bytes:
        """Copy the images of a record and return its row as JSON.

        Raises:
            DataError: An image cannot be copied.
        """
        record = example.record
        own = own_keys(record)
        kept = {key: value for key, value in (record.metadata or {}).items() if key not in own}
        answers = [turn.answers for turn in record.conversations]
        self.count(
            images=record.image_paths(),
            unanswered=record.conversations[-1].assistant is None,
            answers=any(answers),
            group=record.group,
            taken=kept,
        )
        carried = {
            "id": record.id,
            "source": record.source,
            "group": record.group,
            "answers": answers if any(answers) else None,
            "metadata": kept or None,
        }
        text = to_json({key: value for key, value in carried.items() if value is not None}).decode()
        row = self.row(record, self._images.copy(example))
        return to_json({"id": record.id, **row, **own, CARRIED: text})


def tagged(turn: Turn) -> str:
    """Return a question with a tag for each of its images before it."""
    return "<image>\n" * len(turn.images or ()) + turn.user


def own_keys(record: Record) -> dict[str, Any]:
    """Return the metadata that may stand in a row as it stood in the row that was converted."""
    return {key: value for key, value in (record.metadata or {}).items() if key not in _TAKEN}
