"""Parquet shards for the hub: a row a record, its messages in parts, its images embedded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic_core import to_json

from phi3v_data.export.messages import messages_in_parts
from phi3v_data.formats.row_writer import IMAGES, TEXT, RowWriter

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.export.target import Example

__all__ = ["HubShard"]

_FEATURES = {
    "id": TEXT,
    "source": TEXT,
    "group": TEXT,
    "messages": [{"role": TEXT, "content": [{"type": TEXT, "text": TEXT}]}],
    "images": IMAGES,
    "answers": [[TEXT]],
    "metadata": TEXT,
}


class HubShard:
    """A shard in the making.

    Args:
        path: The file; it must not exist.

    Attributes:
        size: Bytes of the images and texts so far.

    Raises:
        MissingExtra: pyarrow is not installed.
    """

    def __init__(self, path: Path) -> None:
        self._rows = RowWriter(path, _FEATURES)
        self.size = 0

    def __enter__(self) -> HubShard:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self._rows.close()
        else:
            self._rows.abandon()

    def add(self, example: Example) -> None:
        """Write a record and its images.

        Raises:
            DataError: An image cannot be read.
        """
        record = example.record
        answers = [turn.answers or [] for turn in record.conversations]
        paths = record.image_paths()
        pictures = [example.read(path) for path in paths]
        row = {
            "id": record.id,
            "source": record.source,
            "group": record.group,
            "messages": messages_in_parts(record),
            "images": [{"bytes": data, "path": path} for path, data in zip(paths, pictures, strict=True)],
            "answers": answers if any(answers) else None,
            "metadata": None if record.metadata is None else to_json(record.metadata).decode(),
        }
        size = len(record.to_line()) + sum(map(len, pictures))
        self._rows.add(row, size)
        self.size += size
