"""The folder for the hub: what `datasets` finds in it, in a process of its own, and what the card says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from phi3v_data.errors import DataError
from phi3v_data.export.exporter import export
from phi3v_data.layout import read_manifest
from phi3v_data.reader import Dataset
from tests.converters.converting import convert_folder
from tests.export.made import IMAGES, TRAIN, VAL, png, write_dataset, write_lines
from tests.export.test_rows import IMAGE, PARTS, messages, text
from tests.helpers import run, run_python

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_schemas import Manifest

pytest.importorskip("datasets", reason="the hub's own loader is what reads these folders")

_LOAD = """
import io, json, sys
from datasets import load_dataset

def told(row):
    pictures = row.pop("images")
    return {**row, "images": [[picture.size, picture.getpixel((0, 0))] for picture in pictures]}

splits = load_dataset(sys.argv[1])
print(json.dumps({name: [told(row) for row in rows] for name, rows in splits.items()}))
"""
_STREAM = """
import json, sys
from datasets import load_dataset
from datasets.distributed import split_dataset_by_node

streamed = load_dataset(sys.argv[1], split="train", streaming=True)
print(json.dumps([[row["id"] for row in split_dataset_by_node(streamed, rank=rank, world_size=2)] for rank in (0, 1)]))
"""
_EMBEDDED = """
import sys
from datasets import Image, List, load_dataset

rows = load_dataset(sys.argv[1], split="train").cast_column("images", List(Image(decode=False)))
for image in rows[0]["images"]:
    sys.stdout.write(image["bytes"].hex() + " " + image["path"] + "\\n")
"""
# pyarrow's reading threads may abort an interpreter that takes itself down: https://github.com/apache/arrow/issues/45214
_LEAVE = """
import os
sys.stdout.flush()
os._exit(0)
"""


def load(code: str, folder: Path, tmp_path: Path) -> str:
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub"), "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    return run_python("-c", code + _LEAVE, folder, env=offline).stdout


def test_datasets_loads_every_row(tmp_path: Path) -> None:
    run("export", write_dataset(tmp_path / "data"), "--to", "hf", "--out_dir", tmp_path / "out")
    splits = json.loads(load(_LOAD, tmp_path / "out", tmp_path))
    blank = {**IMAGE, "text": None}

    def filled(pairs: list[tuple[str, list[dict[str, str]]]]) -> list[dict[str, object]]:
        return messages([(role, [blank if part == IMAGE else part for part in parts]) for role, parts in pairs])

    turn = TRAIN[1]["conversations"][0]
    assert splits == {
        "train": [
            {
                "id": "train-0000000000",
                "source": "shapes",
                "group": "disc/1",
                "messages": filled(PARTS),
                "answers": [["A disc.", "disc"], [], []],
                "metadata": json.dumps(TRAIN[0]["metadata"], separators=(",", ":")),
                "images": [[[28, 28], [red, 0, 0]] for red in (10, 20, 30)],
            },
            {
                "id": "train-0000000001",
                "source": "shapes",
                "group": None,
                "messages": filled([("user", [text(turn["user"])]), ("assistant", [text(turn["assistant"])])]),
                "answers": None,
                "metadata": None,
                "images": [],
            },
        ],
        "validation": [
            {
                "id": "val-0000000000",
                "source": "shapes",
                "group": "disc/2",
                "messages": filled([("user", [IMAGE, text("What is it?")])]),
                "answers": None,
                "metadata": json.dumps(VAL[0]["metadata"], separators=(",", ":")),
                "images": [[[28, 28], [40, 0, 0]]],
            }
        ],
    }
    expected = "".join(f"{IMAGES[path].hex()} {path}\n" for path in ("train/a.png", "train/b.png", "train/c d.png"))
    assert load(_EMBEDDED, tmp_path / "out", tmp_path) == expected


def test_shards_are_dealt_out_to_processes(tmp_path: Path) -> None:
    dataset = tmp_path / "data"
    (dataset / "images").mkdir(parents=True)
    (dataset / "images/a.png").write_bytes(png(1) + bytes(600_000))  # the format lets anything follow its end
    turn = {"images": ["a.png"], "user": "What?", "assistant": "That."}
    records = [{"id": f"train-{n}", "source": "made", "conversations": [turn]} for n in range(8)]
    write_lines(dataset, *records)
    run("export", dataset, "--to", "hf", "--out_dir", tmp_path / "out", "--shard_mb", "1")
    names = sorted(path.name for path in (tmp_path / "out/data").iterdir())
    assert names == [f"train-{index:05d}-of-00004.parquet" for index in range(4)]
    first, second = json.loads(load(_STREAM, tmp_path / "out", tmp_path))
    assert len(first) == len(second) == 4
    assert sorted(first + second) == [record["id"] for record in records]


def test_the_card(tmp_path: Path) -> None:
    run("sample", "llava", tmp_path / "raw")
    manifest = convert_folder("llava", tmp_path / "raw", tmp_path / "data")
    assert (tmp_path / "data/manifest.json").exists()
    for licence, front in (
        ("CC-BY-4.0", 'license: "cc-by-4.0"\n'),
        ("CC BY-SA 4.0", 'license: "cc-by-sa-4.0"\n'),
        ("MIT", 'license: "mit"\n'),
        ("See: the *terms*\n---", 'license: "other"\nlicense_name: "see-the-terms"\n'),
        (None, ""),
    ):
        source = manifest.source.model_copy(update={"licence": licence})
        changed: Manifest = manifest.model_copy(update={"source": source})
        (tmp_path / "data/manifest.json").write_text(changed.to_json())
        run("export", tmp_path / "data", "--to", "hf", "--out_dir", tmp_path / "out", "--overwrite")
        card = (tmp_path / "out/README.md").read_text()
        _, head, _ = card.split("---\n", 2)
        assert head == (
            'configs:\n- config_name: default\n  data_files:\n  - split: "train"\n    path: "data/train-*"\n'
            '  - split: "validation"\n    path: "data/validation-*"\n'
            f'{front}size_categories:\n- "n<1K"\ntask_categories:\n- visual-question-answering\n'
        )
    assert "The licence of the data is not known here: state it before you publish this." in card


def test_names_of_splits(tmp_path: Path) -> None:
    for split in ("val", "dev-2", "train"):
        write_lines(tmp_path / "data", TRAIN[1], split=split)
    export(Dataset(tmp_path / "data"), "hf", tmp_path / "out")
    splits = json.loads(load(_LOAD, tmp_path / "out", tmp_path))
    assert {name: len(rows) for name, rows in splits.items()} == {"dev_2": 1, "train": 1, "validation": 1}
    write_lines(tmp_path / "data", TRAIN[1], split="validation")
    with pytest.raises(DataError, match="the splits 'val' and 'validation' would both be 'validation' on the hub"):
        export(Dataset(tmp_path / "data"), "hf", tmp_path / "none")
    assert not (tmp_path / "none").exists()
    assert read_manifest(tmp_path / "data") is None
