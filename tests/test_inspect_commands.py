"""The commands that look at data, as processes: their flags, what they print and how they exit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.formats.shards import line, write_dataset
from tests.helpers import run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    train = [line(f"t{i}", "0.jpg", user=f"What is number {i}?") for i in range(3)]
    return write_dataset(tmp_path / "data", {"train": train, "val": [line("v0", user="Who?")]}, ["0.jpg"])


def test_stats_of_one_split_and_a_picture(data: Path, tmp_path: Path) -> None:
    done = run("stats", data, "--split", "train", "--png", tmp_path / "figures.png", "--format", "json")
    assert list(json.loads(done.stdout)["splits"]) == ["train"]
    with Image.open(tmp_path / "figures.png") as picture:
        assert picture.size == (1800, 1200)
    refused = run("stats", data, "--png", tmp_path / "nowhere" / "figures.png", code=2)
    assert "there is no folder" in refused.stderr


def test_preview_refuses_before_it_reads(data: Path, tmp_path: Path) -> None:
    assert "is a pipe" in run("preview", "-", "--out", tmp_path / "page.html", code=2).stderr
    assert "NAME.html" in run("preview", data, "--out", tmp_path / "page.txt", code=2).stderr
    assert "there is nothing to show" in run("preview", tmp_path / "no", "--out", tmp_path / "page.html", code=3).stderr
    assert (
        "name one of train, val" in run("preview", data, "--split", "x", "--out", tmp_path / "page.html", code=1).stderr
    )
    assert not (tmp_path / "page.html").exists()


def test_a_report_does_not_disturb_what_programs_read(data: Path, tmp_path: Path) -> None:
    (data / "images" / "0.jpg").unlink()
    done = run("validate", data, "--format", "json", "--report", tmp_path / "report.html", code=1)
    assert json.loads(done.stdout)["counts"]["E401"] == 3
    assert "report.html: 4 records" in done.stderr


def test_fix_exits_by_what_is_left(data: Path, tmp_path: Path) -> None:
    kept = run("validate", data, "--fix", tmp_path / "kept")
    assert "Nothing had to be mended." in kept.stdout
    with (data / "toy_train.jsonl").open("ab") as file:
        file.write(b'{"id": "x"\n')
    done = run("validate", data, "--fix", tmp_path / "copy", "--format", "json", code=1)
    assert json.loads(done.stdout)["rejects"] == {"E101": 1}
    assert "one PATH" in run("validate", data, data, "--fix", tmp_path / "two", code=2).stderr
    assert "validate the copy" in run("validate", data, "--fix", tmp_path / "two", "--report", "r.html", code=2).stderr
    assert not (tmp_path / "two").exists()
