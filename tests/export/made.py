"""One dataset for the tests of exports: of every case a record, in each of the formats a dataset can have."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from PIL import Image

from phi3v_data.formats.kinds import SUFFIX_OF, open_writer

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.formats.kinds import Format

__all__ = ["IMAGES", "TRAIN", "VAL", "png", "write_dataset", "write_lines"]

TRAIN: list[dict[str, Any]] = [
    {
        "id": "train-0000000000",
        "source": "shapes",
        "group": "disc/1",
        "system": "Answer in a word.",
        "conversations": [
            {"images": ["train/a.png"], "user": "What is it?", "assistant": "A disc.", "answers": ["A disc.", "disc"]},
            {"user": "And its colour?", "assistant": "Red."},
            {"images": ["train/b.png", "train/c d.png"], "user": "And these?", "assistant": "Squares."},
        ],
        "metadata": {"id": 17, "image": "raw/a.png", "label": 3, "licence": "CC0", "prompt": None},
    },
    {
        "id": "train-0000000001",
        "source": "shapes",
        "conversations": [{"user": "מה זה? 这是什么？ e\u0301", "assistant": "لا شيء 🙂\n\nNothing."}],
    },
]
VAL: list[dict[str, Any]] = [
    {
        "id": "val-0000000000",
        "source": "shapes",
        "group": "disc/2",
        "conversations": [{"images": ["val/a.png"], "user": "What is it?"}],
        "metadata": {"licence": "CC0"},
    },
]


def png(red: int) -> bytes:
    """Return an image of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (28, 28), (red, 0, 0)).save(file, "PNG")
    return file.getvalue()


IMAGES = {"train/a.png": png(10), "train/b.png": png(20), "train/c d.png": png(30), "val/a.png": png(40)}


def write_dataset(folder: Path, kind: Format = "jsonl") -> Path:
    """Write the dataset in a format; returns its folder."""
    folder.mkdir(parents=True)
    for split, records in (("train", TRAIN), ("val", VAL)):
        writer = open_writer(kind, folder / f"made_{split}{SUFFIX_OF[kind]}", 0)
        for record in records:
            paths = dict.fromkeys(path for turn in record["conversations"] for path in turn.get("images", ()))
            writer.add(json.dumps(record, ensure_ascii=False).encode(), [(path, IMAGES[path]) for path in paths])
        writer.close()
    if kind == "jsonl":
        for path, data in IMAGES.items():
            (folder / "images" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "images" / path).write_bytes(data)
    return folder


def write_lines(folder: Path, *records: dict[str, Any], split: str = "train") -> Path:
    """Write records without images as a dataset of one split; returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"made_{split}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder
