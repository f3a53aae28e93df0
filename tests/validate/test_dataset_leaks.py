"""Groups and images in several splits: where each is reported, once, in every format, and what may be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from phi3v_data.errors import UsageError
from phi3v_data.validate import validate
from phi3v_data.validate.allowed import read_allowed
from tests.converters.made_sources import picture
from tests.formats.shards import SHARDED, line, pack, reshard, write_dataset
from tests.helpers import run

if TYPE_CHECKING:
    from phi3v_data.formats.kinds import Format

LEAKS = ("E501", "W502")


def told(*paths: Path | str, **options: Any) -> list[tuple[str, int | None, str, str, str]]:
    """Return file, line, pointer, code and message of each finding, files by their names alone."""
    found = validate(paths, select=LEAKS, **options).findings
    folders = {f"{Path(finding.file).parent}/" for finding in found}
    return [
        (Path(finding.file).name, finding.line, finding.pointer, finding.code, _without(finding.message, folders))
        for finding in found
    ]


def _without(text: str, folders: set[str]) -> str:
    for folder in folders:
        text = text.replace(folder, "")
    return text


def test_a_group_is_told_once_for_each_later_split(tmp_path: Path) -> None:
    data = write_dataset(
        tmp_path / "data",
        {
            "a": [line("1", group="g"), line("2", group="h"), line("3", group="g")],
            "b": [line("4"), line("5", group="i"), line("6", group="g"), line("7", group="g")],
            "c": [b"{", line("8", group="i"), line("9", group="g")],
        },
    )
    assert told(data) == [
        (
            "toy_b.jsonl",
            3,
            "/group",
            "E501",
            "the group 'g' is also in the split 'a', first at toy_a.jsonl:1; 'b' has 2 records of it",
        ),
        (
            "toy_c.jsonl",
            2,
            "/group",
            "E501",
            "the group 'i' is also in the split 'b', first at toy_b.jsonl:2; 'c' has 1 record of it",
        ),
        (
            "toy_c.jsonl",
            3,
            "/group",
            "E501",
            "the group 'g' is also in the split 'a', first at toy_a.jsonl:1; 'c' has 1 record of it",
        ),
    ]


def test_shards_of_a_split_are_one_split(tmp_path: Path) -> None:
    data = write_dataset(
        tmp_path / "data",
        {
            "train-00000-of-00002": [line("1", "a.jpg", group="g")],
            "train-00001-of-00002": [line("2", "a.jpg", group="g")],
        },
        ["a.jpg"],
    )
    assert told(data) == []


def test_a_split_of_which_files_stand_apart(tmp_path: Path) -> None:
    """Files are read in the order given, and a group's split is that of the first of its records."""
    data = write_dataset(
        tmp_path / "data",
        {
            "train-00000-of-00002": [line("1")],
            "train-00001-of-00002": [line("2", group="g")],
            "val": [line("3", group="g")],
        },
    )
    first, second, val = sorted(data.glob("*.jsonl"))
    (found,) = told(first, val, second)
    assert found[:2] == (second.name, 1)
    assert found[4].startswith("the group 'g' is also in the split 'val', first at toy_val.jsonl:1")


def test_an_image_is_the_same_by_its_path(tmp_path: Path) -> None:
    data = write_dataset(
        tmp_path / "data",
        {"train": [line("1", "a.jpg"), line("2", "a.jpg")], "val": [line("3", "b.jpg"), line("4", "b.jpg", "a.jpg")]},
        ["a.jpg", "b.jpg"],
    )
    expected = (
        "toy_val.jsonl",
        2,
        "/conversations/0/images/1",
        "W502",
        "the image 'a.jpg' is also in the split 'train', first at toy_train.jsonl:1; 'val' names it 1 time",
    )
    assert told(data) == [expected]
    assert told(data, images="exists") == [expected]
    assert told(data, images="none") == []


def test_an_image_is_the_same_by_its_bytes(tmp_path: Path) -> None:
    data = write_dataset(
        tmp_path / "data",
        {"a": [line("1", "a.jpg")], "b": [line("2", "a.jpg"), line("3", "copy.jpg")], "c": [line("4", "copy.jpg")]},
        ["a.jpg"],
    )
    (data / "images/copy.jpg").write_bytes((data / "images/a.jpg").read_bytes())
    messages = [(finding[0], finding[1], finding[4].partition(";")[0]) for finding in told(data)]
    assert messages == [
        ("toy_b.jsonl", 1, "the image 'a.jpg' is also in the split 'a', first at toy_a.jsonl:1"),
        ("toy_c.jsonl", 1, "the image 'copy.jpg' is also in the split 'b', first at toy_b.jsonl:2"),
        ("toy_b.jsonl", 2, "the image 'copy.jpg' is also in the split 'a', first at toy_a.jsonl:1 as 'a.jpg'"),
    ]


def test_images_that_begin_and_end_alike_are_read_whole(tmp_path: Path) -> None:
    """Two bitmaps of one size that differ in the middle are different images."""
    data = write_dataset(tmp_path / "data", {"train": [line("1", "a.bmp")], "val": [line("2", "b.bmp")]})
    (data / "images").mkdir()
    from PIL import Image

    for name, level in (("a", 10), ("b", 20)):
        image = Image.new("RGB", (300, 300))
        image.putpixel((150, 150), (level, level, level))
        image.save(data / f"images/{name}.bmp")
    assert told(data) == []
    (data / "images/b.bmp").write_bytes((data / "images/a.bmp").read_bytes())
    assert [finding[3] for finding in told(data)] == ["W502"]


@pytest.mark.parametrize("output", SHARDED)
def test_images_in_shards(tmp_path: Path, output: Format) -> None:
    lines = {"train": [line("1", "a.jpg", group="g")], "val": [line("2", "b.jpg", group="g"), line("3", "a.jpg")]}
    data = write_dataset(tmp_path / "data", lines, ["a.jpg", "b.jpg"])
    reshard(data, tmp_path / "out", output)
    suffix = {"webdataset": "tar", "parquet": "parquet"}[output]
    found = [(finding[0], finding[1], finding[3]) for finding in told(tmp_path / "out")]
    val = f"toy_val-00000-of-00001.{suffix}"
    assert found == [(val, 1, "E501"), (val, 2, "W502")]


@pytest.mark.parametrize("level", ["exists", "header"])
def test_shards_may_hold_different_images_of_one_path(tmp_path: Path, level: Any) -> None:
    train = pack(tmp_path / "toy_train.tar", [("0.json", line("1", "0.jpg")), ("0.0.jpg", picture(1, "JPEG"))])
    other = [("0.json", line("2", "0.jpg")), ("0.0.jpg", picture(2, "JPEG"))]
    assert told(train, pack(tmp_path / "toy_val.tar", other), images=level) == []
    same = [("0.json", line("2", "0.jpg")), ("0.0.jpg", picture(1, "JPEG"))]
    assert [finding[3] for finding in told(train, pack(tmp_path / "toy_val.tar", same), images=level)] == ["W502"]


def test_more_than_are_kept_are_counted(tmp_path: Path) -> None:
    records = {split: [line(f"{split}{n}", group=f"g{n}") for n in range(20)] for split in ("a", "b", "c")}
    data = write_dataset(tmp_path / "data", records)
    for kept, found in ((5, 5), (25, 25), (0, 40)):
        result = validate([data], select=LEAKS, max_findings=kept)
        assert result.counts == {"E501": 40}
        assert [finding.line for finding in result.findings] == [*range(1, 21), *range(1, 21)][:found]


def test_what_is_allowed(tmp_path: Path) -> None:
    data = write_dataset(
        tmp_path / "data",
        {
            "train": [line("1", "a.jpg", group="g"), line("2", "b/1.jpg"), line("3", "c.jpg"), line("4", group="h#1")],
            "val": [line("5", "a.jpg", group="g"), line("6", "b/1.jpg"), line("7", "c.jpg"), line("8", group="h#1")],
        },
        ["a.jpg", "b/1.jpg", "c.jpg"],
    )
    allowed = tmp_path / "allowed.txt"
    lines: dict[str, list[int]] = {
        "": [1, 4, 1, 2, 3],
        "# a comment\n\n  g  \r\n": [4, 2, 3],
        "b/*\n[c].jp?\n": [1, 4, 1],
        "\ufeffh#1\n7": [1, 1, 2],
        "*": [],
    }
    for text, left in lines.items():
        allowed.write_text(text, encoding="utf-8")
        assert [finding[1] for finding in told(data, allow_leaks=allowed)] == left


def test_a_list_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file or directory"):
        read_allowed(tmp_path / "none.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="no text in UTF-8"):
        read_allowed(tmp_path / "binary.txt")
    assert not read_allowed(_written(tmp_path / "empty.txt", "# nothing\n"))


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_hostile_names_are_told_within_bounds(tmp_path: Path) -> None:
    group = "g\n\x1b[31m" + "x" * 5000
    data = write_dataset(tmp_path / "data", {"train": [line("1", group=group)], "val\n\x1b": [line("2", group=group)]})
    (found,) = validate([data], select=LEAKS).findings
    assert "\n" not in found.message.replace(str(data), "").replace("toy_val\n", "")
    assert len(found.message) < 300 + len(str(data))
    done = run("validate", data, code=1)
    assert "\x1b" not in done.stdout
