"""The formats a dataset can have, and what reads and writes each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from phi3v_data.formats.jsonl import JsonlFile, JsonlWriter
from phi3v_data.layout import SUFFIXES

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.formats.record_file import RecordFile
    from phi3v_data.formats.shard_writer import ShardWriter
    from phi3v_data.image_folder import ImageFolder

__all__ = ["FORMATS", "SUFFIX_OF", "Format", "format_of", "open_record_file", "open_writer"]

Format = Literal["jsonl", "webdataset", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIX_OF: dict[Format, str] = dict(zip(FORMATS, SUFFIXES, strict=True))


def format_of(path: Path) -> Format:
    """Return the format that a file's suffix says; a file with any other suffix holds JSON lines."""
    return next((kind for kind, suffix in SUFFIX_OF.items() if path.suffix == suffix), "jsonl")


def open_record_file(path: Path, images: ImageFolder) -> RecordFile:
    """Return what reads a file of records; nothing is read yet.

    Args:
        path: The file; its suffix says its format.
        images: The folder of images, for JSON lines.
    """
    kind = format_of(path)
    if kind == "webdataset":
        from phi3v_data.formats.webdataset import TarFile

        return TarFile(path)
    if kind == "parquet":
        from phi3v_data.formats.parquet import ParquetShard

        return ParquetShard(path)
    return JsonlFile(path, images)


def open_writer(kind: Format, path: Path, first: int) -> ShardWriter:
    """Return what writes a shard.

    Args:
        kind: Its format.
        path: The file; it must not exist.
        first: The number of its first record within the split.

    Raises:
        MissingExtra: pyarrow is needed and not installed.
    """
    if kind == "webdataset":
        from phi3v_data.formats.webdataset import TarWriter

        return TarWriter(path, first)
    if kind == "parquet":
        from phi3v_data.formats.parquet import ParquetWriter

        return ParquetWriter(path)
    return JsonlWriter(path)
