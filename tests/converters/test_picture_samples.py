"""The made-up samples of the three datasets of pictures: the same every time, and each is what its converter reads."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from phi3v_data.convert.registry import load_converter
from tests.converters.converting import convert_folder, rejects
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
    from PIL import Image, ImageColor

    load_converter("nlvr2").write_sample(tmp_path / "raw")
    convert_folder("nlvr2", tmp_path / "raw", tmp_path / "out")
    records = [row for path in (tmp_path / "out").glob("nlvr2_*.jsonl") for row in read_lines(path)]
    for record in records:
        (turn,) = record["conversations"]
        asked = turn["user"].partition("shows a ")[2].partition(" ")[0]
        with Image.open(tmp_path / "out/images" / turn["images"][0]) as left:
            is_so = left.convert("RGB").getpixel((80, 60)) == ImageColor.getrgb(asked)
        assert turn["assistant"] == ("Yes." if is_so else "No."), json.dumps(record)
    assert len({record["conversations"][0]["assistant"] for record in records}) == 2
