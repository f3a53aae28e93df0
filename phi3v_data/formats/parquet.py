"""Parquet shards: a row a record, its images embedded, in columns that `datasets` and the hub's viewer understand.

`images` holds them as structs of `bytes` and `path`, each once, in the order in which the record first names them; the
other columns are the record's fields, `metadata` as JSON text.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from contextlib import suppress
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

from phi3v_data.formats.images import HeldImages, named_images
from phi3v_data.formats.record_file import BadShard, RecordFile, Sample
from phi3v_data.formats.row_writer import IMAGES, TEXT, RowWriter, pyarrow, schema_of
from phi3v_data.formats.shard_writer import ShardWriter
from phi3v_data.fs import sha256_of
from phi3v_data.lines import MAX_LINE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["ParquetShard", "ParquetWriter"]

_FAULTS = (OSError, ValueError, KeyError, TypeError, NotImplementedError, MemoryError)  # Arrow's own are among them
_KINDS_OF = {
    "string": {"string", "large_string", "string_view"},
    "binary": {"binary", "large_binary", "binary_view"},
}
_FEATURES = {
    "id": TEXT,
    "source": TEXT,
    "group": TEXT,
    "system": TEXT,
    "conversations": [{"images": [TEXT], "user": TEXT, "assistant": TEXT, "answers": [TEXT]}],
    "metadata": TEXT,
    "images": IMAGES,
}
_FIELDS = [name for name in _FEATURES if name != "images"]


class ParquetShard(RecordFile):
    """A Parquet shard of records; a record's key is the number of its row.

    Args:
        path: The file.
    """

    suffix = ".parquet"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._reader: tuple[int, Any] | None = None  # with the process that opened it: after a fork it is opened anew
        self._starts: list[int] = []
        self._held: tuple[int, list[dict[str, Any]]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_reader": None, "_held": None}

    def iter_keys(self) -> Iterator[int]:
        """Yield the number of every row."""
        yield from range(self._parquet().metadata.num_rows)

    def samples(self) -> Iterator[Sample]:
        """Yield every record, read once from begin to end."""
        number = 0
        for group in range(self._parquet().metadata.num_row_groups):
            for within, row in enumerate(self._rows(group, _FIELDS)):
                number += 1
                yield self._sample(row, group, within, number)

    def sample(self, key: int) -> Sample:
        """Return the record of a row."""
        self._parquet()
        group = bisect_right(self._starts, key) - 1
        within = key - self._starts[group]
        return self._sample(self._group(group)[within], group, within, 0)

    def _sample(self, row: dict[str, Any], group: int, within: int, number: int) -> Sample:
        data = _to_json(row)
        images = HeldImages(named_images(data), partial(self._image, group, within))
        return Sample(data if len(data) <= MAX_LINE else None, images, self.path, number)

    def _image(self, group: int, within: int, place: int) -> bytes | None:
        held = self._group(group)[within]["images"] or ()
        image = held[place] if place < len(held) else None
        return image and image.get("bytes")

    def _group(self, group: int) -> list[dict[str, Any]]:
        """Return all rows of a row group; the last one asked for is held."""
        if self._held is None or self._held[0] != group:
            self._held = None  # before the next is read
            self._held = (group, self._rows(group, [*_FIELDS, "images"]))
        return self._held[1]

    def _rows(self, group: int, columns: list[str]) -> list[dict[str, Any]]:
        reader = self._parquet()
        there = [name for name in columns if name in reader.schema_arrow.names]
        try:
            rows: list[dict[str, Any]] = reader.read_row_group(group, columns=there, use_threads=False).to_pylist()
        except _FAULTS as error:
            raise BadShard(self.path, f"is damaged ({_reason(error)})") from error
        return rows

    def _parquet(self) -> Any:
        if self._reader is None or self._reader[0] != os.getpid():
            self._reader = (os.getpid(), self._open_parquet())
        return self._reader[1]

    def _open_parquet(self) -> Any:
        parquet = pyarrow("pyarrow.parquet")
        self._open()  # which notices that the file has changed
        try:
            reader = parquet.ParquetFile(self.path, pre_buffer=False)
            names = reader.schema_arrow.names
            sizes = [reader.metadata.row_group(group).num_rows for group in range(reader.metadata.num_row_groups)]
        except _FAULTS as error:
            raise BadShard(self.path, f"cannot be read as Parquet ({_reason(error)})") from error
        if absent := [name for name in ("id", "source", "conversations", "images") if name not in names]:
            raise BadShard(self.path, f"has no column {absent[0]!r}, so it holds no records")
        arrow = pyarrow()
        for field in schema_of(_FEATURES):
            found = reader.schema_arrow.field(field.name).type if field.name in names else field.type
            if not _fits(found, field.type, arrow):
                raise BadShard(self.path, f"has a column {field.name!r} of {found}, where {field.type} is expected")
        self._starts = list(accumulate(sizes, initial=0))[:-1]
        return reader


def _to_json(row: dict[str, Any]) -> bytes:
    """Return a row as the line of a JSONL file would hold it; what is null was absent."""
    record = {name: row[name] for name in _FIELDS if row.get(name) is not None}
    if (turns := record.get("conversations")) is not None:
        record["conversations"] = [turn and _present(turn) for turn in turns]
    if (metadata := record.get("metadata")) is not None:
        with suppress(ValueError):  # as text it is no metadata, which whoever decodes the record says
            record["metadata"] = from_json(metadata)
    return to_json(record, inf_nan_mode="null")


def _present(turn: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in turn.items() if value is not None}


class ParquetWriter(ShardWriter):
    """Writes a Parquet shard; the same records give the same bytes with the same release of pyarrow.

    Args:
        path: The file; it must not exist.
    """

    suffix = ".parquet"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._rows = RowWriter(path, _FEATURES)

    def add(self, data: bytes, images: Sequence[tuple[str, bytes]]) -> None:
        """Write a record and its images."""
        record = from_json(data)
        metadata = record.pop("metadata", None)
        held = [{"bytes": image, "path": path} for path, image in images]
        text = None if metadata is None else to_json(metadata, inf_nan_mode="null").decode()
        size = len(data) + sum(len(image) for _, image in images)
        self._rows.add({**record, "metadata": text, "images": held}, size)
        self.size += size
        self.count(images)

    def close(self) -> str:
        """End the file, make it durable, and return its SHA-256."""
        self._rows.close()
        self.size = self.path.stat().st_size
        return sha256_of(self.path)

    def abandon(self) -> None:
        """Close the unfinished file."""
        self._rows.abandon()


def _fits(found: Any, wanted: Any, arrow: Any) -> bool:
    """Return whether a column can be read as another, such as text of another kind, or nothing but nulls."""
    kinds = arrow.types
    if kinds.is_null(found):
        return True
    if kinds.is_dictionary(found):
        return _fits(found.value_type, wanted, arrow)
    if kinds.is_struct(wanted):
        if not kinds.is_struct(found):
            return False
        there = {field.name: field.type for field in found}
        return all(_fits(there[field.name], field.type, arrow) for field in wanted if field.name in there)
    if kinds.is_list(wanted):
        is_list = any(check(found) for check in (kinds.is_list, kinds.is_large_list, kinds.is_fixed_size_list))
        return is_list and _fits(found.value_type, wanted.value_type, arrow)
    return str(found) in _KINDS_OF[str(wanted)]


def _reason(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")[:200] or type(error).__name__
