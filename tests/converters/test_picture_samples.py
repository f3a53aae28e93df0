"""The made-up samples of the three datasets of pictures: the same every time, and each is what its converter reads."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from datasets import Features, Image, List, Value
from PIL import Image as PILImage
from PIL import ImageColor

from phi3v_data.convert.registry import load_converter
from phi3v_data.errors import UsageError
from tests.converters.converting import convert_folder, rejects
from tests.converters.made_sources import picture, write_parquet
from tests.helpers import read_lines, run, snapshot

if TYPE_CHECKING:
    from pathlib import Path

RECORDS = {
    "docvqa": {"train": 30, "val": 9, "test": 9},
    "hateful_memes": {"train": 16, "val": 4, "test-unseen": 4},
    "nlvr2": {"train": 16, "val": 4, "test": 4},
}


@pytest.mark.parametrize("name", RECORDS)
def test_sample_convert_validate(name: str, tmp_path: Path) -> None:
    done = run("sample", name, tmp_path / "raw")
    assert f"Next: phi3v-data convert {name} --source {tmp_path / 'raw'} --out_dir OUT" in done.stdout
    load_converter(name).write_sample(tmp_path / "again")
    assert snapshot(tmp_path / "again") == snapshot(tmp_path / "raw")
    manifest = convert_folder(name, tmp_path / "raw", tmp_path / "out")
    assert {file.split: file.records for file in manifest.files} == RECORDS[name]
    assert not rejects(tmp_path / "out")
    run("validate", "--strict", tmp_path / "out")


@pytest.mark.parametrize("name", RECORDS)
def test_an_archive_that_wraps_everything_in_a_folder(name: str, tmp_path: Path) -> None:
    load_converter(name).write_sample(tmp_path / "in" / "release-1.0" / "data")
    (tmp_path / "in" / "__MACOSX").mkdir()
    archive = shutil.make_archive(str(tmp_path / "release"), "zip", tmp_path / "in")
    cache = {"PHI3V_CACHE": str(tmp_path / "cache")}
    run("convert", name, "--source", archive, "--out_dir", tmp_path / "wrapped", env=cache)
    convert_folder(name, tmp_path / "in" / "release-1.0" / "data", tmp_path / "plain")
    for path in (tmp_path / "plain").glob("*.jsonl"):
        assert (tmp_path / "wrapped" / path.name).read_bytes() == path.read_bytes()
    assert snapshot(tmp_path / "wrapped/images") == snapshot(tmp_path / "plain/images")


def test_the_answers_of_the_pairs_are_true_of_the_pictures(tmp_path: Path) -> None:
    """The left disc's colour is the one that is asked about, or it is not."""
    load_converter("nlvr2").write_sample(tmp_path / "raw")
    convert_folder("nlvr2", tmp_path / "raw", tmp_path / "out")
    records = [row for path in (tmp_path / "out").glob("nlvr2_*.jsonl") for row in read_lines(path)]
    for record in records:
        (turn,) = record["conversations"]
        asked = turn["user"].partition("shows a ")[2].partition(" ")[0]
        with PILImage.open(tmp_path / "out/images" / turn["images"][0]) as left:
            is_so = left.convert("RGB").getpixel((80, 60)) == ImageColor.getrgb(asked)
        assert turn["assistant"] == ("Yes." if is_so else "No."), json.dumps(record)
    assert len({record["conversations"][0]["assistant"] for record in records}) == 2


@pytest.mark.parametrize("name", RECORDS)
def test_beside_a_readme_and_with_train_alone(name: str, tmp_path: Path) -> None:
    """What people unpack: one folder and some files beside it; val is carved off, and the manifest says so."""
    load_converter(name).write_sample(tmp_path / "raw" / "release")
    (tmp_path / "raw/README.txt").write_text("read me")
    for path in [*(tmp_path / "raw/release").rglob("*.json"), *(tmp_path / "raw/release").rglob("*.jsonl")]:
        if not path.name.startswith("train"):
            path.unlink()
    manifest = convert_folder(name, tmp_path / "raw", tmp_path / "out", val_fraction=0.3)
    assert manifest.converter.shared["carved"] == "val"
    made = {file.split: file.records for file in manifest.files}
    assert made.keys() == {"train", "val"} and sum(made.values()) == RECORDS[name]["train"]
    whole = convert_folder(name, tmp_path / "raw", tmp_path / "whole", val_fraction=0)
    assert "carved" not in whole.converter.shared
    assert [(file.split, file.records) for file in whole.files] == [("train", RECORDS[name]["train"])]


def test_another_parquet_file_is_another_plan(tmp_path: Path) -> None:
    """Same texts, other pictures: what was converted from the old file is not taken for the new one's."""
    features = Features({"images": List(Image()), "texts": [{"user": Value("string"), "assistant": Value("string")}]})

    def write(seed: int) -> None:
        texts = [{"user": "Is this meme spreading toxicity?\nAnswer yes or no.", "assistant": "No."}]
        rows = [{"images": [{"bytes": picture(seed), "path": None}], "texts": texts}]
        write_parquet(tmp_path / "raw/train-00000-of-00001.parquet", rows, features)

    write(1)
    convert_folder("hateful_memes", tmp_path / "raw", tmp_path / "out", val_fraction=0)
    write(2)
    with pytest.raises(UsageError, match=r"holds another conversion \(made from other source files\)"):
        convert_folder("hateful_memes", tmp_path / "raw", tmp_path / "out", val_fraction=0)


def test_a_folder_of_several_cauldron_datasets_and_a_wrong_one(tmp_path: Path) -> None:
    features = Features({"images": List(Image()), "texts": [{"user": Value("string"), "assistant": Value("string")}]})
    texts = [{"user": "Which label?\nChoices: A, B", "assistant": "A."}]
    rows = [{"images": [{"bytes": picture(1), "path": None}], "texts": texts}]
    for name in ("ai2d", "vqav2"):
        write_parquet(tmp_path / "raw" / name / "train-00000-of-00001.parquet", rows, features)
    done = run("convert", "docvqa", "--source", tmp_path / "raw", "--out_dir", tmp_path / "out", code=2)
    assert done.stderr.endswith("holds several datasets (ai2d, vqav2): give the folder of one of them\n")
    done = run("convert", "docvqa", "--source", tmp_path / "raw/ai2d", "--out_dir", tmp_path / "out", code=2)
    assert (
        "found nothing to convert in the source; train-00000-of-00001.parquet/0000000: the prompt ends" in done.stderr
    )


def test_a_split_that_gets_nothing_is_said(tmp_path: Path) -> None:
    load_converter("hateful_memes").write_sample(tmp_path / "raw")
    for name in ("dev_seen.jsonl", "test_unseen.jsonl"):
        (tmp_path / "raw" / name).unlink()
    flags = ("--source", tmp_path / "raw", "--out_dir", tmp_path / "out", "--val_fraction", "0.0001")
    done = run("convert", "hateful_memes", *flags)
    assert done.stderr == "Warning: the split val is empty: no source falls into it\n"
