"""The files as other libraries read them: `datasets`, at once and as a stream, and `webdataset`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import datasets
import pytest
from datasets.distributed import split_dataset_by_node
from PIL import Image

from phi3v_data import Dataset
from phi3v_data.formats.kinds import SUFFIX_OF
from tests.formats.shards import line, reshard, write_dataset
from tests.helpers import run_python

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.formats.kinds import Format

BUILDER: dict[Format, str] = {"jsonl": "json", "webdataset": "webdataset", "parquet": "parquet"}
TEXT = datasets.Value("string")
RECORD = {
    "id": TEXT,
    "source": TEXT,
    "group": TEXT,
    "system": TEXT,
    "conversations": [{"images": [TEXT], "user": TEXT, "assistant": TEXT, "answers": [TEXT]}],
}


@pytest.fixture(autouse=True)
def silent() -> None:
    datasets.disable_progress_bars()


@pytest.fixture(scope="module")
def even(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Twelve records to train on and two others, each with a JPEG and a PNG, in four shards and one."""
    images = [f"{number}.{suffix}" for number in range(12) for suffix in ("jpg", "png")]
    lines = [line(f"r{number}", f"{number}.jpg", f"{number}.png", group=f"g{number}") for number in range(12)]
    return written(tmp_path_factory.mktemp("even"), {"train": lines, "test": lines[:2]}, images)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Records with none to three images of two formats, some with fields that others have not."""
    images = ["a.jpg", "b.png", "c.jpg"]
    lines = [
        line("a", "a.jpg"),
        line("b", "a.jpg", "b.png", group="g"),
        line("c"),
        line("d", "b.png", metadata={"x": 1}),
        line("e", *images, system="Be brief.", answer=None),
        line("f", "b.png", metadata={"y": [1.5, "t"]}),
    ]
    return written(tmp_path_factory.mktemp("mixed"), {"train": lines}, images)


def written(folder: Path, lines: dict[str, list[bytes]], images: list[str]) -> dict[str, Path]:
    data = write_dataset(folder / "data", lines, images)
    for output in BUILDER:
        reshard(data, folder / output, output, shard_records=3)
    return {output: folder / output for output in ("data", *BUILDER)}


def load(folder: Path, output: Format, cache: Path, split: str = "train", **options: Any) -> Any:
    """Return a split as `datasets` loads it."""
    files = {split: str(folder / f"toy_{split}-*{SUFFIX_OF[output]}")}
    return datasets.load_dataset(BUILDER[output], data_files=files, split=split, cache_dir=str(cache), **options)


def ids(rows: Any, output: Format) -> list[str]:
    return [row["json"]["id"] if output == "webdataset" else row["id"] for row in rows]


def pictures(row: dict[str, Any], output: Format) -> list[Image.Image]:
    """Return the decoded images of a row, in order."""
    if output == "parquet":
        return row["images"]
    return [row[name] for name in sorted(row) if isinstance(row[name], Image.Image)]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("output", BUILDER)
def test_records_and_images(even: dict[str, Path], output: Format, streaming: bool, tmp_path: Path) -> None:
    rows = list(load(even[output], output, tmp_path, streaming=streaming))
    assert ids(rows, output) == [f"r{number}" for number in range(12)]
    record = rows[7]["json"] if output == "webdataset" else rows[7]
    assert (record["source"], record["group"]) == ("toy", "g7")
    (turn,) = record["conversations"]
    assert (turn["images"], turn["user"], turn["assistant"]) == (["7.jpg", "7.png"], "What is it?", "A cat.")
    if output == "jsonl":
        return
    expected = Dataset(even["jsonl"]).split("train").load(7)[1]
    for path, image in zip(turn["images"], pictures(rows[7], output), strict=True):
        with expected.open(path) as wanted:
            assert (image.size, image.format) == ((40, 30), wanted.format)
            assert image.convert("RGB").tobytes() == wanted.convert("RGB").tobytes()


@pytest.mark.parametrize("output", BUILDER)
def test_nodes_get_halves_that_together_are_all(even: dict[str, Path], output: Format, tmp_path: Path) -> None:
    stream = load(even[output], output, tmp_path, streaming=True)
    assert stream.num_shards == 4
    halves = [ids(split_dataset_by_node(stream, rank=rank, world_size=2), output) for rank in (0, 1)]
    assert [len(half) for half in halves] == [6, 6]
    assert set(halves[0]) | set(halves[1]) == {f"r{number}" for number in range(12)}


def test_a_folder_of_parquet_gives_its_splits(even: dict[str, Path], tmp_path: Path) -> None:
    """Whatever stands beside the shards: the manifest, the contact sheet."""
    loaded = datasets.load_dataset(str(even["parquet"]), cache_dir=str(tmp_path))
    assert {name: len(rows) for name, rows in loaded.items()} == {"train": 12, "test": 2}
    assert loaded["train"].features["images"] == datasets.List(datasets.Image())
    assert [image.size for image in loaded["test"][1]["images"]] == [(40, 30)] * 2


def test_parquet_of_any_number_of_images(mixed: dict[str, Path], tmp_path: Path) -> None:
    for streaming in (False, True):
        rows = list(load(mixed["parquet"], "parquet", tmp_path, streaming=streaming))
        assert [len(row["images"]) for row in rows] == [1, 2, 0, 1, 3, 1]
        assert [image.format for image in rows[4]["images"]] == ["JPEG", "PNG", "JPEG"]
        assert (rows[4]["system"], rows[4]["conversations"][0]["assistant"]) == ("Be brief.", None)
        assert json.loads(rows[5]["metadata"]) == {"y": [1.5, "t"]}


def test_shards_of_any_number_of_images_need_features(mixed: dict[str, Path], tmp_path: Path) -> None:
    """`datasets` takes the columns from the first five records of a shard, which have to be alike."""
    with pytest.raises(ValueError, match="don't share the same prefix or the same types"):
        load(mixed["webdataset"], "webdataset", tmp_path)
    images = {f"{number}.{suffix}": datasets.Image() for number in range(3) for suffix in ("jpg", "png")}
    features = datasets.Features({"__key__": TEXT, "json": RECORD, **images})
    for streaming in (False, True):
        rows = list(load(mixed["webdataset"], "webdataset", tmp_path, features=features, streaming=streaming))
        assert ids(rows, "webdataset") == ["a", "b", "c", "d", "e", "f"]
        assert [len(pictures(row, "webdataset")) for row in rows] == [1, 2, 0, 1, 3, 1]
        assert [image.format for image in pictures(rows[4], "webdataset")] == ["JPEG", "PNG", "JPEG"]


_READ_TAR = """
import json, sys, webdataset
shards = sys.argv[1:]
raw = list(webdataset.WebDataset(shards, shardshuffle=False))
halves = [webdataset.WebDataset(shards[rank::2], shardshuffle=False) for rank in (0, 1)]
decoded = webdataset.WebDataset(shards, shardshuffle=False).decode("pil")
print(json.dumps({
    "keys": [sample["__key__"] for sample in raw],
    "lines": [sample["json"].decode() for sample in raw],
    "names": [[name for name in sample if not name.startswith("__")] for sample in raw],
    "halves": [[sample["__key__"] for sample in half] for half in halves],
    "ids": [sample["json"]["id"] for sample in decoded],
    "sizes": [[value.size for value in sample.values() if hasattr(value, "size")] for sample in decoded],
}))
"""


def test_the_webdataset_library_puts_a_record_and_its_images_together(mixed: dict[str, Path]) -> None:
    pytest.importorskip("webdataset")
    found = json.loads(run_python("-c", _READ_TAR, *Dataset(mixed["webdataset"]).files("train")).stdout)
    assert found["keys"] == [f"{number:09d}" for number in range(6)]
    assert found["lines"] == (mixed["data"] / "toy_train.jsonl").read_text().splitlines()
    assert found["names"][2:5] == [["json"], ["json", "0.png"], ["json", "0.jpg", "1.png", "2.jpg"]]
    assert found["ids"] == ["a", "b", "c", "d", "e", "f"]
    assert found["sizes"] == [[[40, 30]] * count for count in (1, 2, 0, 1, 3, 1)]
    first, second = found["halves"]
    assert (len(first), len(second)) == (3, 3) and sorted(first + second) == found["keys"]


def test_parquet_that_others_have_written_again_is_read(even: dict[str, Path], tmp_path: Path) -> None:
    """As people filter their data with `datasets`, and save it."""
    rows = load(even["parquet"], "parquet", tmp_path).filter(lambda row: row["id"] != "r0")
    rows.to_parquet(str(tmp_path / "kept_train.parquet"))
    split = Dataset(tmp_path / "kept_train.parquet").split("train")
    assert [record.id for record in split] == [f"r{number}" for number in range(1, 12)]
    assert split[0] == Dataset(even["jsonl"]).split("train")[1]
    record, images = split.load(3)
    expected = Dataset(even["jsonl"]).split("train").load(4)[1]
    assert [images.read(path) for path in record.image_paths()] == [
        expected.read(path) for path in record.image_paths()
    ]
