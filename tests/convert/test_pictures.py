"""Converters of pictures with questions, through the engine: each picture once, each question a record."""

from __future__ import annotations

import os
import struct
import zlib
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from pydantic import ValidationError

from phi3v_data.convert.engine import Outcome, Progress, convert
from phi3v_data.convert.executors import LocalExecutor
from phi3v_data.convert.pictures import PictureOptions
from phi3v_data.convert.planning import Request
from phi3v_data.convert.sources import open_source
from phi3v_data.errors import UsageError
from tests.convert.listed import Listed, write_listing
from tests.converters.made_sources import picture, write_picture
from tests.helpers import read_lines, snapshot

if TYPE_CHECKING:
    from pathlib import Path

ASK = [{"user": "Is it?", "assistant": "Yes."}]


def run(root: Path, out: Path, *, workers: int = 1, **options: Any) -> Outcome:
    """Convert with workers that are processes."""
    opened = open_source(str(root), default=None)
    silent = Progress(lambda planned, done: None, lambda message: None)
    return convert(Request(Listed, PictureOptions(**options), opened, out), LocalExecutor(workers), silent)


def rejects(out: Path) -> dict[str, tuple[str, str]]:
    return {row["source"]: (row["code"], row["message"]) for row in read_lines(out / "rejects.jsonl")}


def in_row(row: int, column: str = "image", **fields: Any) -> dict[str, Any]:
    return {"file": "data/train.parquet", "row": row, "column": column, **fields}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in files and in rows; eight rows, in row groups of three."""
    root = tmp_path_factory.mktemp("raw")
    write_picture(root / "pages/a.png", 100)
    write_picture(root / "pages/really a jpeg.png", 101, "JPEG")
    write_picture(root / "pages/large.bmp", 102, "BMP", (400, 300))
    cells = [{"bytes": picture(number), "path": f"{number}.png"} for number in range(8)]
    lists = [cells[:2], cells[2:4], [cells[4]], [], None, [cells[5], {"bytes": None, "path": "x.png"}], cells[:3], []]
    table = pa.table({"image": [*cells[:6], None, {"bytes": None, "path": "7.png"}], "images": lists})
    (root / "data").mkdir()
    parquet.write_table(table, root / "data/train.parquet", row_group_size=3)
    return root


@pytest.fixture(scope="module")
def root(raw: Path) -> Path:
    """Sources of each kind, all of them sound."""
    several = [
        {"user": "What is it?", "assistant": "A cat.", "answers": ["A cat.", "cat"], "label": "open"},
        {"user": "Is it a cat?", "assistant": "Yes.", "label": "closed", "metadata": {"question_id": 7}},
        {"user": "Is it a dog?", "assistant": "No.", "label": "closed"},
    ]
    pair = [in_row(1, "images", index=index, count=2) for index in (1, 0)]
    return write_listing(
        raw,
        train=[
            {"pictures": ["pages/a.png"], "questions": several, "group": "a"},
            {"pictures": ["pages/large.bmp", "pages/really a jpeg.png"], "questions": ASK, "name": "x/y"},
        ],
        test=[
            {"pictures": [in_row(4)], "questions": [{"user": "And this?"}]},
            {"pictures": pair, "questions": [{"user": "Which?", "assistant": "Left.", "label": "open"}] * 2},
        ],
    )


@pytest.fixture(scope="module")
def out(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What they become with no options."""
    out = tmp_path_factory.mktemp("made") / "out"
    run(root, out)
    return out


class TestRecords:
    def test_each_question_is_one_and_names_the_same_picture(self, out: Path) -> None:
        turn = {"images": ["train/00.0.png"]}
        assert read_lines(out / "listed_train.jsonl") == [
            {"id": "train-0000000000-0", "source": "listed", "group": "a", "conversations": [
                {**turn, "user": "What is it?", "assistant": "A cat.", "answers": ["A cat.", "cat"]}]},
            {"id": "train-0000000000-1", "source": "listed", "group": "a", "conversations": [
                {**turn, "user": "Is it a cat?", "assistant": "Yes."}], "metadata": {"question_id": 7}},
            {"id": "train-0000000000-2", "source": "listed", "group": "a", "conversations": [
                {**turn, "user": "Is it a dog?", "assistant": "No."}]},
            {"id": "train-0000000001", "source": "listed", "conversations": [
                {"images": ["train/x/y.0.png", "train/x/y.1.jpg"], "user": "Is it?", "assistant": "Yes."}]},
        ]  # fmt: skip
        pair = {"images": ["test/01.0.png", "test/01.1.png"], "user": "Which?", "assistant": "Left."}
        assert read_lines(out / "listed_test.jsonl") == [
            {"id": "test-0000000002", "source": "listed", "conversations": [
                {"images": ["test/00.0.png"], "user": "And this?"}]},
            {"id": "test-0000000003-0", "source": "listed", "conversations": [pair]},
            {"id": "test-0000000003-1", "source": "listed", "conversations": [pair]},
        ]  # fmt: skip

    def test_pictures_are_stored_once_as_they_came(self, root: Path, out: Path) -> None:
        stored = snapshot(out / "images")
        assert stored.pop("train/x/y.0.png").startswith(b"\x89PNG")
        assert stored == {
            "train/00.0.png": (root / "pages/a.png").read_bytes(),
            "train/x/y.1.jpg": (root / "pages/really a jpeg.png").read_bytes(),
            "test/00.0.png": picture(4),
            "test/01.0.png": picture(3),
            "test/01.1.png": picture(2),
        }

    def test_the_manifest_counts_the_class_of_each_record(self, root: Path, out: Path, tmp_path: Path) -> None:
        manifest = run(root, out).manifest
        assert manifest.classes == {"train": {"closed": 2, "open": 1}, "test": {"open": 2}}
        assert [(file.records, file.images) for file in manifest.files] == [(4, 3), (3, 3)]

    def test_any_number_of_workers_gives_the_same_bytes(self, root: Path, out: Path, tmp_path: Path) -> None:
        run(root, tmp_path / "out", workers=2)
        assert snapshot(tmp_path / "out") == snapshot(out)

    def test_options_shape_the_pictures_and_the_plan(self, root: Path, out: Path, tmp_path: Path) -> None:
        run(root, tmp_path / "out", image_size=32, quality=10)
        small, whole = snapshot(tmp_path / "out/images"), snapshot(out / "images")
        assert small.keys() == whole.keys()
        assert all(len(small[name]) < len(whole[name]) for name in small)
        with pytest.raises(UsageError, match="image_size 32, now None"):
            run(root, tmp_path / "out")

    def test_a_picture_that_changed_is_another_plan(self, root: Path, out: Path, tmp_path: Path) -> None:
        run(root, tmp_path / "out")
        before = (root / "pages/a.png").read_bytes()
        try:
            write_picture(root / "pages/a.png", 100, size=(41, 30))
            with pytest.raises(UsageError, match="made from other source files"):
                run(root, tmp_path / "out")
        finally:
            (root / "pages/a.png").write_bytes(before)


def bomb() -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\x00\x00\x00\x00IEND\xaeB`\x82"


def damaged() -> bytes:
    data = bytearray(picture(0))
    data[len(data) // 2] ^= 0x55
    return bytes(data)


BAD_FILES = {
    "missing.png": ("missing_image", "does not exist"),
    "good.png/a.png": ("missing_image", "does not exist"),
    "dangling.png": ("missing_image", "does not exist"),
    "loop.png": ("unreadable", "cannot be read: Too many levels of symbolic links"),
    "folder.png": ("not_an_image", "is a folder"),
    "pipe.png": ("not_an_image", "is not a regular file"),
    "device.png": ("not_an_image", "is not a regular file"),
    "huge.png": ("too_large", "has 268,435,457 bytes, which no picture should: 268,435,456 at most"),
    "empty.png": ("empty_image", "is empty (0 bytes)"),
    "page.png": ("not_an_image", "is a web page, not an image: the download failed"),
    "cut.png": ("truncated", "is cut short: its PNG end marker is missing"),
    "bomb.png": ("too_many_pixels", "is over Pillow's limit of 178,956,970 pixels"),
}


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of each kind of fault, beside those that are sound."""
    base = tmp_path_factory.mktemp("files")
    root = base / "root"
    write_picture(root / "good.png", 1)
    write_picture(base / "outside.png", 2)
    (root / "folder.png").mkdir()
    os.mkfifo(root / "pipe.png")
    (root / "device.png").symlink_to("/dev/zero")
    (root / "link.png").symlink_to("good.png")
    (root / "dangling.png").symlink_to("nowhere.png")
    (root / "loop.png").symlink_to("loop.png")
    with (root / "huge.png").open("wb") as file:
        file.truncate((1 << 28) + 1)
    for name, data in {
        "empty": b"", "page": b"<html>", "cut": picture(3)[:-20], "bomb": bomb(), "damaged": damaged(),
    }.items():  # fmt: skip
        (root / f"{name}.png").write_bytes(data)
    good = ["good.png", "link.png", "damaged.png"]
    paths = [*good, *BAD_FILES, "../outside.png", str(base / "outside.png"), "a\\b.png", "", "x\ny.png", "é" * 200]
    sources = [{"pictures": ["good.png", path], "questions": ASK} for path in paths]
    sources.append({"pictures": ["missing.png"], "questions": ASK, "name": "../up"})
    return write_listing(root, train=sources)


class TestFiles:
    def test_what_is_no_picture_is_a_reject_that_says_why(self, bad: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        manifest = run(bad, out).manifest
        found = rejects(out)
        assert found.pop("../up")[0] == "unsafe_name"
        names = list(BAD_FILES)
        for number, name in enumerate(names, 3):
            code, words = BAD_FILES[name]
            assert found[f"{number:02d}"] == (code, f"{name} {words}")
        codes = [found[f"{number:02d}"][0] for number in range(3 + len(names), 9 + len(names))]
        assert codes == ["unsafe_path"] * 6
        assert "its picture's path '../outside.png' leaves the folder" in {message for _, message in found.values()}
        assert len(found) == len(names) + 6 == manifest.rejects - 1
        stored = snapshot(out / "images")
        assert set(stored) == {f"train/{number:02d}.{side}.png" for number in range(3) for side in (0, 1)}
        assert stored["train/01.1.png"] == picture(1)
        assert stored["train/02.1.png"] == damaged()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]

    def test_decoding_finds_more(self, bad: Path, tmp_path: Path) -> None:
        run(bad, tmp_path / "out", decode=True)
        code, message = rejects(tmp_path / "out")["02"]
        assert code == "damaged" and message.startswith("damaged.png does not decode: ")
        assert len(snapshot(tmp_path / "out/images")) == 4


class TestRows:
    CASES = (
        (in_row(2), None, None),
        (in_row(0, "images", index=1, count=2), None, None),
        (in_row(2, "images", index=0, count=1), None, None),
        (
            in_row(2, "images", index=0, count=2),
            "wrong_pictures",
            "row 2 of data/train.parquet holds 1 pictures, not 2",
        ),
        (
            in_row(3, "images", index=0, count=1),
            "wrong_pictures",
            "row 3 of data/train.parquet holds 0 pictures, not 1",
        ),
        (
            in_row(4, "images", index=0, count=2),
            "wrong_pictures",
            "row 4 of data/train.parquet holds 0 pictures, not 2",
        ),
        (
            in_row(6, "images", index=0, count=2),
            "wrong_pictures",
            "row 6 of data/train.parquet holds 3 pictures, not 2",
        ),
        (in_row(5, "images", index=1, count=2), "missing_image", "is not in the file, which at most names it"),
        (in_row(6), "missing_image", "the picture in row 6 is not in the file"),
        (in_row(7), "missing_image", "the picture in row 7 is not in the file"),
        (in_row(8), "unreadable", "row 8 of data/train.parquet is damaged: it has fewer rows than were listed"),
        (in_row(0, "photo"), "unreadable", "row 0 of data/train.parquet is damaged: it has no column 'photo'"),
    )

    def test_what_a_row_does_not_hold_is_a_reject(self, raw: Path, tmp_path: Path) -> None:
        (tmp_path / "root").mkdir()
        (tmp_path / "root/data").symlink_to(raw / "data")
        sources = [{"pictures": [case[0]], "questions": ASK} for case in self.CASES]
        run(write_listing(tmp_path / "root", train=sources), tmp_path / "out")
        found = rejects(tmp_path / "out")
        for number, (_, code, words) in enumerate(self.CASES):
            assert (code is None) == (f"{number:02d}" not in found)
            if code is not None and words is not None:
                assert found[f"{number:02d}"][0] == code
                assert words in found[f"{number:02d}"][1]
        assert snapshot(tmp_path / "out/images") == {
            "train/00.0.png": picture(2),
            "train/01.0.png": picture(1),
            "train/02.0.png": picture(4),
        }


@pytest.mark.parametrize("options", [{"image_size": 15}, {"quality": 0}, {"quality": 101}, {"size": 3}])
def test_options_that_make_no_sense(options: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        PictureOptions(**options)
