"""A Parquet file as the hub keeps datasets in: its rows without pictures, one picture, the names of its classes.

The format of pictures and the names of classes are those of `datasets`: a picture is a struct of `bytes` and `path`,
the features are JSON in the schema's metadata under the key `huggingface`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from phi3v_data.errors import CannotRun, UsageError
from phi3v_data.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["ParquetFile", "class_names"]

_FAULTS = (OSError, ValueError, NotImplementedError)  # what Arrow's own errors are
_ROWS = 1024
_PICTURES = 8


class ParquetFile:
    """One Parquet file, read forwards; of each column that `cell` is asked for, one row group is held.

    Args:
        path: The file.

    Raises:
        CannotRun: It is no Parquet file, or is cut short.
        MissingExtra: pyarrow is not installed.
    """

    def __init__(self, path: Path) -> None:
        parquet = require("pyarrow.parquet", extra="hub", purpose="Reading Parquet files")
        self.path = path
        try:
            self._file = parquet.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
        except _FAULTS as error:
            raise CannotRun(f"{path} cannot be read as Parquet ({_reason(error)}): get it anew") from error
        groups = (self._file.metadata.row_group(group).num_rows for group in range(self._file.num_row_groups))
        self._groups = list(groups)
        self._cursors: dict[str, _Cursor] = {}

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._file.schema_arrow.names)

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return sum(self._groups)

    def is_text(self, column: str) -> bool:
        """Return whether a column holds strings."""
        return str(self._file.schema_arrow.field(column).type) in ("string", "large_string", "string_view")

    @property
    def features(self) -> dict[str, Any]:
        """What `datasets` says of each column, such as {"label": {"names": […], "_type": "ClassLabel"}}, or nothing."""
        try:
            noted = json.loads((self._file.schema_arrow.metadata or {})[b"huggingface"])["info"]["features"]
        except (KeyError, TypeError, ValueError):
            return {}
        return noted if isinstance(noted, dict) else {}

    def rows(self, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield every row's values of some columns; pictures should not be among them.

        Raises:
            UsageError: It lacks one of the columns.
            CannotRun: The file is damaged.
        """
        if absent := [column for column in columns if column not in self.columns]:
            raise UsageError(f"{self.path} has no column {absent[0]!r}, as the first of the files has: take it out")
        try:
            for batch in self._file.iter_batches(_ROWS, columns=list(columns), use_threads=False):
                yield from batch.to_pylist()
        except _FAULTS as error:
            raise CannotRun(f"{self.path} is damaged ({_reason(error)}): get it anew") from error

    def cell(self, row: int, column: str) -> Any:
        """Return the value of one row; cheap for the rows that follow the last one asked for in its row group.

        Raises:
            ValueError: The file is damaged, or has no such column; the message says how.
        """
        try:
            group, within = self._locate(row)
            cursor = self._cursors.pop(column, None)  # one that fails is not taken up again
            if cursor is None or cursor.group != group or within < cursor.start:
                cursor = self._cursor(group, column)
            value = cursor.value(within)
        except _FAULTS as error:
            raise ValueError(_reason(error)) from error
        self._cursors[column] = cursor
        return value

    def _cursor(self, group: int, column: str) -> _Cursor:
        if column not in self.columns:
            raise ValueError(f"it has no column {column!r}")
        return _Cursor(
            group, self._file.iter_batches(_PICTURES, row_groups=[group], columns=[column], use_threads=False)
        )

    def _locate(self, row: int) -> tuple[int, int]:
        """Return the row group that holds a row, and the row's place in it."""
        for group, rows in enumerate(self._groups):
            if row < rows:
                return group, row
            row -= rows
        raise ValueError("it has fewer rows than were listed")


class _Cursor:
    """One column of a row group, read forwards in small batches."""

    def __init__(self, group: int, batches: Iterator[Any]) -> None:
        self.group = group
        self.start = 0
        self._batches = batches
        self._batch: list[Any] = []

    def value(self, row: int) -> Any:
        """Return the value of a row of the group; not before `start`."""
        while row >= self.start + len(self._batch):
            self.start += len(self._batch)
            self._batch = []
            batch = next(self._batches, None)
            if batch is None:
                raise ValueError("it has fewer rows than it says")
            self._batch = batch.column(0).to_pylist()
        return self._batch[row - self.start]


def class_names(file: ParquetFile, column: str) -> list[str] | None:
    """Return the names of a column's class numbers, as the data themselves state them; None for a column of text.

    Raises:
        UsageError: The column holds numbers, and nothing says what they mean.
    """
    feature = file.features.get(column)
    names = feature.get("names") if isinstance(feature, dict) else None
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return names
    if file.is_text(column):
        return None
    raise UsageError(
        f"{file.path} has numbers in its column {column!r} and names no classes, so what they mean cannot be known: "
        "take a copy whose features name them"
    )


def _reason(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")[:200] or type(error).__name__
