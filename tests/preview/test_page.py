"""What is on the page: every record with its texts, its pictures and what was found about it."""

from __future__ import annotations

import gzip
import io
import os
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from phi3v_data.errors import CannotRun, DataError, UsageError
from phi3v_data.lengths import TokenCounter
from phi3v_data.preview.block import BYTES_PER_TOKEN
from phi3v_data.preview.writer import render_text, write_page
from phi3v_data.validate import validate
from phi3v_schemas import Record
from tests.formats.shards import SHARDED, line, reshard, write_dataset
from tests.preview.reading import read_page

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.formats.kinds import Format

IMAGES = [f"train/{name}.{frame}.jpg" for name in "abc" for frame in range(3)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    train = [line(f"t{i}", *IMAGES[3 * i : 3 * i + 3], answer="yes", group=f"g{i}") for i in range(3)]
    test = [line("e0", IMAGES[0], answer="no", system="Be brief.", metadata={"k": [1]}), line("e1", answer=None)]
    return write_dataset(tmp_path / "data", {"train": train, "test": test}, IMAGES)


def test_records_come_in_order_with_all_that_they_hold(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    written = write_page([data], out, result=None)
    page = read_page(out)
    assert [record["id"] for record in page.records] == ["e0", "e1", "t0", "t1", "t2"]
    assert [record["i"] for record in page.records] == list(range(5))
    assert page.facts["splits"] == [
        {"name": "test", "records": 2, "shown": 2},
        {"name": "train", "records": 3, "shown": 3},
    ]
    assert page.facts["classes"] == [{"name": "yes", "records": 3}, {"name": "no", "records": 1}]
    first = page.records[0]
    assert (first["file"], first["line"], first["split"], first["class"]) == (str(data / "toy_test.jsonl"), 1, 0, 1)
    assert (first["system"], first["metadata"]) == ("Be brief.", '{\n  "k": [\n    1\n  ]\n}')
    assert first["turns"] == [{"user": "What is it?", "images": 1, "assistant": "no"}]
    assert page.records[1]["turns"] == [{"user": "What is it?", "images": 0}]
    assert page.records[2]["group"] == "g0"
    assert (page.facts["records"], page.facts["shown"], page.facts["sampled"]) == (5, 5, False)
    assert page.facts["findings"] is None
    assert (page.title, page.facts["title"], page.facts["data"]) == ("data", "data", str(data))
    assert (written.bytes, written.records, written.shown, written.notes) == (out.stat().st_size, 5, 5, [])
    stream = io.StringIO()
    render_text(written, stream)
    assert stream.getvalue() == f"{out}: 5 records, {out.stat().st_size / 1e6:.1f} MB\n"


def test_cells_show_the_images_in_order(data: Path, tmp_path: Path) -> None:
    write_page([data], tmp_path / "page.html", result=None)
    page = read_page(tmp_path / "page.html")
    record, strip = page.records[2], page.strip(2)
    assert strip.format == "WEBP"
    assert strip.size == (record["strip"]["w"], record["strip"]["h"])
    assert [image["path"] for image in record["images"]] == IMAGES[:3]
    for image in record["images"]:
        with Image.open(data / "images" / image["path"]) as original:
            assert (image["w"], image["h"]) == original.size
            cell = strip.crop((image["x"], 0, image["x"] + image["cw"], strip.height))
            assert cell.width / cell.height == pytest.approx(original.width / original.height, rel=0.1)
            assert _colour(cell) == pytest.approx(_colour(original), abs=12)
    assert page.strips[1] == ""
    assert page.records[1]["strip"] is None


def _colour(image: Image.Image) -> tuple[float, ...]:
    pixel = image.convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return pixel


def test_tokens_are_those_of_the_counter(data: Path, tmp_path: Path) -> None:
    write_page([data], tmp_path / "page.html", result=None, num_crops=4)
    page = read_page(tmp_path / "page.html")
    counter = TokenCounter(4, bytes_per_token=BYTES_PER_TOKEN)
    for record, text in zip(page.records[2:], (data / "toy_train.jsonl").read_bytes().splitlines(), strict=True):
        sizes = [(image["w"], image["h"]) for image in record["images"]]
        of_rest = counter.of_rest(Record.model_validate_json(text))
        assert record["tokens"] == counter.of_images(sizes) + of_rest
    assert page.facts["tokens"] == "estimated"


@pytest.mark.parametrize("form", SHARDED)
def test_shards_show_what_json_lines_do(data: Path, tmp_path: Path, form: Format) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow")
    reshard(data, tmp_path / "shards", form)
    write_page([data], tmp_path / "a.html", result=None)
    write_page([tmp_path / "shards"], tmp_path / "b.html", result=None)
    plain, packed = read_page(tmp_path / "a.html"), read_page(tmp_path / "b.html")
    names = [split["name"] for split in packed.facts["splits"]]
    assert sorted(names) == ["test", "train"]
    for record, strip in zip(plain.records, plain.strips, strict=True):
        other = packed.record(record["id"])
        assert packed.strips[other["i"]] == strip
        assert names[other["split"]] == plain.facts["splits"][record["split"]]["name"]
        changed = {"i", "split", "file", "line"}
        assert {k: v for k, v in other.items() if k not in changed} == {
            k: v for k, v in record.items() if k not in changed
        }


@pytest.mark.parametrize("form", ["jsonl", *SHARDED])
def test_findings_stand_beside_their_records(data: Path, tmp_path: Path, form: Format) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow")
    if form == "jsonl":
        (data / "images" / IMAGES[4]).unlink()
        where = data
    else:
        (data / "images" / IMAGES[4]).write_bytes(b"<html>")
        reshard(data, tmp_path / "shards", form)
        where = tmp_path / "shards"
    result = validate([where])
    write_page([where], tmp_path / "page.html", result=result, only_findings=True)
    page = read_page(tmp_path / "page.html")
    code = "E401" if form == "jsonl" else "E404"
    (finding,) = [finding for finding in page.record("t1")["findings"] if finding["code"] == code]
    assert finding["pointer"] == "/conversations/0/images/1"
    assert page.record("t1")["images"][1]["fault"]
    assert page.record("t1")["images"][1]["cw"] == 0
    (told,) = [told for told in page.facts["findings"]["codes"] if told["code"] == code]
    assert told.keys() == {"code", "slug", "severity", "hint", "count"}
    assert (told["severity"], told["count"]) == ("error", 1)
    assert page.facts["filter"] == "findings"


def test_every_finding_is_beside_a_record_or_general(data: Path, tmp_path: Path) -> None:
    with (data / "toy_train.jsonl").open("ab") as file:
        file.write(b"\n{no json \xff <b>\n")
    (data / "manifest.json").write_text("{broken")
    result = validate([data])
    write_page([data], tmp_path / "page.html", result=result)
    page = read_page(tmp_path / "page.html")
    told = [
        (record["file"], record["line"], finding["code"]) for record in page.records for finding in record["findings"]
    ] + [(finding["file"], finding["line"], finding["code"]) for finding in page.facts["findings"]["general"]]
    assert sorted(told, key=str) == sorted(((f.file, f.line, f.code) for f in result.findings), key=str)
    (raw,) = [record for record in page.records if "raw" in record]
    assert (raw["line"], raw["raw"], raw["id"]) == (5, "{no json \ufffd <b>", None)
    assert any(finding["line"] == 4 for finding in page.facts["findings"]["general"]), "the blank line"
    assert page.facts["records"] == result.records == 6


def test_one_split(data: Path, tmp_path: Path) -> None:
    (data / "images" / IMAGES[4]).unlink()
    write_page([data], tmp_path / "page.html", result=validate([data]), split="test")
    page = read_page(tmp_path / "page.html")
    assert [record["id"] for record in page.records] == ["e0", "e1"]
    assert not [f for f in page.facts["findings"]["general"] if f["line"] is not None]
    with pytest.raises(DataError, match=r"no split 'val' in .*: name one of test, train"):
        write_page([data], tmp_path / "page.html", result=None, split="val")


def test_empty_split_is_told(data: Path, tmp_path: Path) -> None:
    (data / "toy_val.jsonl").touch()
    write_page([data], tmp_path / "page.html", result=None)
    assert {"name": "val", "records": 0, "shown": 0} in read_page(tmp_path / "page.html").facts["splits"]


def test_files_of_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.jsonl").write_bytes('{"a": "b"}'.encode("utf-16"))
    for name in ("empty", "gone.jsonl", "text.jsonl"):
        with pytest.raises(CannotRun, match="there is nothing to show"):
            write_page([tmp_path / name], tmp_path / f"{name}.html", result=None)
    assert not list(tmp_path.glob("*.html*"))


def test_report_on_what_cannot_be_read_is_written(tmp_path: Path) -> None:
    gone = tmp_path / "gone.jsonl"
    write_page([gone], tmp_path / "page.html", result=validate([gone]), only_findings=True)
    page = read_page(tmp_path / "page.html")
    assert page.records == []
    assert [finding["code"] for finding in page.facts["findings"]["general"]] == ["E107"]


def test_compressed_file_is_unpacked(data: Path, tmp_path: Path) -> None:
    packed = data / "toy_train.jsonl.gz"
    packed.write_bytes(gzip.compress((data / "toy_train.jsonl").read_bytes()))
    result = validate([packed])
    write_page([packed], tmp_path / "page.html", result=result)
    page = read_page(tmp_path / "page.html")
    assert [record["id"] for record in page.records] == ["t0", "t1", "t2"]
    assert page.records[0]["file"] == str(packed)


def test_data_that_come_once_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    for path in (tmp_path / "pipe.jsonl", "-"):
        with pytest.raises(UsageError, match="a page reads its data several times"):
            write_page([path], tmp_path / "page.html", result=None)
