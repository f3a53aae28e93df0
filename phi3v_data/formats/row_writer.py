"""Write Parquet with images inside, in columns that `datasets` and the hub's viewer understand.

Columns are given as the features of `datasets`, which go into the schema's metadata under the key `huggingface`, as it
writes them itself: text, images, lists and structs of these.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from phi3v_data.extras import require

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["IMAGES", "TEXT", "RowWriter", "pyarrow", "schema_of"]

TEXT = {"dtype": "string", "_type": "Value"}
"""A column of text."""

IMAGES = [{"_type": "Image"}]
"""A column of lists of images, each a struct of `bytes` and `path`."""

_GROUP_BYTES = 4 << 20
"""Bytes of a row group: what has to be read to reach one row, when they are read in random order."""

_GROUP_ROWS = 256


def pyarrow(module: str = "pyarrow") -> Any:
    """Import pyarrow, or one of its modules.

    Raises:
        MissingExtra: It is not installed.
    """
    return require(module, extra="parquet", purpose="Reading and writing Parquet files")


class RowWriter:
    """One Parquet file in the making; equal rows give equal bytes with the same release of pyarrow.

    Args:
        path: The file; it must not exist.
        features: Its columns; the one called `images` is not compressed, for its images are.

    Raises:
        MissingExtra: pyarrow is not installed.
    """

    def __init__(self, path: Path, features: Mapping[str, Any]) -> None:
        self._schema = schema_of(features)
        parquet = pyarrow("pyarrow.parquet")
        self._file = path.open("xb", buffering=0)
        self._writer = parquet.ParquetWriter(
            self._file, self._schema, compression={"images.list.element.bytes": "none"}, write_statistics=False
        )
        self._rows: list[dict[str, Any]] = []
        self._held = 0

    def add(self, row: dict[str, Any], size: int) -> None:
        """Write a row of about so many bytes."""
        self._rows.append(row)
        self._held += size
        if self._held >= _GROUP_BYTES or len(self._rows) >= _GROUP_ROWS:
            self._write_group()

    def close(self) -> None:
        """End the file and make it durable."""
        self._write_group()
        self._writer.close()
        os.fsync(self._file.fileno())
        self._file.close()

    def abandon(self) -> None:
        """Close the unfinished file."""
        with suppress(OSError):  # the disk may be full; it would try again, and complain, when it is collected
            self._writer.close()
        self._file.close()

    def _write_group(self) -> None:
        if self._rows:
            self._writer.write_table(pyarrow().Table.from_pylist(self._rows, self._schema))
        self._rows, self._held = [], 0


def schema_of(features: Mapping[str, Any]) -> Any:
    """Return the Arrow schema of columns, which says what `datasets` wants to know of them."""
    arrow = pyarrow()
    columns = [(name, _type_of(feature, arrow)) for name, feature in features.items()]
    return arrow.schema(columns, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def _type_of(feature: Any, arrow: Any) -> Any:
    if isinstance(feature, list):
        return arrow.list_(_type_of(feature[0], arrow))
    if feature == TEXT:
        return arrow.string()
    if feature == IMAGES[0]:
        return arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    return arrow.struct([(name, _type_of(inner, arrow)) for name, inner in feature.items()])
