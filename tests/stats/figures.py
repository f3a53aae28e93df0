"""A dataset whose every figure is known by heart, in any format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from phi3v_schemas import Record, Turn
from tests.formats.shards import reshard

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.formats.kinds import Format

__all__ = ["FORMATS", "IMAGES", "TRAIN", "VAL", "known", "write_records"]

FORMATS: tuple[Format, ...] = ("jsonl", "webdataset", "parquet")

IMAGES = {"a.png": (400, 300), "b.jpg": (400, 300), "c.jpg": (100, 900)}
"""Width and height."""


def _record(number: int, *turns: tuple[list[str], str, str | None]) -> Record:
    made = [Turn(images=images or None, user=user, assistant=answer) for images, user, answer in turns]
    return Record(id=f"r{number}", source="toy", conversations=made)


TRAIN = [
    _record(1, (["a.png"], "What is it?", "cat")),
    _record(2, (["b.jpg", "c.jpg"], "Which of these two is it?", "cat"), ([], "Sure?", "dog")),
    _record(3, ([], "Say dog.", "dog")),
    _record(4, (["a.png", "b.jpg"], "What is it?", "cat")),
]
VAL = [_record(5, (["c.jpg"], "What is it?", None))]


def write_records(folder: Path, records: dict[str, list[Record]]) -> Path:
    """Write splits as JSON lines, with the images of `IMAGES`; returns the folder."""
    (folder / "images").mkdir(parents=True)
    for name, size in IMAGES.items():
        Image.new("RGB", size, "teal").save(folder / "images" / name)
    for split, content in records.items():
        (folder / f"toy_{split}.jsonl").write_bytes(b"".join(record.to_line() for record in content))
    return folder


def known(folder: Path, form: Format = "jsonl") -> Path:
    """Write the dataset in a format; returns its folder."""
    lines = write_records(folder / "lines", {"train": TRAIN, "val": VAL})
    if form == "jsonl":
        return lines
    reshard(lines, folder / form, form)
    return folder / form
