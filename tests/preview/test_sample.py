"""Which records are shown where there are more than a page should hold."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from phi3v_data.preview.planning import choose_records
from phi3v_data.preview.sources import find_sources
from phi3v_data.preview.writer import write_page
from phi3v_data.validate import validate
from phi3v_data.validate.inputs import Inputs
from phi3v_data.workers import Workers
from tests.formats.shards import line, write_dataset
from tests.preview.reading import read_page

if TYPE_CHECKING:
    from pathlib import Path

    from tests.preview.reading import Page

CLASSES = {"cat": 600, "dog": 300, "owl": 100}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    answers = [answer for answer, count in CLASSES.items() for _ in range(count)]
    splits = {
        "train": [line(f"t{i}", answer=answer) for i, answer in enumerate(answers)],
        "val": [line(f"v{i}", answer="cat") for i in range(197)],
        "test": [line(f"e{i}", answer=None) for i in range(3)],
    }
    return write_dataset(tmp_path_factory.mktemp("sample") / "data", splits)


def _page(data: Path, out: Path, **options: object) -> Page:
    write_page([data], out, result=None, **options)  # type: ignore[arg-type]
    return read_page(out)


def test_sample_keeps_the_proportions_of_splits_and_classes(data: Path, tmp_path: Path) -> None:
    page = _page(data, tmp_path / "page.html", records=120)
    shown = {split["name"]: split["shown"] for split in page.facts["splits"]}
    assert shown["train"] in (99, 100)
    assert shown["test"] == 1
    assert sum(shown.values()) == page.facts["shown"] == len(page.records) == 120
    names = [entry["name"] for entry in page.facts["classes"]]
    train = [split["name"] for split in page.facts["splits"]].index("train")
    answers = Counter(names[record["class"]] for record in page.records if record["split"] == train)
    assert answers["cat"] in (59, 60)
    assert (answers["dog"], answers["owl"]) == (30, 10)
    assert page.facts["sampled"]
    assert page.facts["notes"] == ["120 of 1,200 records: a sample in proportion to splits and classes, seed 0."]
    assert [record["line"] for record in page.records if record["split"] == train] == sorted(
        record["line"] for record in page.records if record["split"] == train
    )


def test_seed_draws_the_sample(data: Path, tmp_path: Path) -> None:
    ids = [
        [record["id"] for record in _page(data, tmp_path / "page.html", records=50, seed=seed).records]
        for seed in (7, 7, 8, -1)
    ]
    assert ids[0] == ids[1]
    assert ids[0] != ids[2] != ids[3]


def test_as_many_as_there_are(data: Path, tmp_path: Path) -> None:
    assert not _page(data, tmp_path / "page.html", records=1200).facts["sampled"]
    assert _page(data, tmp_path / "page.html", records=1199).facts["shown"] == 1199
    assert _page(data, tmp_path / "page.html", records=1).facts["shown"] == 1


def test_answers_of_all_kinds_are_no_classes(tmp_path: Path) -> None:
    lines = [line(f"t{i}", answer=f"It is number {i}") for i in range(1500)]
    data = write_dataset(tmp_path / "data", {"train": lines, "val": [line("v", answer="x" * 101)]})
    page = _page(data, tmp_path / "page.html", records=100)
    assert page.facts["classes"] == []
    assert page.facts["shown"] == 100
    assert {record["class"] for record in page.records} == {None}
    assert [split["shown"] for split in page.facts["splits"]] == [99, 1]


def test_workers_change_nothing(tmp_path: Path) -> None:
    images = [f"train/{i}.jpg" for i in range(40)]
    lines = [line(f"t{i}", images[i % 40], answer=f"a{i % 5}") for i in range(700)]
    data = write_dataset(tmp_path / "data", {"train": lines}, images)
    result = validate([data])
    for workers in (1, 2):
        write_page([data], tmp_path / f"{workers}.html", result=result, records=450, workers=workers)
    assert (tmp_path / "1.html").read_bytes() == (tmp_path / "2.html").read_bytes()
    assert len(read_page(tmp_path / "1.html").records) == 450


def test_records_with_findings_come_first(data: Path, tmp_path: Path) -> None:
    lines = (data / "toy_train.jsonl").read_bytes().splitlines()
    for number in range(10, 1000, 50):
        lines[number] = b'{"id": "broken"}'
    broken = tmp_path / "data" / "toy_train.jsonl"
    broken.parent.mkdir()
    broken.write_bytes(b"\n".join(lines) + b"\n")
    result = validate([broken], select=["E2"])
    for only, most, expected in ((True, 100, 20), (True, 12, 12), (False, 40, 10)):
        write_page([broken], tmp_path / "page.html", result=result, records=most, only_findings=only)
        page = read_page(tmp_path / "page.html")
        found = [record["line"] for record in page.records if record["findings"]]
        assert len(page.records) == most
        assert len(found) >= expected
        assert set(found) <= set(range(11, 1001, 50))
        if most == 12:
            assert found == list(range(11, 600, 50))
            assert page.facts["notes"][0].startswith("12 of 1,000 records: those with findings first, and a sample")
            assert len(page.facts["findings"]["general"]) == len(result.findings) - 12 * 2


def test_what_is_remembered_does_not_grow_with_the_records(tmp_path: Path) -> None:
    data = tmp_path / "toy_train.jsonl"
    with data.open("wb") as file:
        for number in range(150_000):
            turn = b'{"user":"What?","assistant":"%d"}' % (number % 7)
            file.write(b'{"id":"%d","source":"toy","conversations":[%s]}\n' % (number, turn))
    with Inputs() as inputs, Workers(1) as pool:
        sources = find_sources([data], None, None, inputs)
        plan = choose_records(sources, None, most=100, seed=0, only_findings=False, pool=pool)
    assert plan.strata.records == 150_000
    assert len(plan.places) == 100
    assert plan.strata.held < 100_000
    expected = {str(answer): count for answer, count in Counter(number % 7 for number in range(150_000)).items()}
    assert plan.classes == expected
