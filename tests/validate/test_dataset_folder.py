"""The images folder: what no record names, names that differ in case, and what macOS leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from phi3v_data.validate import validate
from tests.formats.shards import SHARDED, line, reshard, write_dataset
from tests.helpers import spread

FOLDER = ("W413", "W415", "W417")


def told(*paths: Path, **options: Path) -> list[tuple[str, str]]:
    """Return code and message of each finding; none is about a line."""
    found = list(validate(paths, select=FOLDER, **options).findings)
    assert all(finding.line is None for finding in found)
    return [(finding.code, finding.message) for finding in found]


def dataset(tmp_path: Path, *others: str) -> Path:
    """Write a dataset with two images, and other files in its images folder."""
    lines = {"train": [line("1", "train/a.jpg")], "val": [line("2", "b.jpg"), line("3")]}
    data = write_dataset(tmp_path / "data", lines, ["train/a.jpg", "b.jpg"])
    spread(data / "images", *others)
    return data


def test_files_no_record_names(tmp_path: Path) -> None:
    data = dataset(tmp_path, "z.jpg", "train/b.jpg", "y/deep/er.txt", "c.jpg", ".hidden", ".git/config")
    expected = "no record names 4 files of the images folder: 'c.jpg', 'train/b.jpg', 'y/deep/er.txt', …"
    assert told(data) == [("W417", expected)]
    (finding,) = validate([data], select=FOLDER).findings
    assert finding.file == str(data / "images")


def test_files_alone_do_not_say_what_the_folder_is_for(tmp_path: Path) -> None:
    data = dataset(tmp_path, "z.jpg", "._z.jpg")
    assert [code for code, _ in told(data / "toy_train.jsonl")] == ["W415"]


def test_notes_of_macos(tmp_path: Path) -> None:
    data = dataset(tmp_path, "._b.jpg", "train/._a.jpg")
    expected = "the images folder holds 2 files called '._' and the name of another: '._b.jpg', 'train/._a.jpg'"
    assert told(data) == [("W415", expected)]


def test_names_that_differ_only_in_case(tmp_path: Path) -> None:
    data = dataset(tmp_path, "B.jpg", "b.JPG", "Straße/x.jpg", "STRASSE/x.jpg", "train/c.jpg", "train/d.jpg", "C.jpg")
    if len(list((data / "images").iterdir())) < 7:
        pytest.skip("the file system does not tell upper from lower case")
    found = [message for code, message in told(data) if code == "W413"]
    assert len(found) == 1
    assert found[0].endswith("; there are 2 such names")
    assert any(pair in found[0] for pair in ("'B.jpg' and 'b.JPG'", "'STRASSE' and 'Straße'"))


def test_one_finding_for_each_folder(tmp_path: Path) -> None:
    data = dataset(tmp_path, "train/A.jpg", "x/1.png", "x/2.png", "y/E.png", "y/e.png")
    if len(list((data / "images/y").iterdir())) < 2:
        pytest.skip("the file system does not tell upper from lower case")
    found = validate([data], select=["W413"]).findings
    assert [(Path(finding.file).name, finding.message) for finding in found] == [
        ("train", "the folder holds 'A.jpg' and 'a.jpg', whose names differ only in case"),
        ("y", "the folder holds 'E.png' and 'e.png', whose names differ only in case"),
    ]


def test_links_and_pipes(tmp_path: Path) -> None:
    """A link to a folder is not followed, even in circles; a link to a file is a file, and a pipe is none."""
    data = dataset(tmp_path)
    images = data / "images"
    (images / "circle").symlink_to(images)
    (images / "b2.jpg").symlink_to(images / "b.jpg")
    (images / "nowhere.jpg").symlink_to(images / "none.jpg")
    os.mkfifo(images / "pipe")
    assert told(data) == [("W417", "no record names 1 file of the images folder: 'b2.jpg'")]


def test_names_that_are_not_unicode(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    try:
        (data / "images" / os.fsdecode(b"\xff\n.jpg")).write_bytes(b"x")
    except OSError:
        pytest.skip("the file system takes no such name")
    assert told(data) == [("W417", r"no record names 1 file of the images folder: '\udcff\n.jpg'")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_folders_that_cannot_be_listed(tmp_path: Path) -> None:
    data = dataset(tmp_path, "closed/x.jpg", "open/x.jpg")
    (data / "images/closed").chmod(0)
    try:
        assert told(data) == [("W417", "no record names 1 file of the images folder: 'open/x.jpg'")]
    finally:
        (data / "images/closed").chmod(0o755)


def test_no_folder(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", {"train": [line("1")]})
    assert told(data) == []
    (data / "images").write_bytes(b"a file")
    assert told(data) == []


@pytest.mark.parametrize("output", SHARDED)
def test_shards_need_no_folder(tmp_path: Path, output: str) -> None:
    reshard(dataset(tmp_path), tmp_path / "out", output)  # type: ignore[arg-type]
    assert told(tmp_path / "out") == []


def test_another_folder(tmp_path: Path) -> None:
    data = dataset(tmp_path, "z.jpg")
    (data / "images").rename(tmp_path / "elsewhere")
    assert told(data, images_dir=tmp_path / "elsewhere") == []  # a common pool holds other images too
