"""`phi3v-data merge`: datasets put together, with nothing of one taken for something of another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from phi3v_data.convert.registry import load_converter
from phi3v_data.errors import UsageError
from phi3v_data.layout import read_manifest
from phi3v_data.reshape.command import labelled, merge_request
from phi3v_schemas import OutputInfo
from tests.converters.converting import convert_folder, rejects
from tests.formats.shards import carry_out, codes, contents, line, reshard, write_dataset
from tests.helpers import run, snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.formats.kinds import Format
    from phi3v_schemas import Manifest


def merge(datasets: dict[str, Path], out_dir: Path, output: Format | None = None) -> Manifest:
    """Put datasets together in this process."""
    info = OutputInfo(format=output) if output else None
    return carry_out(merge_request(datasets, out_dir, "both", output=info)).manifest


@pytest.fixture
def cats(tmp_path: Path) -> Path:
    lines = [line("same", "one.png", "two.png", group="g", metadata={"x": 1e-7}), line("cat")]
    return write_dataset(
        tmp_path / "cats", {"train": lines, "val": [line("v", user="And this?")]}, ["one.png", "two.png"]
    )


@pytest.fixture
def dogs(tmp_path: Path) -> Path:
    """With the ids, groups and images' paths of the others, and other pictures."""
    folder = write_dataset(
        tmp_path / "dogs", {"train": [line("same", "one.png", group="g")], "test": [line("t", user="And that?")]}
    )
    (folder / "images").mkdir()
    (folder / "images/one.png").write_bytes((tmp_path / "cats/images/two.png").read_bytes())
    return folder


@pytest.mark.parametrize("output", ["jsonl", "webdataset", "parquet"])
def test_ids_and_images_are_kept_apart(cats: Path, dogs: Path, tmp_path: Path, output: Format) -> None:
    merge({"c": cats, "d": dogs}, tmp_path / "out", output)
    images = snapshot(cats / "images")
    found = contents(tmp_path / "out")
    assert list(found) == ["train", "val", "test"]
    first, second, third = found["train"]
    turn = {"images": ["c/one.png", "c/two.png"], "user": "What is it?", "assistant": "A cat."}
    assert first == (
        {"id": "c/same", "source": "toy", "group": "g", "conversations": [turn], "metadata": {"x": 1e-7}},
        {"c/one.png": images["one.png"], "c/two.png": images["two.png"]},
    )
    assert (second[0]["id"], second[1]) == ("c/cat", {})
    assert (third[0]["id"], third[0]["group"], third[1]) == ("d/same", "g", {"d/one.png": images["two.png"]})
    assert [record["id"] for split in ("val", "test") for record, _ in found[split]] == ["c/v", "d/t"]
    assert codes(tmp_path / "out") == {}


def test_formats_may_differ(cats: Path, dogs: Path, tmp_path: Path) -> None:
    reshard(cats, tmp_path / "tar", "webdataset", shard_records=1)
    reshard(dogs, tmp_path / "parquet", "parquet")
    merge({"c": tmp_path / "tar", "d": tmp_path / "parquet"}, tmp_path / "out")
    merge({"c": cats, "d": dogs}, tmp_path / "expected")
    assert contents(tmp_path / "out") == contents(tmp_path / "expected")


def test_classes_are_added_up(tmp_path: Path) -> None:
    load_converter("nlvr2").write_sample(tmp_path / "raw")
    convert_folder("nlvr2", tmp_path / "raw", tmp_path / "one")
    before = read_manifest(tmp_path / "one")
    manifest = merge({"a": tmp_path / "one", "b": tmp_path / "one"}, tmp_path / "out")
    assert before and before.classes
    assert manifest.classes == {
        split: {name: 2 * count for name, count in counts.items()} for split, counts in before.classes.items()
    }
    assert [file.records for file in manifest.files] == [32, 8, 8]
    assert len(manifest.converter.shared["origins"]) == 2 and manifest.converter.options == {"labels": ["a", "b"]}
    assert codes(tmp_path / "out") == {}


def test_records_that_are_none_are_rejects(cats: Path, dogs: Path, tmp_path: Path) -> None:
    with (dogs / "toy_train.jsonl").open("ab") as file:
        file.write(b'{"id": 1}\n' + line("missing", "none.png") + b"\n")
    assert merge({"c": cats, "d": dogs}, tmp_path / "out").rejects == 2
    assert [code for _, _, code in rejects(tmp_path / "out")] == ["invalid_record", "missing_image"]
    reasons = [json.loads(text)["message"] for text in (tmp_path / "out/rejects.jsonl").read_text().splitlines()]
    assert reasons == [
        "record 2 of toy_train.jsonl: /id: 'id' must be a string, not the number 1",
        "record 3 of toy_train.jsonl: none.png does not exist",
    ]


def test_on_the_command_line(cats: Path, dogs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("merge", cats, f"d={dogs}", "--name", "pets", "--out_dir", out, "--output", "parquet", "--workers", "2")
    manifest = read_manifest(out)
    assert manifest and [file.path for file in manifest.files] == [
        f"pets_{split}-00000-of-00001.parquet" for split in ("train", "val", "test")
    ]
    ids = [record["id"] for rows in contents(out).values() for record, _ in rows]
    assert ids == ["cats/same", "cats/cat", "d/same", "cats/v", "d/t"]
    assert (
        "Nothing to do"
        in run("merge", cats, f"d={dogs}", "--name", "pets", "--out_dir", out, "--output", "parquet").stdout
    )
    done = run("merge", cats, dogs, "--out_dir", cats / "out", code=2)
    assert "lie in each other" in done.stderr
    assert (
        run("merge", cats, "--out_dir", tmp_path / "o", code=2).stderr == "Error: a merge takes two datasets or more\n"
    )


class TestLabels:
    def test_folders_and_files(self, cats: Path, tmp_path: Path) -> None:
        texts = [str(cats), f"x y={cats}", str(cats / "toy_val.jsonl"), f"é={cats}"]
        assert labelled(texts) == {"cats": cats, "x y": cats, "toy_val": cats / "toy_val.jsonl", "é": cats}

    def test_a_folder_with_an_equals_sign(self, cats: Path) -> None:
        odd = cats.rename(cats.with_name("lr=1"))
        assert labelled([str(odd), f"b={odd}"]) == {"lr=1": odd, "b": odd}

    def test_two_of_one_name(self, cats: Path, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        other = cats.rename(tmp_path / "other/cats")
        (tmp_path / "cats").mkdir()
        with pytest.raises(UsageError, match=r"are both called 'cats': give one a label, as in b="):
            labelled([str(tmp_path / "cats"), str(other)])
        assert list(labelled([str(tmp_path / "cats"), f"b={other}"])) == ["cats", "b"]

    @pytest.mark.parametrize("label", ["", "..", ".", "a/b", "/a", "a\\b", "a\nb", "x" * 300, "c:"])
    def test_what_cannot_be_a_label(self, cats: Path, dogs: Path, label: str) -> None:
        with pytest.raises(UsageError, match="cannot be a label: write LABEL="):
            labelled([f"{label}={cats}", str(dogs)])


@pytest.mark.parametrize("name", ["", "../over", "a/b", ".hidden", "a\\b", "a\0b"])
def test_a_name_leads_nowhere_else(cats: Path, dogs: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be what names of files begin with"):
        merge_request({"c": cats, "d": dogs}, tmp_path / "out", name, output=None)
    assert {path.name for path in tmp_path.iterdir()} == {"cats", "dogs"}
