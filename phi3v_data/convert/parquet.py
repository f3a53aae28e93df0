"""Parquet files as the hub keeps datasets in: which split each one holds, its rows without pictures, one picture.

The format of pictures and the names of classes are those of `datasets`: a picture is a struct of `bytes` and `path`,
the features are JSON in the schema's metadata under the key `huggingface`.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from xxhash import xxh3_64_hexdigest

from phi3v_data.convert.patterns import choose_by_pattern, configurations, usable_names
from phi3v_data.errors import CannotRun, UsageError
from phi3v_data.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["ParquetFile", "class_names", "find_parquet", "fingerprint", "shard_name"]

_KNOWN = r"(?P<split>(?:train|validation|valid|val|dev|test)\w*)"
_NAMES = (  # of a path, in the order in which they are tried
    re.compile(rf".+/(?:partial-)?{_KNOWN}/\d{{4,}}\.parquet", re.ASCII | re.IGNORECASE),
    re.compile(rf"(?:.+/)?{_KNOWN}-\d{{5}}-of-\d{{5}}(?:-[0-9a-f]{{16}})?\.parquet", re.ASCII | re.IGNORECASE),
    re.compile(r".*(?<![a-z])(?P<split>train|validation|valid|val|dev|test)(?![a-z]).*", re.ASCII | re.IGNORECASE),
)
_SPLITS = {"validation": "val", "valid": "val", "dev": "val"}
_FAULTS = (OSError, ValueError, NotImplementedError)  # what Arrow's own errors are
_ROWS = 1024
_PICTURES = 8
_TAIL = 1 << 16


def find_parquet(root: Path, patterns: Sequence[str]) -> dict[str, list[str]]:
    """Return the Parquet files below a folder that the patterns choose, sorted, by the split each one's path names.

    Such paths are `data/train-00000-of-00002.parquet`, `default/test1/0000.parquet` and `default/nlvr2-dev.parquet`;
    `validation`, `valid` and `dev` become `val`, and a path that names no split is `train`.

    Raises:
        UsageError: They are of several configurations.
    """
    files = (path.relative_to(root).as_posix() for path in root.rglob("*.parquet") if path.is_file())
    pattern, chosen = choose_by_pattern(patterns, usable_names(files)) or ("", [])
    if len(several := configurations(pattern, chosen)) > 1:
        raise UsageError(f"{root} holds several datasets ({', '.join(several)[:200]}): give the folder of one of them")
    order = {name: rank for rank, name in enumerate(("train", "val", "test"))}
    splits = sorted(set(map(_split_of, chosen)), key=lambda name: (order.get(name, len(order)), name))
    return {split: [file for file in chosen if _split_of(file) == split] for split in splits}


def _split_of(file: str) -> str:
    match = next(filter(None, (pattern.fullmatch(file) for pattern in _NAMES)), None)
    name = match["split"].lower().replace("_", "-") if match else "train"  # '_' parts the names of a dataset's files
    return _SPLITS.get(name, name)


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


def fingerprint(path: Path) -> str:
    """Return what tells a Parquet file from other versions of it: its size, and a hash of its end with the footer."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _TAIL))
        return f"{size}-{xxh3_64_hexdigest(file.read())}"


def shard_name(file: str) -> str:
    """Return a short name for a Parquet file: that of `nlvr2/train-00003-of-00017-4a7d4eddee81f7ac.parquet` is
    `train-00003`.
    """
    name = file.rpartition("/")[2].removesuffix(".parquet")
    return re.sub(r"(-of-\d{5})?(-[0-9a-f]{16})?$", "", name)


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
