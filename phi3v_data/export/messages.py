r"""Chat messages: JSON lines for each split, `train.jsonl`, with `role` and `content`, and a list of images.

    {"id": "train-0000000000", "messages": [
     {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What colour is the bus?"}]},
     {"role": "assistant", "content": [{"type": "text", "text": "White and red."}]}],
     "images": ["images/train/000000001.0.jpg"], "phi3v": "{\"id\":\"train-0000000000\",\"source\":\"messages\"}"}

Every content is a list of parts, a system prompt's too, so that `datasets` and TRL find one type in the column; or, for
ms-swift, a text with `<image>` tags.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phi3v_data.export.rows import RowTarget, own_keys, tagged

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from phi3v_data.export.target import Example, SplitCount
    from phi3v_schemas import Manifest, Record

__all__ = ["MessagesTarget", "messages_in_parts"]


_FIRST_BLOCK = 10 << 20
"""Bytes of a file of JSON lines from which `datasets` learns its columns and their types."""

_NOTES = {
    "late": "with a key or images that no record of the file's first 10 MB has: `datasets` stops there unless it is "
    "given features; --to hf declares them"
}


class MessagesTarget(RowTarget):
    """Writes chat messages.

    Args:
        folder: As in `Target`.
        image_tags: Whether contents are texts with `<image>` tags instead of lists of parts.
    """

    def __init__(self, folder: Path, *, image_tags: bool = False) -> None:
        super().__init__(folder)
        self._to_messages = _messages_with_tags if image_tags else messages_in_parts
        left_out = () if image_tags else ("images",)
        self.notes = {code: note for code, note in {**self.notes, **_NOTES}.items() if code not in left_out}

    def write_split(self, split: str, examples: Iterable[Example]) -> None:
        """Write the rows of a split."""
        seen: set[str] = set()
        with (self.folder / f"{split}.jsonl").open("xb") as file:
            for example in examples:
                columns = _columns(example.record)
                if file.tell() < _FIRST_BLOCK:
                    seen |= columns
                self.count(late=columns - seen)
                file.write(self.line(example) + b"\n")

    def finish(self, splits: Mapping[str, SplitCount], manifest: Manifest | None) -> None:
        """Write nothing more."""

    def row(self, record: Record, images: list[str]) -> dict[str, Any]:
        """Return the row of a record."""
        return {"messages": self._to_messages(record), "images": images}


def _columns(record: Record) -> set[str]:
    """Return the columns that some rows may have and others not, or not of the same type: an empty list has none."""
    return {*own_keys(record), *(["images"] if record.image_paths() else [])}


def messages_in_parts(record: Record) -> list[dict[str, Any]]:
    """Return a conversation whose contents are lists of parts, the images of a turn before its text."""
    messages = [] if record.system is None else [_message("system", record.system)]
    for turn in record.conversations:
        messages.append(_message("user", turn.user, images=len(turn.images or ())))
        if turn.assistant is not None:
            messages.append(_message("assistant", turn.assistant))
    return messages


def _message(role: str, text: str, images: int = 0) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "image"}] * images + [{"type": "text", "text": text}]}


def _messages_with_tags(record: Record) -> list[dict[str, Any]]:
    messages = [] if record.system is None else [{"role": "system", "content": record.system}]
    for turn in record.conversations:
        messages.append({"role": "user", "content": tagged(turn)})
        if turn.assistant is not None:
            messages.append({"role": "assistant", "content": turn.assistant})
    return messages
