"""Parquet shards for the hub: a row a record, its messages in parts, its images embedded.

The features of `datasets` are JSON in the schema's metadata, under the key `huggingface`.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from phi3v_data.export.messages import messages_in_parts
from phi3v_data.extras import require

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.export.target import Example

__all__ = ["HubShard"]

_GROUP_BYTES = 16 << 20
_GROUP_ROWS = 100
_TEXT = {"dtype": "string", "_type": "Value"}
_FEATURES = {
    "id": _TEXT,
    "source": _TEXT,
    "group": _TEXT,
    "messages": [{"role": _TEXT, "content": [{"type": _TEXT, "text": _TEXT}]}],
    "images": [{"_type": "Image"}],
    "answers": [[_TEXT]],
    "metadata": _TEXT,
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
        self._arrow = require("pyarrow", extra="parquet", purpose="Writing Parquet files")
        parquet = require("pyarrow.parquet", extra="parquet", purpose="Writing Parquet files")
        self._schema = _schema(self._arrow)
        self._file = path.open("xb")
        compression = {"images.list.element.bytes": "none"}
        self._writer = parquet.ParquetWriter(self._file, self._schema, compression=compression, write_statistics=False)
        self._rows: list[dict[str, Any]] = []
        self._held = 0
        self.size = 0

    def __enter__(self) -> HubShard:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        with self._file:
            if kind is None:
                self._write_group()
                self._writer.close()
            else:
                with suppress(OSError):  # the disk may be full; it would try again, and complain, when it is collected
                    self._writer.close()

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
        self._rows.append(row)
        self._held += size
        self.size += size
        if self._held >= _GROUP_BYTES or len(self._rows) >= _GROUP_ROWS:
            self._write_group()

    def _write_group(self) -> None:
        if self._rows:
            self._writer.write_table(self._arrow.Table.from_pylist(self._rows, self._schema))
        self._rows, self._held = [], 0


def _schema(arrow: Any) -> Any:
    """Return the columns, with what `datasets` wants to know of them."""
    text, listed = arrow.string(), arrow.list_
    part = arrow.struct([("type", text), ("text", text)])
    types = {
        "messages": listed(arrow.struct([("role", text), ("content", listed(part))])),
        "images": listed(arrow.struct([("bytes", arrow.binary()), ("path", text)])),
        "answers": listed(listed(text)),
    }
    features = json.dumps({"info": {"features": _FEATURES}})
    return arrow.schema([(name, types.get(name, text)) for name in _FEATURES], metadata={"huggingface": features})
