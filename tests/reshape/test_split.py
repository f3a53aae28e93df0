"""`phi3v-data split`: groups stay together, classes keep their proportions, and the seed decides the rest."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phi3v_data import Dataset
from phi3v_data.errors import UsageError
from phi3v_data.layout import read_manifest
from phi3v_data.reshape.command import divide_request, parse_fractions
from phi3v_data.reshape.divide import assign, tied_groups
from phi3v_schemas import OutputInfo
from tests.converters.converting import rejects
from tests.formats.shards import SHARDED, carry_out, codes, contents, line, reshard, write_dataset
from tests.helpers import run, snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.formats.kinds import Format
    from phi3v_schemas import Manifest

PARTS = {"train": 0.8, "val": 0.1, "test": 0.1}
FRACTIONS = st.lists(st.floats(0.01, 100), min_size=1, max_size=5)


def divide(
    data: Path,
    out_dir: Path,
    fractions: dict[str, float] | None = None,
    *,
    seed: int = 0,
    stratify: bool = True,
    output: Format | None = None,
    images_dir: Path | None = None,
) -> Manifest:
    """Divide a dataset in this process."""
    info = OutputInfo(format=output) if output else None
    request = divide_request(data, out_dir, images_dir, fractions or PARTS, seed=seed, stratify=stratify, output=info)
    return carry_out(request).manifest


def placed(folder: Path) -> dict[str, str]:
    """Return the split of every record, by its id."""
    dataset = Dataset(folder)
    return {record.id: split for split in dataset.splits for record in dataset.split(split)}


@pytest.fixture(scope="module")
def singles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 records in two splits, each a group of its own: one "yes" for three "no", and ten answers given once."""
    answers = ["yes", "no", "no", "no"] * 50
    answers[:10] = [f"answer {number}" for number in range(10)]
    lines = [line(f"{number:03d}", user=f"Is it {number}?", answer=answer) for number, answer in enumerate(answers)]
    return write_dataset(tmp_path_factory.mktemp("singles"), {"train": lines[:120], "val": lines[120:]})


@pytest.fixture(scope="module")
def grouped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Groups of three, and records without a group of which two each have an image in common, though not the first."""
    lines = [line(f"g{number:02d}", user=f"{number}?", group=f"group {number // 3}") for number in range(60)]
    lines += [line(f"i{number:02d}", f"own{number}.png", f"{number // 2}.png") for number in range(20)]
    images = [*(f"own{number}.png" for number in range(20)), *(f"{number}.png" for number in range(10))]
    return write_dataset(tmp_path_factory.mktemp("grouped"), {"train": lines}, images)


def test_every_record_is_placed_and_stays_as_it_is(singles: Path, tmp_path: Path) -> None:
    manifest = divide(singles, tmp_path / "out")
    assert [(file.path, file.split) for file in manifest.files] == [(f"toy_{split}.jsonl", split) for split in PARTS]
    before = {record["id"]: (record, images) for rows in contents(singles).values() for record, images in rows}
    after = [(record, images) for rows in contents(tmp_path / "out").values() for record, images in rows]
    assert len(after) == 200 and {record["id"]: (record, images) for record, images in after} == before
    assert manifest.classes == {} and codes(tmp_path / "out") == {}


def test_proportions_hold_in_every_class(singles: Path, tmp_path: Path) -> None:
    divide(singles, tmp_path / "out")
    answers = {
        split: Counter(record["conversations"][0]["assistant"] for record, _ in rows)
        for split, rows in contents(tmp_path / "out").items()
    }
    totals = sum(answers.values(), Counter())
    for split, fraction in PARTS.items():
        for answer in ("yes", "no"):
            assert abs(answers[split][answer] - fraction * totals[answer]) < 1, (split, answer)
        rare = sum(count for answer, count in answers[split].items() if answer.startswith("answer"))
        assert abs(rare - fraction * 10) < 1  # taken together, for one of each cannot be divided


def test_without_strata_only_the_whole_counts(singles: Path, tmp_path: Path) -> None:
    manifest = divide(singles, tmp_path / "out", stratify=False)
    assert [file.records for file in manifest.files] == [160, 20, 20]
    stratified = divide(singles, tmp_path / "other")
    assert stratified.plan_sha256 != manifest.plan_sha256


@pytest.mark.parametrize("seed", range(3))
def test_no_group_crosses_a_split(grouped: Path, tmp_path: Path, seed: int) -> None:
    manifest = divide(grouped, tmp_path / "out", {"train": 1, "val": 1}, seed=seed)
    where = placed(tmp_path / "out")
    for first in range(0, 60, 3):
        assert len({where[f"g{first + step:02d}"] for step in range(3)}) == 1
    for first in range(0, 20, 2):
        assert where[f"i{first:02d}"] == where[f"i{first + 1:02d}"]
    assert [abs(file.records - 40) <= 3 for file in manifest.files] == [
        True,
        True,
    ]  # a group of three may be in the way


def test_the_seed_decides(singles: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1), ("d", -1)):
        divide(singles, tmp_path / name, seed=seed)
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b")
    assert len({tuple(sorted(placed(tmp_path / name).items())) for name in "acd"}) == 3


@pytest.mark.parametrize("output", SHARDED)
def test_the_format_decides_nothing(grouped: Path, tmp_path: Path, output: Format) -> None:
    reshard(grouped, tmp_path / "shards", output, shard_records=7)
    divide(grouped, tmp_path / "lines")
    divide(tmp_path / "shards", tmp_path / "out", output=output)
    assert contents(tmp_path / "out") == contents(tmp_path / "lines")
    assert codes(tmp_path / "out") == {}


def test_on_the_command_line(grouped: Path, tmp_path: Path) -> None:
    words = ("split", grouped, "train=0.8", "val=0.1", "test=0.1", "--seed", "3", "--output", "webdataset")
    run(*words, "--out_dir", tmp_path / "two", "--workers", "2")
    divide(grouped, tmp_path / "one", seed=3, output="webdataset")
    assert snapshot(tmp_path / "two") == snapshot(tmp_path / "one")
    assert "Nothing to do" in run(*words, "--out_dir", tmp_path / "two").stdout
    done = run(*words[:2], "train=0.5", "val=0.5", "--out_dir", tmp_path / "two", code=2)
    assert "holds another conversion" in done.stderr and done.stderr.count("\n") == 1
    manifest = read_manifest(tmp_path / "one")
    assert manifest and manifest.converter.options == {"fractions": PARTS, "seed": 3, "stratify": True}


def test_a_part_of_nothing_is_an_empty_split(singles: Path, tmp_path: Path) -> None:
    done = run("split", singles, "train=1", "val=0", "--out_dir", tmp_path / "out")
    assert "the split val is empty" in done.stderr
    assert set(placed(tmp_path / "out").values()) == {"train"}


def test_images_elsewhere(grouped: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/toy_train.jsonl").write_bytes((grouped / "toy_train.jsonl").read_bytes())
    divide(tmp_path / "data", tmp_path / "out", images_dir=grouped / "images")
    assert sum(len(rows) for rows in contents(tmp_path / "out").values()) == 80


def test_what_is_no_record_is_a_reject(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", {"train": [line("a"), b"{}", line("b")]})
    flags = ("train=1", "val=1", "--out_dir", tmp_path / "out")
    assert run("split", data, *flags, code=1).stderr.startswith("1 rejected")
    assert placed(tmp_path / "out").keys() == {"a", "b"}
    assert [code for _, _, code in rejects(tmp_path / "out")] == ["invalid_record"]
    run("split", data, *flags, "--max_rejects", "1")


def test_records_tied_by_others_are_one_group(tmp_path: Path) -> None:
    """A group, an image of it that a record without a group shares, and another image of that record."""
    chain = [line("a", "1.png", group="g"), line("b", "1.png", "2.png"), line("c", "2.png"), line("d", group="g")]
    others = [line(f"o{number}") for number in range(40)]
    data = write_dataset(tmp_path / "data", {"train": [*chain[:2], *others, *chain[2:]]}, ["1.png", "2.png"])
    for seed in range(4):
        divide(data, tmp_path / f"out{seed}", {"train": 1, "val": 1}, seed=seed)
        where = placed(tmp_path / f"out{seed}")
        assert len({where[name] for name in "abcd"}) == 1


@given(st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=3), min_size=1, max_size=30))
def test_tied_groups_are_the_connected_ones(ties: list[list[int]]) -> None:
    records = np.array([number for number, keys in enumerate(ties) for _ in keys], np.int64)
    keys = np.array([key for keys in ties for key in keys], np.uint64)
    found = tied_groups(records, keys, len(ties))
    expected = [set(keys) for keys in ties]
    for _ in ties:
        expected = [set().union(*(other for other in expected if other & mine)) for mine in expected]
    assert found.tolist() == [min(group) for group in expected]


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["train"], "'train' names no split and its part"),
        (["train="], "'train=' names no split"),
        (["=1"], "'=1' names no split"),
        (["train=x"], "'train=x' names no split"),
        (["train=-1"], "'train=-1' names no split"),
        (["train=nan"], "'train=nan' names no split"),
        (["train=inf"], "'train=inf' names no split"),
        (["train=1", "train=2"], "'train=2' names no split and its part, each once"),
        (["a/b=1"], "'a/b=1' names no split"),
        (["..=1"], "'..=1' names no split"),
        (["a_b=1"], "'a_b=1' names no split"),
        (["a.b=1"], "names no split"),
        (["a\\b=1"], "names no split"),
        (["train=0", "val=0"], "every split has the part 0"),
    ],
)
def test_parts_that_make_no_sense(texts: list[str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_fractions(texts)
    assert says in str(caught.value) and str(caught.value).endswith("write train=0.9 val=0.1")


def test_parts_as_they_are_typed() -> None:
    assert parse_fractions(["train=8", "val=1.5", "test-unseen=0"]) == {"train": 8.0, "val": 1.5, "test-unseen": 0.0}


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), min_size=1, max_size=200), FRACTIONS)
def test_assign_keeps_groups_whole_and_near_the_fractions(
    records: list[tuple[int, int]], fractions: list[float]
) -> None:
    groups = np.array([group for group, _ in records], np.uint64)
    strata = np.array([stratum for _, stratum in records], np.uint64)
    places = assign(groups, strata, fractions)
    assert places.shape == groups.shape and places.max() < len(fractions)
    assert all(len(set(places[groups == group])) == 1 for group in set(groups))
    largest = max(Counter(groups.tolist()).values())
    bounds = np.cumsum(fractions) / sum(fractions) * len(records)
    reached = np.cumsum(np.bincount(places, minlength=len(fractions)))
    # At each bound, every stratum may be off by no more than the group that lies across it.
    assert np.all(np.abs(reached - bounds) <= 4 * largest + 1e-6)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=300), FRACTIONS)
def test_assign_meets_the_fractions_of_single_records(labels: list[int], fractions: list[float]) -> None:
    strata = np.array(labels, np.uint64)
    places = assign(np.arange(len(labels), dtype=np.uint64) * 7919 % 1_000_003, strata, fractions)
    for stratum in set(labels):
        counts = np.bincount(places[strata == stratum], minlength=len(fractions))
        wanted = np.array(fractions) / sum(fractions) * labels.count(stratum)
        assert np.all(np.abs(counts - wanted) <= 1 + 1e-6)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3)), min_size=1, max_size=60), st.randoms())
def test_assign_does_not_ask_in_which_order_records_stand(
    records: list[tuple[int, int]], random: np.random.Generator
) -> None:
    shuffled = list(records)
    random.shuffle(shuffled)

    def place(these: list[tuple[int, int]]) -> dict[int, int]:
        groups, strata = np.array(these, np.uint64).T
        return dict(zip(groups.tolist(), assign(groups, strata, [3, 1]).tolist(), strict=True))

    assert place(records) == place(shuffled)
