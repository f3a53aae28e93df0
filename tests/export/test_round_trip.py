"""In, out and in again: rows of one's own become a dataset, an export, and the same dataset."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from phi3v_data.export.exporter import export
from phi3v_data.reader import Dataset
from tests.converters.converting import convert_folder
from tests.export.made import png
from tests.helpers import run

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.export.exporter import ExportFormat

ASKED, SAID = "Was ist das?\n  Und das? 这是什么？", "  A disc.\n"
LLAVA: list[dict[str, Any]] = [
    {
        "id": "one",
        "image": "raw/1.png",
        "system": "Be brief.",
        "conversations": [
            {"from": "human", "value": f"<image>\n{ASKED}"},
            {"from": "gpt", "value": SAID},
            {"from": "human", "value": "And its colour?"},
            {"from": "gpt", "value": "Red."},
        ],
        "model": {"name": "x", "temperature": 0.5},
    },
    {
        "id": "two",
        "image": ["raw/1.png", "raw/2.png", "raw/1.png"],
        "conversations": [
            {"from": "human", "value": "<image>\nWhat is it?"},
            {"from": "gpt", "value": "A disc."},
            {"from": "human", "value": "<image>\n<image>\nAnd these?"},
            {"from": "gpt", "value": "Discs."},
        ],
    },
    {"id": "three", "conversations": [{"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hello."}]},
    {"id": "four", "image": "raw/2.png", "conversations": [{"from": "human", "value": "<image>\nWhat?"}]},
]


def messages_row(row: dict[str, Any], *, parts: bool) -> dict[str, Any]:
    """Return a row of LLaVA as chat messages."""
    roles = {"human": "user", "gpt": "assistant"}
    told = [("system", row["system"])] if "system" in row else []
    told += [(roles[entry["from"]], entry["value"]) for entry in row["conversations"]]
    messages = [{"role": role, "content": in_parts(text) if parts else text} for role, text in told]
    images = row.get("image", [])
    named = {"images": images if isinstance(images, list) else [images]}
    kept = {key: value for key, value in row.items() if key in ("id", "model")}
    return {**kept, "messages": messages, **named}


def in_parts(text: str) -> list[dict[str, str]]:
    count = text.count("<image>\n")
    return [{"type": "image"}] * count + [{"type": "text", "text": text.replace("<image>\n", "")}]


def write_source(folder: Path, to: str, *, parts: bool) -> Path:
    """Write rows and their images; returns the folder."""
    (folder / "raw").mkdir(parents=True)
    for number in (1, 2):
        (folder / f"raw/{number}.png").write_bytes(png(number))
    if to == "llava":
        (folder / "train.json").write_text(json.dumps(LLAVA))
    else:
        rows = [messages_row(row, parts=parts) for row in LLAVA]
        (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def content(dataset: Path) -> list[dict[str, Any]]:
    """Return every record with the bytes of its images, without what names the files of images."""
    records = []
    for sample in Dataset(dataset).split("train").samples():
        record = sample.record().model_dump(exclude_none=True)
        for turn in record["conversations"]:
            turn["images"] = [sample.images.read(path) for path in turn.get("images", ())]
        records.append(record)
    return records


CASES = [
    ("llava", True, {}),
    ("llava", True, {"llama_factory": True}),
    ("messages", True, {}),
    ("messages", False, {"image_tags": True}),
    ("messages", False, {}),
]


@pytest.mark.parametrize(("to", "parts", "options"), CASES)
def test_records_and_images_come_back(to: ExportFormat, parts: bool, options: dict[str, bool], tmp_path: Path) -> None:
    source = write_source(tmp_path / "raw", to, parts=parts)
    convert_folder(to, source, tmp_path / "first", val_fraction=0)
    export(Dataset(tmp_path / "first"), to, tmp_path / "out", **options)
    convert_folder(to, tmp_path / "out", tmp_path / "second", val_fraction=0)
    first = content(tmp_path / "first")
    assert len(first) == len(LLAVA) and first == content(tmp_path / "second")
    run("validate", tmp_path / "second")


@pytest.mark.parametrize(("to", "parts", "options"), CASES[:1] + CASES[2:4])
def test_rows_come_back_as_they_were(to: ExportFormat, parts: bool, options: dict[str, bool], tmp_path: Path) -> None:
    source = write_source(tmp_path / "raw", to, parts=parts)
    convert_folder(to, source, tmp_path / "data", val_fraction=0)
    export(Dataset(tmp_path / "data"), to, tmp_path / "out", **options)
    name = "train.json" if to == "llava" else "train.jsonl"
    assert without_names(rows(tmp_path / "out" / name)) == without_names(rows(source / name))


@pytest.mark.parametrize("to", ["llava", "messages"])
def test_groups_accepted_answers_and_metadata_come_back(to: ExportFormat, tmp_path: Path) -> None:
    run("sample", "docvqa", tmp_path / "raw")
    convert_folder("docvqa", tmp_path / "raw", tmp_path / "first")
    export(Dataset(tmp_path / "first"), to, tmp_path / "out")
    convert_folder(to, tmp_path / "out", tmp_path / "second")
    first, second = content(tmp_path / "first"), content(tmp_path / "second")
    assert all(record["group"] and record["conversations"][0]["answers"] and record["metadata"] for record in first)
    for record in (*first, *second):
        del record["source"]  # the importer that made it
    assert first == [{**record, "id": original["id"]} for record, original in zip(second, first, strict=True)]


def test_rows_exported_without_a_group_are_grouped_by_their_first_image(tmp_path: Path) -> None:
    source = write_source(tmp_path / "raw", "llava", parts=True)
    convert_folder("llava", source, tmp_path / "first", val_fraction=0)
    export(Dataset(tmp_path / "first"), "llava", tmp_path / "out")
    exported = rows(tmp_path / "out/train.json")
    for row in exported:
        carried = json.loads(row["phi3v"])
        row["phi3v"] = json.dumps({key: value for key, value in carried.items() if key != "group"})
    (tmp_path / "out/train.json").write_text(json.dumps(exported))
    convert_folder("llava", tmp_path / "out", tmp_path / "second", val_fraction=0)
    groups = [record.get("group") for record in content(tmp_path / "second")]
    pictures = [row.get("image") for row in exported]
    firsts = [picture[0] if isinstance(picture, list) else picture for picture in pictures]
    assert [group is None for group in groups] == [first is None for first in firsts]
    assert groups[0] == firsts[0] and groups[3] == firsts[3]


def rows(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8")
    found: list[dict[str, Any]] = (
        json.loads(text) if path.suffix == ".json" else list(map(json.loads, text.splitlines()))
    )
    return found


def without_names(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with the number of their images instead of their names, and without what only this library knows."""
    for row in found:
        row.pop("phi3v", None)
        for key in {"image", "images"} & row.keys():
            row[key] = len(row[key]) if isinstance(row[key], list) else "one"
    return found
