"""The page never outgrows its limit, whatever it has to show."""

from __future__ import annotations

import io
import json
import random
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from phi3v_data.errors import CannotRun
from phi3v_data.preview.escaped import cut_to, escaped, escaped_size
from phi3v_data.preview.shares import Wish, level_of, share_out
from phi3v_data.preview.writer import write_page
from phi3v_data.validate import validate
from tests.formats.shards import line, write_dataset
from tests.preview.reading import read_page

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a dataset of 250 records with 4 images each that no encoder makes small."""
    folder = tmp_path_factory.mktemp("noise") / "data"
    chance = random.Random(0)
    (folder / "images").mkdir(parents=True)
    for number in range(1000):
        pixels = Image.frombytes("RGB", (64, 48), chance.randbytes(64 * 48 * 3))
        pixels.save(buffer := io.BytesIO(), "JPEG", quality=90)
        (folder / "images" / f"{number}.jpg").write_bytes(buffer.getvalue())
    lines = [line(f"t{i}", *(f"{4 * i + j}.jpg" for j in range(4)), answer=f"{i}: " + "word " * 60) for i in range(250)]
    return write_dataset(folder, {"train": lines})


@pytest.mark.parametrize("max_bytes", [300_000, 600_000, 2_000_000])
def test_noise_becomes_small(noise: Path, tmp_path: Path, max_bytes: int) -> None:
    written = write_page([noise], tmp_path / "page.html", result=None, max_bytes=max_bytes)
    assert (tmp_path / "page.html").stat().st_size == written.bytes <= max_bytes
    page = read_page(tmp_path / "page.html")
    assert len(page.records) == 250
    with_strip = sum(bool(strip) for strip in page.strips)
    assert with_strip == 250
    if max_bytes > 1_000_000:
        assert not any("cut" in record for record in page.records)


def test_page_without_room_for_its_records_is_refused(tmp_path: Path) -> None:
    lines = {f"{'<' * 200}{number}": [line(f"t{number}")] for number in range(40)}
    data = write_dataset(tmp_path / "data", lines)
    for max_bytes in (10_000, 120_000):
        with pytest.raises(CannotRun, match=r"a page of 0\.[0-9]+ MB has no room for [0-9]+ records in 40 splits"):
            write_page([data], tmp_path / "out" / "page.html", result=None, records=40, max_bytes=max_bytes)
        assert list((tmp_path / "out").iterdir()) == []
    written = write_page([data], tmp_path / "out" / "page.html", result=None, max_bytes=200_000)
    assert (written.shown, written.bytes < 200_000) == (40, True)


def test_hostile_records_of_every_size_stay_in_their_room(tmp_path: Path) -> None:
    lines = [line(f"t{i}", user="<" * 30_000, answer="&" * 30_000) for i in range(100)]
    lines += [line(f"a{i}", *(f"{'p' * 200}{j}.jpg" for j in range(300))) for i in range(50)]
    turns = [{"user": "?", "assistant": "!", "answers": ["\x01"] * 80} for _ in range(300)]
    lines += [json.dumps({"id": f"m{i}", "source": "s", "conversations": turns}).encode() for i in range(50)]
    lines += [b'{"\xff' + b"<" * 5000] * 50
    data = write_dataset(tmp_path / "data", {"train": lines})
    result = validate([data], max_findings=0)
    for max_bytes in (400_000, 3_000_000):
        write_page([data], tmp_path / "page.html", result=result, max_bytes=max_bytes)
        assert (tmp_path / "page.html").stat().st_size <= max_bytes
        page = read_page(tmp_path / "page.html")
        assert len(page.records) == 250
        for record in page.records[:100]:
            texts = record["turns"][0]["user"], record["turns"][0]["assistant"]
            assert texts[0] and set(texts[0]) == {"<"} and set(texts[1]) == {"&"}
            assert sum(map(len, texts)) + record["cut"] == 60_000
        assert any("are cut, to keep the page small" in note for note in page.facts["notes"])


def test_short_texts_are_whole_beside_a_long_one(tmp_path: Path) -> None:
    lines = [line("long", answer="x" * 900_000), *(line(f"t{i}", answer="word " * 100) for i in range(100))]
    data = write_dataset(tmp_path / "data", {"train": lines})
    write_page([data], tmp_path / "page.html", result=None, max_bytes=700_000)
    page = read_page(tmp_path / "page.html")
    assert not any("cut" in record for record in page.records[1:])
    assert len(page.records[0]["turns"][0]["assistant"]) > 300_000


def test_more_records_than_fit_are_sampled(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", {"train": [line(f"t{i}") for i in range(600)]})
    write_page([data], tmp_path / "page.html", result=None, max_bytes=400_000)
    assert read_page(tmp_path / "page.html").facts["shown"] == 400


def test_cut_text_takes_no_more_than_its_size() -> None:
    for text in ("abc", "é" * 50, "<&>" * 20, "\0" * 30, "𝔘" * 9, ""):
        for size in range(2, 130):
            cut = cut_to(text, size)
            assert text.startswith(cut)
            assert escaped_size(cut) <= max(2, size)
            longer = text[: len(cut) + 1]
            assert longer == cut or escaped_size(longer) > size
            assert json.loads(escaped(cut)) == cut


def test_level_leaves_no_room_unused() -> None:
    assert level_of([10, 20, 300, 400], 230) == 100
    assert level_of([10, 20], 500) == 20
    assert level_of([], 5) == 0
    for seed in range(200):
        chance = random.Random(seed)
        sizes = [chance.randrange(1, 500) for _ in range(chance.randrange(1, 40))]
        room = chance.randrange(len(sizes), 6000)
        level = level_of(sizes, room)
        assert sum(min(size, level) for size in sizes) <= room
        assert level == max(sizes) or sum(min(size, level + 1) for size in sizes) > room


def test_shares_of_a_full_page_fill_it() -> None:
    shares = share_out([Wish(5000, 8)] * 1000, 4_000_000)
    assert shares.text == 1600
    assert 1000 * (shares.text + 8 * (shares.picture + shares.spare)) <= 4_000_000
    assert 1000 * (shares.text + 8 * (shares.picture + shares.spare)) > 3_900_000
    assert share_out([Wish(500, 1)] * 10, 4_000_000).height == 256
