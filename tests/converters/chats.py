"""Rows of chats for the tests of their importers, written and converted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.converters.converting import convert_folder, rejects
from tests.converters.made_sources import write_picture
from tests.helpers import read_lines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["codes", "convert_rows", "write_pictures"]

Record = dict[str, Any]


def write_pictures(folder: Path) -> dict[str, bytes]:
    """Write four pictures, a.png to d.png, below a folder, and return their bytes."""
    return {name: write_picture(folder / name, seed) for seed, name in enumerate(("a.png", "b.png", "c.png", "d.png"))}


def convert_rows(name: str, folder: Path, rows: Sequence[Any], **options: Any) -> tuple[list[Record], dict[str, str]]:
    """Convert rows beside pictures; return the records, and each rejected row's place and code."""
    write_pictures(folder / "raw")
    (folder / "raw/train.json").write_text(json.dumps(rows), encoding="utf-8")
    convert_folder(name, folder / "raw", folder / "out", **options)
    written = folder / "out" / f"{name}_train.jsonl"
    refused = {place: code for place, _, code in rejects(folder / "out")}
    return read_lines(written) if written.exists() else [], refused


def codes(name: str, folder: Path, rows: Sequence[Any], **options: Any) -> list[str]:
    """Return the code with which each of some bad rows is refused, in order; a good row is among them."""
    good = {"role": "user", "from": "human", "value": "Why?", "content": "Why?"}
    good = {key: value for key, value in good.items() if (key in ("role", "content")) == (name == "messages")}
    records, refused = convert_rows(name, folder, [*rows, {"conversations": [good]}], **options)
    assert [record["conversations"] for record in records] == [[{"user": "Why?"}]]
    assert len(refused) == len(rows)
    by_number = {int(place.replace("/", ":").rpartition(":")[2]): code for place, code in refused.items()}
    return [by_number[number] for number in range(1, len(rows) + 1)]
