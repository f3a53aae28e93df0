"""Datasets of a few records for the tests of formats, and the engine in this process to make others of them."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

from phi3v_data import Dataset
from phi3v_data.convert.engine import Outcome, Progress, convert
from phi3v_data.convert.planning import Request
from phi3v_data.convert.registry import load_converter
from phi3v_data.convert.sources import open_source
from phi3v_data.convert.worker import convert_parts
from phi3v_data.reshape.command import reshard_request
from phi3v_data.validate import validate
from phi3v_schemas import OutputInfo, Record
from tests.converters.made_sources import picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from phi3v_data.convert.job import JobFolder
    from phi3v_data.convert.worker import Message
    from phi3v_data.formats.kinds import Format
    from phi3v_schemas import Manifest

__all__ = [
    "SHARDED",
    "carry_out",
    "codes",
    "contents",
    "convert_to",
    "line",
    "pack",
    "reshard",
    "reshard_again",
    "write_dataset",
]

SHARDED: tuple[Format, ...] = ("webdataset", "parquet")
"""The formats that hold images beside their records."""


class _Here:
    """An executor without workers: what a worker does is done in this process."""

    def run(self, folder: JobFolder, parts: Sequence[int], on_message: Callable[[Message], None]) -> None:
        convert_parts(folder.out_dir, parts, on_message)


def carry_out(request: Request) -> Outcome:
    """Carry out what a command asks of the engine."""
    return convert(request, _Here(), Progress(lambda planned, done: None, lambda message: None))


def convert_to(
    output: Format, name: str, source: Path, out_dir: Path, *, overwrite: bool = False, **limits: int
) -> Manifest:
    """Convert a folder into a format, in shards as the limits `shard_records` and `shard_mb` say."""
    converter = load_converter(name)
    opened = open_source(str(source), default=None, patterns=converter.files)
    info = OutputInfo(format=output, **limits)
    request = Request(converter, converter.options_type(), opened, out_dir, overwrite=overwrite, output=info)
    return carry_out(request).manifest


def reshard(
    data: Path, out_dir: Path, output: Format | None = None, *, images_dir: Path | None = None, **limits: int
) -> Manifest:
    """Write a dataset in another format; None gives one JSONL file a split."""
    info = OutputInfo(format=output, **limits) if output else None
    return carry_out(reshard_request(data, out_dir, images_dir, output=info)).manifest


def reshard_again(data: Path, out_dir: Path, output: Format | None = None, **limits: int) -> bool:
    """Reshard into a folder once more; returns whether nothing was left to do."""
    info = OutputInfo(format=output, **limits) if output else None
    return carry_out(reshard_request(data, out_dir, None, output=info)).was_complete


def line(
    record_id: str, *images: str, user: str = "What is it?", answer: str | None = "A cat.", **fields: Any
) -> bytes:
    """Return a record of one turn as the line of a JSONL file, without the newline."""
    turn = {"images": list(images) or None, "user": user, "assistant": answer}
    return Record.model_validate({"id": record_id, "source": "toy", "conversations": [turn], **fields}).to_line()[:-1]


def write_dataset(folder: Path, lines: Mapping[str, Iterable[bytes]], images: Iterable[str] = ()) -> Path:
    """Write a dataset of JSON lines without a manifest; each image's pixels follow from its path."""
    for path in images:
        (folder / "images" / path).parent.mkdir(parents=True, exist_ok=True)
        form = "PNG" if path.endswith(".png") else "JPEG"
        (folder / "images" / path).write_bytes(picture(sum(path.encode()), form))
    folder.mkdir(parents=True, exist_ok=True)
    for split, records in lines.items():
        (folder / f"toy_{split}.jsonl").write_bytes(b"".join(data + b"\n" for data in records))
    return folder


def pack(path: Path, members: Iterable[tuple[str | tarfile.TarInfo, bytes]], **options: Any) -> Path:
    """Write a tar file of members in the given order, with the standard library."""
    with tarfile.open(path, "w", **options) as archive:
        for member, data in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def contents(data: Path) -> dict[str, list[tuple[dict[str, Any], dict[str, bytes]]]]:
    """Return the records of every split, each with the bytes of its images."""
    dataset = Dataset(data)
    return {
        split: [
            (json.loads(sample.data or b""), {path: sample.images.read(path) for path in sample.record().image_paths()})
            for sample in dataset.split(split).samples()
        ]
        for split in dataset.splits
    }


def codes(*paths: Path) -> dict[str, int]:
    """Return how often each rule is broken."""
    return dict(validate(paths).counts)
