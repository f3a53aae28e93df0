"""Whatever the data hold, the page shows it: broken images, marks of HTML in every field, endless texts."""

from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from phi3v_data.preview.card import MOST_PICTURES
from phi3v_data.preview.writer import write_page
from phi3v_data.validate import validate
from tests.converters.made_sources import picture
from tests.formats.shards import line, pack, write_dataset
from tests.preview.reading import read_page

if TYPE_CHECKING:
    from pathlib import Path

MARKS = (
    "<script>alert(1)</script>",
    "</script><b>",
    "<!--<script>",
    "-->",
    "]]>",
    "&lt;&amp;",
    "{{data}}",
    "\"\\'`\0\x1b",
)


@pytest.mark.parametrize("mark", MARKS)
def test_marks_of_html_are_text_in_every_field(tmp_path: Path, mark: str) -> None:
    name = mark.replace("/", "\u2215").replace("\0", "").replace("\\", "")
    turn = {"images": [name], "user": mark, "assistant": mark, "answers": [mark, mark]}
    record = {"id": mark, "source": mark, "group": mark, "system": mark, "metadata": {mark: mark}}
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    file = data / f"toy_{name}.jsonl"
    lines = [json.dumps({**record, "id": mark * (1 + i), "conversations": [turn]}) for i in range(2)]
    file.write_text("\n".join([*lines, mark]) + "\n")
    result = validate([data])
    write_page([data], tmp_path / "page.html", result=result, title=mark)
    text = (tmp_path / "page.html").read_text()
    page = read_page(tmp_path / "page.html")
    first, second, raw = page.records
    assert (first["id"], first["source"], first["group"], first["system"]) == (mark, mark, mark, mark)
    assert json.loads(first["metadata"]) == {mark: mark}
    assert first["turns"] == [{"user": mark, "assistant": mark, "answers": [mark, mark], "images": 1}]
    assert first["images"][0]["path"] == name
    assert (second["id"], raw["raw"]) == (mark * 2, mark)
    assert page.facts["classes"] == [{"name": mark, "records": 2}]
    assert page.facts["splits"][0]["name"] == f"{name}".rpartition("_")[2]
    assert (page.facts["title"], first["file"]) == (mark, str(file))
    assert first["findings"]
    assert text.count('<script type="') == 3, "the facts, the records and the strips"
    assert text.partition('id="facts">')[2].count("</script") == 4, "and the page's own"


def test_texts_of_all_scripts_come_through(tmp_path: Path) -> None:
    texts = [
        "مرحبا بالعالم",
        "שלום",
        "这是什么?",
        "👩‍👩‍👧‍👦🎉",
        "a\u2028b\u2029c",
        "e\u0301",
        "\ufeffx",
        "\x7f\x80",
        "𝔘" * 50,
    ]
    data = write_dataset(tmp_path / "data", {"train": [line(f"t{i}", user=t, answer=t) for i, t in enumerate(texts)]})
    write_page([data], tmp_path / "page.html", result=None)
    page = read_page(tmp_path / "page.html")
    assert [record["turns"][0]["user"] for record in page.records] == texts
    assert [record["turns"][0]["assistant"] for record in page.records] == texts
    assert "\u2028" not in (tmp_path / "page.html").read_text()


def test_long_answer_is_whole_where_there_is_room(tmp_path: Path) -> None:
    answer = "".join(f"<{i}>" for i in range(11_000))[:50_000]
    data = write_dataset(tmp_path / "data", {"train": [line("t", answer=answer)]})
    write_page([data], tmp_path / "page.html", result=None)
    (record,) = read_page(tmp_path / "page.html").records
    assert record["turns"][0]["assistant"] == answer
    assert "cut" not in record


def _png(size: tuple[int, int], **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise(size, 60).save(buffer, "PNG", **options)
    return buffer.getvalue()


def _bomb() -> bytes:
    """Return a PNG whose header says that it has 60,000 x 60,000 pixels."""
    import struct
    import zlib

    data = _png((8, 8))
    header = b"IHDR" + struct.pack(">II", 60_000, 60_000) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


def _broken() -> dict[str, tuple[bytes, str]]:
    """Return files that are no images, each with a part of what is said of it."""
    good, noise = picture(1, "JPEG"), _png((64, 64))
    middle = len(noise) // 2
    return {
        "empty.jpg": (b"", "is empty"),
        "page.jpg": (b"<!DOCTYPE html><p>", "is a web page"),
        "cut.jpg": (good[: len(good) // 2], "is cut short"),
        "damaged.png": (noise[:middle] + bytes(9) + noise[middle + 9 :], "does not decode"),
        "bomb.png": (_bomb(), "limit of 178,956,970 pixels"),
        "text.png": (b"hello", "is "),
    }


def test_broken_images_say_what_is_wrong(tmp_path: Path) -> None:
    broken = _broken()
    data = write_dataset(tmp_path / "data", {}, ["good.jpg"])
    images = data / "images"
    for name, (content, _) in broken.items():
        (images / name).write_bytes(content)
    (images / "folder.jpg").mkdir()
    os.mkfifo(images / "pipe.jpg")
    (tmp_path / "secret.jpg").write_bytes(picture(1, "JPEG"))
    (images / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    refused = {"gone.jpg": "does not exist", "folder.jpg": "folder", "pipe.jpg": "regular", "link.jpg": "link"}
    refused |= {
        "../secret.jpg": "leaves the folder",
        str(tmp_path / "secret.jpg"): "absolute",
        "https://x.org/a.jpg": "URL",
    }
    expected = {name: words for name, (_, words) in broken.items()} | refused
    lines = [line("all", "good.jpg", *expected, "good.jpg"), *(line(f"t{i}", name) for i, name in enumerate(expected))]
    (data / "toy_train.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    write_page([data], tmp_path / "page.html", result=None)
    page = read_page(tmp_path / "page.html")
    first, *_, last = page.records[0]["images"]
    assert first["x"] == 0 and last["x"] == first["cw"] + 1 and first["cw"] == last["cw"] > 0
    for image in page.records[0]["images"][1:-1]:
        assert image["cw"] == 0
        assert expected[image["path"]] in image["fault"], image
    assert "fault" not in first and "fault" not in last
    assert [record["strip"] for record in page.records[1:]] == [None] * len(expected)
    assert page.strips[1:] == [""] * len(expected)


def test_broken_images_of_shards(tmp_path: Path) -> None:
    broken = _broken()
    members = [("0.json", line("t", *broken)), *((f"0.{i}.jpg", data) for i, (data, _) in enumerate(broken.values()))]
    pack(tmp_path / "toy_train.tar", members)
    write_page([tmp_path / "toy_train.tar"], tmp_path / "page.html", result=None)
    (record,) = read_page(tmp_path / "page.html").records
    for image in record["images"]:
        assert broken[image["path"]][1] in image["fault"]


def test_damaged_shard_shows_what_comes_before(tmp_path: Path) -> None:
    members = [(f"{i}.json", line(f"t{i}")) for i in range(4)]
    path = pack(tmp_path / "toy_train.tar", members)
    path.write_bytes(path.read_bytes()[:2300])
    write_page([path], tmp_path / "page.html", result=None)
    page = read_page(tmp_path / "page.html")
    assert [record["id"] for record in page.records] == ["t0"]
    assert any(str(path) in note and "after record 1" in note for note in page.facts["notes"])


def test_images_look_as_the_model_sees_them(tmp_path: Path) -> None:
    images = tmp_path / "data" / "images"
    images.mkdir(parents=True)
    turned = Image.new("RGB", (40, 20), "red")
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(images / "turned.png", exif=exif)
    Image.new("RGBA", (40, 40), (0, 200, 0, 0)).save(images / "clear.png")
    Image.new("L", (40, 40), 128).save(images / "grey.png")
    Image.new("RGB", (2000, 10), "blue").save(images / "long.png")
    Image.new("P", (1, 1), 0).save(images / "dot.png")
    names = ["turned.png", "clear.png", "grey.png", "long.png", "dot.png"]
    data = write_dataset(tmp_path / "data", {"train": [line("t", *names)]})
    write_page([data], tmp_path / "page.html", result=None)
    page = read_page(tmp_path / "page.html")
    strip, cells = page.strip(0), page.records[0]["images"]
    middles = [strip.getpixel((cell["x"] + cell["cw"] // 2, strip.height // 2)) for cell in cells]
    wanted = [(255, 0, 0), (0, 200, 0), (128, 128, 128), (0, 0, 255), (0, 0, 0)]
    for middle, colour in zip(middles[:3], wanted[:3], strict=True):
        assert middle == pytest.approx(colour, abs=12)
    assert cells[0]["cw"] == 2 * strip.height
    assert cells[3]["cw"] == 4 * strip.height, "no cell is wider, and what is, stands on white"
    assert strip.getpixel((cells[3]["x"] + 5, 0)) == pytest.approx((255, 255, 255), abs=12)
    assert [(cell["w"], cell["h"]) for cell in cells] == [(40, 20), (40, 40), (40, 40), (2000, 10), (1, 1)]


def test_many_images_and_turns_of_a_record(tmp_path: Path) -> None:
    turns = [{"images": ["a.png"] * 5, "user": f"Turn {i}?", "assistant": "Yes."} for i in range(150)]
    record = json.dumps({"id": "many", "source": "toy", "conversations": turns}).encode()
    data = write_dataset(tmp_path / "data", {"train": [record]}, ["a.png"])
    write_page([data], tmp_path / "page.html", result=None)
    page = read_page(tmp_path / "page.html")
    (shown,) = page.records
    assert len(shown["images"]) == MOST_PICTURES
    assert shown["images_cut"] == 750 - MOST_PICTURES
    assert len(shown["turns"]) == 100
    assert shown["cut"] == sum(len(turn["user"]) + len("Yes.") for turn in turns[100:])
    assert page.strip(0).width <= 16_383
