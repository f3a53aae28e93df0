"""Make a split's files from its parts: one of JSON lines, or shards of records or megabytes, in any format.

OUT/.convert/shards/train/00003.tar    a finished shard, moved into place when all of them are finished
OUT/.convert/shards/train/00003.json   what the manifest will say of it
"""

from __future__ import annotations

import shutil
from itertools import count
from typing import TYPE_CHECKING

from pydantic import BaseModel

from phi3v_data.convert.part_writers import RECORDS, SAMPLES
from phi3v_data.formats.images import named_images
from phi3v_data.formats.kinds import SUFFIX_OF, open_writer
from phi3v_data.formats.webdataset import TarFile
from phi3v_data.fs import sync_folder, write_atomic
from phi3v_data.lines import read_lines
from phi3v_data.manifest.measure import measure_file
from phi3v_schemas import DataFile, OutputInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from phi3v_data.convert.job import JobFolder
    from phi3v_data.formats.kinds import Format
    from phi3v_data.formats.shard_writer import ShardWriter

__all__ = ["Piece", "make_shards", "place_shards"]

_MB = 1_000_000
_PACKED_MB = 500
"""Of a shard of WebDataset or Parquet where nothing is said: enough for fast reading, and few to be read at once."""


class Piece(BaseModel):
    """A part of a split: its folder's number, and how many records it holds."""

    part: int
    records: int


class _Limits(BaseModel):
    """What makes a new shard begin."""

    records: int | None = None
    bytes: int | None = None

    def reached(self, writer: ShardWriter) -> bool:
        return (self.records is not None and writer.records >= self.records) or (
            self.bytes is not None and writer.size >= self.bytes
        )


def _limits(output: OutputInfo | None) -> _Limits:
    if output is None:
        return _Limits()
    megabytes = output.shard_mb
    if megabytes is None and output.shard_records is None and output.format != "jsonl":
        megabytes = _PACKED_MB
    return _Limits(records=output.shard_records, bytes=megabytes and megabytes * _MB)


def make_shards(
    folder: JobFolder, split: str, pieces: Sequence[Piece], output: OutputInfo | None, images: Path
) -> list[DataFile]:
    """Write the shards of a split, going on behind those that an earlier run finished.

    Args:
        folder: The job.
        split: The split's name.
        pieces: Its parts, in order.
        output: The format, and what makes a new shard begin.
        images: The images folder of JSON lines.

    Returns:
        What the manifest says of each, still under the name it has in the job's folder.
    """
    kind: Format = output.format if output else "jsonl"
    home, limits = folder.shards / split, _limits(output)
    home.mkdir(parents=True, exist_ok=True)
    done = _finished(home, kind)
    written = sum(file.records for file in done)
    records = _records(folder, pieces, kind, skip=written)
    record = next(records, None)
    while record is not None:
        path = home / f"{len(done):05d}.new"
        path.unlink(missing_ok=True)
        writer = open_writer(kind, path, written)
        try:
            while record is not None and not (writer.records and limits.reached(writer)):
                writer.add(*record)
                record = next(records, None)
            digest = writer.close()
        except BaseException:
            writer.abandon()
            path.unlink(missing_ok=True)
            raise
        written += writer.records
        done.append(_commit(writer, digest, split, home / f"{len(done):05d}{SUFFIX_OF[kind]}", images))
    return done


def _finished(home: Path, kind: Format) -> list[DataFile]:
    """Return what is known of the shards that are there; one without those before it does not count."""
    done: list[DataFile] = []
    for number in count():
        try:
            facts = DataFile.model_validate_json((home / f"{number:05d}.json").read_bytes())
            if (home / f"{number:05d}{SUFFIX_OF[kind]}").stat().st_size != facts.bytes:
                return done
        except (OSError, ValueError):
            return done
        done.append(facts)
    return done


def _records(
    folder: JobFolder, pieces: Sequence[Piece], kind: Format, skip: int
) -> Iterator[tuple[bytes, list[tuple[str, bytes]]]]:
    """Yield the records of the parts, with their images where they go into shards."""
    for piece in pieces:
        if skip >= piece.records:
            skip -= piece.records
            continue
        part = folder.part(piece.part)
        for number, record in enumerate(_lines(part) if kind == "jsonl" else _samples(part)):
            if number >= skip:
                yield record
        skip = 0


def _lines(part: Path) -> Iterator[tuple[bytes, list[tuple[str, bytes]]]]:
    with (part / RECORDS).open("rb") as file:
        for line in read_lines(file):
            assert line.data is not None
            yield line.data, []


def _samples(part: Path) -> Iterator[tuple[bytes, list[tuple[str, bytes]]]]:
    for sample in TarFile(part / SAMPLES).samples():
        assert sample.data is not None
        yield sample.data, [(path, sample.images.read(path)) for path in named_images(sample.data)]


def _commit(writer: ShardWriter, digest: str, split: str, path: Path, images: Path) -> DataFile:
    """Give a finished shard its name and note what it holds."""
    facts = DataFile(
        path=path.name,
        split=split,
        records=writer.records,
        images=writer.images,
        image_bytes=writer.image_bytes,
        bytes=writer.size,
        sha256=digest,
    )
    if path.suffix == SUFFIX_OF["jsonl"]:
        facts = DataFile(path=path.name, split=split, **measure_file(writer.path, images)._asdict())
    writer.path.rename(path)
    write_atomic(path.with_suffix(".json"), facts.model_dump_json().encode())
    return facts


def place_shards(
    folder: JobFolder, name: str, split: str, shards: Sequence[DataFile], output: OutputInfo | None
) -> list[DataFile]:
    """Move the finished shards of a split into the dataset, under names that count them.

    Returns:
        What the manifest says of each.
    """
    home = folder.shards / split
    placed = []
    for number, shard in enumerate(shards):
        suffix = SUFFIX_OF[output.format] if output else SUFFIX_OF["jsonl"]
        counted = "" if output is None else f"-{number:05d}-of-{len(shards):05d}"
        path = folder.out_dir / f"{name}_{split}{counted}{suffix}"
        (home / shard.path).replace(path)
        placed.append(shard.model_copy(update={"path": path.name}))
    sync_folder(folder.out_dir)
    shutil.rmtree(home)
    return placed
