"""Parquet files of the hub: their splits, their rows, one cell after the other, and what is wrong with damaged ones."""

from __future__ import annotations

import json
import os
import random
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import pyarrow as pa
import pytest
from pyarrow import parquet

from phi3v_data.convert.parquet import ParquetFile, class_names
from phi3v_data.convert.parquet_files import find_parquet, shard_name
from phi3v_data.errors import CannotRun, MissingExtra, UsageError
from tests.converters.made_sources import picture, write_parquet
from tests.helpers import spread

if TYPE_CHECKING:
    from collections.abc import Sequence

FEATURES = datasets.Features(
    {
        "left": datasets.Image(),
        "right": datasets.Image(),
        "pair": datasets.List(datasets.Image()),
        "text": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["True", "False"]),
    }
)
ROWS = 50


def row(number: int) -> dict[str, Any]:
    left, right = ({"bytes": picture(2 * number + side), "path": None} for side in (0, 1))
    return {"left": left, "right": right, "pair": [left, right], "text": f"row {number}", "label": number % 2}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifty rows in groups of 20, 20 and 10."""
    path = tmp_path_factory.mktemp("parquet") / "train-00000-of-00001.parquet"
    write_parquet(path, [row(number) for number in range(ROWS)], FEATURES, rows_per_group=20)
    assert parquet.ParquetFile(path).num_row_groups == 3
    return path


def write(path: Path, features: dict[str, Any] | None = None, **columns: Any) -> ParquetFile:
    """Write a file with plain pyarrow, and what `datasets` would note in it."""
    table = pa.table(columns)
    if features is not None:
        noted = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": noted})
    parquet.write_table(table, path)
    return ParquetFile(path)


class TestSplits:
    @pytest.mark.parametrize(
        ("files", "expected"),
        [
            (["data/train-00000-of-00001-f795527aa19f0f90.parquet",
              "data/test-00000-of-00001-41a63b2e1b4ecc5e.parquet"],
             {"train": [0], "test": [1]}),
            (["DocVQA/test-00000-of-00006.parquet", "DocVQA/validation-00000-of-00006.parquet",
              "DocVQA/validation-00001-of-00006.parquet"], {"val": [1, 2], "test": [0]}),
            (["nlvr2/train-00001-of-00017-4a7d4eddee81f7ac.parquet",
              "nlvr2/train-00000-of-00017-4a7d4eddee81f7ac.parquet"], {"train": [1, 0]}),
            (["default/train/0000.parquet", "default/test/0000.parquet", "default/validation/0000.parquet"],
             {"train": [0], "val": [2], "test": [1]}),
            (["default/partial-train/0001.parquet", "default/partial-train/0000.parquet"], {"train": [1, 0]}),
            (["default/nlvr2-train.parquet", "default/nlvr2-validation.parquet"], {"train": [0], "val": [1]}),
            (["data/csv-train-00000-of-00002.parquet", "data/csv-dev-00000-of-00002.parquet"],
             {"train": [0], "val": [1]}),
            (["train.parquet", "valid.parquet", "dev_seen.parquet", "test.parquet"],
             {"train": [0], "val": [2, 1], "test": [3]}),
            (["hateful_memes/train/0000.parquet"], {"train": [0]}),
            (["train/0000.parquet", "test/0000.parquet"], {"train": [0], "test": [1]}),
            (["data/zh-00000-of-00001.parquet", "data/test2-00000-of-00001.parquet",
              "data/train-00000-of-00001.parquet"],
             {"train": [2, 0], "test2": [1]}),
            (["default/test_unseen/0000.parquet"], {"test-unseen": [0]}),
            (["part.0.parquet", "0001.parquet", "contest.parquet"], {"train": [2, 0, 1]}),
            (["docvqa/0000.parquet"], {"train": [0]}),
        ],
    )  # fmt: skip
    def test_are_named_by_paths(self, tmp_path: Path, files: list[str], expected: dict[str, list[int]]) -> None:
        found = find_parquet(spread(tmp_path, *files), ["*.parquet"])
        wanted = {split: sorted(files[index] for index in chosen) for split, chosen in expected.items()}
        assert found == wanted
        assert list(found) == list(expected)  # train, val, test, and then the others

    def test_several_datasets_are_never_mixed(self, tmp_path: Path) -> None:
        spread(tmp_path, "up/the_cauldron/ai2d/train-00000-of-00001.parquet", "up/the_cauldron/nlvr2/train.parquet")
        says = rf"^{tmp_path} holds several datasets \(ai2d, nlvr2\): give the folder of one of them$"
        with pytest.raises(UsageError, match=says):
            find_parquet(tmp_path, ["nlvr2/*.parquet", "*.parquet"])

    def test_are_of_what_the_first_pattern_takes(self, tmp_path: Path) -> None:
        spread(tmp_path, "nlvr2/train-00000-of-00001.parquet", "other/train-00000-of-00001.parquet", "a.parquet")
        assert find_parquet(tmp_path, ["nlvr2/*.parquet", "*.parquet"]) == {
            "train": ["nlvr2/train-00000-of-00001.parquet"]
        }
        assert find_parquet(tmp_path, ["data/*.parquet"]) == {}

    def test_leave_out_what_is_hidden_or_no_file(self, tmp_path: Path) -> None:
        spread(tmp_path, ".cache/train.parquet", "data/.train.parquet", "data/._test.parquet", "a/.b/c/d.parquet")
        spread(tmp_path, "train.parquet/part-0", "notes.txt", "train.PARQUET", "train.parquet.tmp")
        os.mkfifo(tmp_path / "test.parquet")
        (tmp_path / "val.parquet").symlink_to("nowhere")
        assert find_parquet(tmp_path, ["*.parquet"]) == {}
        (tmp_path / "dev.parquet").symlink_to("notes.txt")  # as the hub's cache has them
        assert find_parquet(tmp_path, ["*.parquet"]) == {"val": ["dev.parquet"]}


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("nlvr2/train-00003-of-00017-4a7d4eddee81f7ac.parquet", "train-00003"),
        ("data/test-00000-of-00017.parquet", "test-00000"),
        ("default/train/0012.parquet", "0012"),
        ("train-4a7d4eddee81f7ac.parquet", "train"),
        ("a.b.parquet", "a.b"),
    ],
)
def test_shard_name(file: str, name: str) -> None:
    assert shard_name(file) == name


class TestRows:
    def test_hold_the_columns_asked_for(self, pictures: Path) -> None:
        rows = list(ParquetFile(pictures).rows(["text", "label"]))
        assert rows == [{"text": f"row {number}", "label": number % 2} for number in range(ROWS)]

    def test_of_many_batches(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.parquet", number=list(range(3000)), other=[{"deep": [n]} for n in range(3000)])
        assert list(file.rows(["other"])) == [{"other": {"deep": [number]}} for number in range(3000)]

    def test_do_not_read_the_pictures(self, tmp_path: Path) -> None:
        path = tmp_path / "a.parquet"
        heavy = random.Random(0).randbytes(1 << 20)
        file = write(path, picture=[heavy + bytes([number]) for number in range(20)], text=["x"] * 20)
        assert bytes_read(lambda: list(file.rows(["text"]))) < path.stat().st_size / 10

    def test_a_column_that_is_not_there(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.parquet", text=["x"])
        with pytest.raises(UsageError, match=r"a\.parquet has no column 'label', as the first of the files has"):
            list(file.rows(["text", "label"]))


def bytes_read(action: Any) -> int:
    """Return how much this process reads from files while it does something."""
    counter = Path("/proc/self/io")
    if not counter.exists():
        pytest.skip("only Linux counts what a process reads")

    def count() -> int:
        return int(counter.read_text().split()[1])

    before = count()
    action()
    return count() - before


class TestCell:
    @pytest.mark.parametrize(
        "order",
        [
            range(ROWS),
            range(ROWS - 1, -1, -1),
            [19, 20, 19, 39, 40, 0, 49, 7, 8, 7],
            random.Random(0).choices(range(ROWS), k=100),
        ],
        ids=["forwards", "backwards", "across groups", "anyhow"],
    )
    def test_rows_in_any_order(self, pictures: Path, order: Sequence[int]) -> None:
        file = ParquetFile(pictures)
        for number in order:
            assert file.cell(number, "text") == f"row {number}"
            assert file.cell(number, "left")["bytes"] == picture(2 * number)
            assert file.cell(number, "right")["bytes"] == picture(2 * number + 1)
        assert [cell["bytes"] for cell in file.cell(3, "pair")] == [picture(6), picture(7)]

    def test_columns_in_turn_are_read_once(self, tmp_path: Path) -> None:
        """Two pictures a row in two columns, one row group: no column starts anew when the other was asked."""
        generator, path = random.Random(0), tmp_path / "a.parquet"
        columns = {side: [generator.randbytes(40_000) for _ in range(200)] for side in ("left", "right")}
        file = write(path, **columns)

        def look() -> None:
            for number in range(200):
                for side, values in columns.items():
                    assert file.cell(number, side) == values[number]

        assert bytes_read(look) < 1.2 * path.stat().st_size

    def test_rows_behind_the_last(self, pictures: Path) -> None:
        with pytest.raises(ValueError, match="fewer rows than were listed"):
            ParquetFile(pictures).cell(ROWS, "text")

    def test_a_column_that_is_not_there(self, pictures: Path) -> None:
        with pytest.raises(ValueError, match="it has no column 'image'"):
            ParquetFile(pictures).cell(0, "image")

    def test_no_rows_and_empty_values(self, tmp_path: Path) -> None:
        empty = write(tmp_path / "a.parquet", text=pa.array([], pa.string()))
        assert list(empty.rows(["text"])) == []
        with pytest.raises(ValueError, match="fewer rows"):
            empty.cell(0, "text")
        assert write(tmp_path / "b.parquet", text=["x", None]).cell(1, "text") is None


class TestDamage:
    @pytest.mark.parametrize(
        "content", [b"", b"PAR1", b"<html>not found</html>", b"PAR1" + bytes(100) + b"PAR1", b"version https://git-lfs"]
    )
    def test_what_is_no_parquet_is_one_sentence(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a.parquet").write_bytes(content)
        with pytest.raises(CannotRun, match=r"a\.parquet cannot be read as Parquet \([^\n]+\): get it anew$"):
            ParquetFile(tmp_path / "a.parquet")

    @pytest.mark.parametrize("part", [0.01, 0.5, 0.999])
    def test_a_file_that_is_cut_short(self, pictures: Path, tmp_path: Path, part: float) -> None:
        whole = pictures.read_bytes()
        (tmp_path / "a.parquet").write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(CannotRun, match=r"a\.parquet cannot be read as Parquet"):
            ParquetFile(tmp_path / "a.parquet")

    def test_damage_costs_the_rows_it_hit(self, tmp_path: Path) -> None:
        """Rows before it are had, and so is the next row group; the same rows fail in whatever order they are asked."""
        path = tmp_path / "a.parquet"
        texts = [f"{number:06d}" * 50 for number in range(100)]
        parquet.write_table(
            pa.table({"text": texts}), path, row_group_size=50, data_page_size=1000, write_batch_size=1,
            use_dictionary=False, compression="none",
        )  # fmt: skip
        whole = path.read_bytes()
        page = whole.index(texts[30].encode()) - 60
        path.write_bytes(whole[:page] + b"\xff" * 60 + whole[page + 60 :])

        def readable(order: Sequence[int]) -> list[int]:
            file, had = ParquetFile(path), []
            for number in order:
                try:
                    assert file.cell(number, "text") == texts[number]
                    had.append(number)
                except ValueError as error:
                    assert re.fullmatch(r"[^\n]+", str(error))
            return sorted(had)

        had = readable(range(100))
        assert set(range(16)) < set(had) and set(range(50, 100)) < set(had) and not set(range(30, 50)) & set(had)
        assert readable(range(99, -1, -1)) == readable(random.Random(0).sample(range(100), 100)) == had
        with pytest.raises(CannotRun, match=r"a\.parquet is damaged \([^\n]+\): get it anew$"):
            list(ParquetFile(path).rows(["text"]))

    def test_any_byte_may_be_wrong(self, tmp_path: Path) -> None:
        """Whatever a flipped bit makes of a file, it is refused in one sentence or read."""
        good, bad = tmp_path / "a.parquet", tmp_path / "b.parquet"
        write(good, {"image": {"_type": "Image"}}, image=[{"bytes": b"x", "path": "p"}] * 3, text=["t"] * 3)
        whole, outcomes = good.read_bytes(), set()
        for place in range(len(whole)):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << place % 8
            bad.write_bytes(damaged)
            try:
                file = ParquetFile(bad)
                assert isinstance(file.features, dict)
                for _ in file.rows(["text"]):
                    outcomes.add("read")
                file.cell(2, "image")
            except (CannotRun, UsageError, ValueError) as error:
                assert "\n" not in str(error)
                outcomes.add(type(error).__name__)
        assert {"read", "CannotRun", "UsageError", "ValueError"} <= outcomes


class TestFeatures:
    def test_as_datasets_writes_them(self, pictures: Path) -> None:
        file = ParquetFile(pictures)
        assert file.columns == ["left", "right", "pair", "text", "label"]
        assert file.features["label"] == {"names": ["True", "False"], "_type": "ClassLabel"}
        assert file.features["left"]["_type"] == "Image"
        assert (file.is_text("text"), file.is_text("label"), file.is_text("left")) == (True, False, False)

    def test_of_plain_pyarrow_there_are_none(self, tmp_path: Path) -> None:
        assert write(tmp_path / "a.parquet", label=[0]).features == {}

    @pytest.mark.parametrize(
        "note",
        [b"", b"no JSON", b"\xff", b"[]", b"null", b'{"info": []}', b'{"info": {}}', b'{"info": {"features": [1]}}'],
    )
    def test_that_make_no_sense_are_none(self, tmp_path: Path, note: bytes) -> None:
        path = tmp_path / "a.parquet"
        parquet.write_table(pa.table({"label": [0]}).replace_schema_metadata({b"huggingface": note}), path)
        assert ParquetFile(path).features == {}

    @pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
    def test_text_of_every_kind(self, tmp_path: Path, kind: pa.DataType) -> None:
        assert write(tmp_path / "a.parquet", text=pa.array(["x"], kind)).is_text("text")


class TestClassNames:
    def test_are_the_datas_own_in_their_order(self, pictures: Path, tmp_path: Path) -> None:
        assert class_names(ParquetFile(pictures), "label") == ["True", "False"]
        old = {"num_classes": 2, "names": ["no", "yes"], "id": None, "_type": "ClassLabel"}
        assert class_names(write(tmp_path / "a.parquet", {"label": old}, label=[0]), "label") == ["no", "yes"]

    def test_text_needs_none(self, tmp_path: Path) -> None:
        assert class_names(write(tmp_path / "a.parquet", label=["True"]), "label") is None

    @pytest.mark.parametrize(
        "feature", [None, {"dtype": "int64", "_type": "Value"}, {"names": "yes"}, {"names": [0, 1]}, ["names"], "names"]
    )
    def test_numbers_without_names_are_refused(self, tmp_path: Path, feature: object) -> None:
        file = write(tmp_path / "a.parquet", None if feature is None else {"label": feature}, label=[0, 1])
        expected = r"a\.parquet has numbers in its column 'label' and names no classes, .+: take a copy whose features"
        with pytest.raises(UsageError, match=expected):
            class_names(file, "label")


def test_without_pyarrow_the_command_that_installs_it_is_named(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(
        MissingExtra, match=r"^Reading Parquet files needs the package 'pyarrow\.parquet': run pip .*hub"
    ):
        ParquetFile(pictures)
