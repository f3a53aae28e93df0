"""The Cauldron's form: rows of pictures and texts, and the val that is carved off them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from phi3v_converters.carved import CarvedConverter, CarvedOptions
from phi3v_converters.cauldron import list_cauldron
from phi3v_data.convert.converter import Source
from phi3v_data.convert.pictures import Question
from phi3v_data.errors import CannotRun, UsageError
from tests.converters.in_process import convert_here
from tests.converters.made_sources import picture, write_parquet
from tests.helpers import read_lines, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from phi3v_data.convert.converter import Reject

TEXT = {"user": datasets.Value("string"), "assistant": datasets.Value("string"), "source": datasets.Value("string")}
FEATURES = datasets.Features({"images": datasets.List(datasets.Image()), "texts": datasets.List(TEXT)})
FIRST, SECOND = "train-00000-of-00002-d617a15cc5127a86.parquet", "train-00001-of-00002-0123456789abcdef.parquet"


class Chat(CarvedConverter[CarvedOptions]):
    """Rows of one picture; the group is the first word that is said, unless that is "Alone"."""

    name: ClassVar[str] = "chat"
    version: ClassVar[str] = "1"
    options_type = CarvedOptions
    files = ("*.parquet",)

    def sources(self) -> Mapping[str, Iterator[Source | Reject]]:
        return list_cauldron(self, self.parquet_files(), pictures=1, question=_question, group=_first_word)


def _question(user: str, assistant: str) -> Question:
    return Question(user=user, assistant=assistant)


def _first_word(questions: Sequence[Question]) -> str | None:
    word = questions[0].user.split()[0]
    return None if word == "Alone" else word


def row(*texts: tuple[str, str], pictures: Sequence[int] = (0,)) -> dict[str, Any]:
    """Return a row; a picture is given by its seed."""
    return {
        "images": [{"bytes": picture(seed, size=(16, 16)), "path": None} for seed in pictures],
        "texts": [{"user": user, "assistant": assistant, "source": "Chat"} for user, assistant in texts],
    }


def grouped(numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Return rows of twenty groups, those of one group far from each other."""
    return [row((f"g{number % 20:02d} asks {number}?", "Yes.")) for number in numbers]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty rows in two files."""
    root = tmp_path_factory.mktemp("raw")
    write_parquet(root / "chat" / FIRST, grouped(range(40)), FEATURES, rows_per_group=7)
    write_parquet(root / "chat" / SECOND, grouped(range(40, 60)), FEATURES)
    return root


def listed(root: Path, **options: Any) -> dict[str, dict[str, str | None]]:
    """Return the group of every source, by its path, by split."""
    splits = Chat(CarvedOptions(**options), root).sources()
    return {
        split: {source.path: source.group for source in sources if isinstance(source, Source)}
        for split, sources in splits.items()
    }


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty rows of two pictures, as NLVR2 has them."""
    root = tmp_path_factory.mktemp("pairs")
    rows = [row((f'Is "Sentence {number}." true?', "No."), pictures=(number, 100 + number)) for number in range(30)]
    write_parquet(root / "nlvr2" / FIRST, rows, FEATURES)
    return root


class TestCarving:
    def test_each_row_is_in_one_split_and_each_group_too(self, raw: Path) -> None:
        splits = listed(raw)
        train, val = splits["train"], splits["val"]
        assert list(splits) == ["train", "val"]
        rows = [f"chat/{FIRST}/{number:07d}" for number in range(40)]
        rows += [f"chat/{SECOND}/{number:07d}" for number in range(20)]
        assert sorted([*train, *val]) == sorted(rows)
        assert not set(train.values()) & set(val.values())
        assert len(val) == 3 * len(set(val.values()))

    def test_the_choice_is_the_same_everywhere_and_another_with_another_seed(self, raw: Path) -> None:
        chosen = {seed: set(listed(raw, seed=seed)["val"].values()) for seed in (0, 1, 2)}
        assert chosen == {0: {"g04"}, 1: {"g00", "g06"}, 2: {"g02", "g04", "g13"}}
        assert listed(raw, seed=0) == listed(raw)

    def test_rows_that_come_later_move_none(self, raw: Path, tmp_path: Path) -> None:
        write_parquet(tmp_path / "chat" / FIRST, grouped(range(40)), FEATURES)
        before, after = listed(tmp_path, val_fraction=0.3), listed(raw, val_fraction=0.3)
        assert before["val"]
        for split, sources in before.items():
            assert sources.items() <= after[split].items()

    def test_nothing_is_carved_at_0(self, raw: Path) -> None:
        assert {split: len(sources) for split, sources in listed(raw, val_fraction=0).items()} == {"train": 60}

    def test_rows_without_a_group_are_judged_alone(self, tmp_path: Path) -> None:
        write_parquet(tmp_path / FIRST, [row((f"Alone {number}?", "No.")) for number in range(40)], FEATURES)
        splits = listed(tmp_path, val_fraction=0.5)
        assert min(len(splits["train"]), len(splits["val"])) > 10


class TestRows:
    def test_each_question_is_an_example_and_each_row_shows_its_own_picture(self, tmp_path: Path) -> None:
        said = [[("a 1?", "One."), ("a 2?", "Two.")], [("b 1?", "Three.")], [("c 1?", "Four.")]]
        rows = [row(*texts, pictures=[number]) for number, texts in enumerate(said)]
        write_parquet(tmp_path / FIRST, [*rows[:2], row((" padded?\n", " Five. "), pictures=[9])], FEATURES, 1)
        write_parquet(tmp_path / SECOND, rows[2:], FEATURES)
        made, rejects = convert_here(Chat(CarvedOptions(val_fraction=0), tmp_path))
        assert not rejects
        assert [(one.path, one.user, one.assistant, one.pictures) for one in made] == [
            (f"{FIRST}/0000000", "a 1?", "One.", [picture(0, size=(16, 16))]),
            (f"{FIRST}/0000000", "a 2?", "Two.", [picture(0, size=(16, 16))]),
            (f"{FIRST}/0000001", "b 1?", "Three.", [picture(1, size=(16, 16))]),
            (f"{FIRST}/0000002", "padded?", "Five.", [picture(9, size=(16, 16))]),
            (f"{SECOND}/0000000", "c 1?", "Four.", [picture(2, size=(16, 16))]),
        ]

    def test_a_row_that_lacks_something_is_a_reject_and_the_others_stay(self, tmp_path: Path) -> None:
        image, text = {"bytes": picture(1), "path": None}, {"user": "q?", "assistant": "Yes."}
        rows: list[tuple[Any, Any]] = [
            ([image], [text]),
            ([image, image], [text]),
            ([], [text]),
            (None, [text]),
            ([None], [text]),
            ([{"bytes": None, "path": "elsewhere.png"}], [text]),
            ([{"bytes": b"<html>", "path": None}], [text]),
            ([image], None),
            ([image], []),
            ([image], [text, None]),
            ([image], [{"user": None, "assistant": "Yes."}]),
            ([image], [text, {"user": "q?", "assistant": ""}]),
            ([image], [{"user": " \n", "assistant": "Yes."}]),
            ([image], [text, text]),
        ]
        images = pa.array(
            [images for images, _ in rows], pa.list_(pa.struct({"bytes": pa.binary(), "path": pa.utf8()}))
        )
        texts = pa.array([texts for _, texts in rows], pa.list_(pa.struct({"user": pa.utf8(), "assistant": pa.utf8()})))
        pq.write_table(pa.table({"images": images, "texts": texts}), tmp_path / "train.parquet")
        made, rejects = convert_here(Chat(CarvedOptions(val_fraction=0), tmp_path))
        assert [one.path for one in made] == [f"train.parquet/{number:07d}" for number in (0, 13, 13)]
        codes = {reject.source.rpartition("/")[2]: (reject.split, reject.code) for reject in rejects}
        assert {int(number): code for number, (_, code) in codes.items()} == {
            **dict.fromkeys((1, 2, 3), "wrong_pictures"),
            **dict.fromkeys((4, 5), "missing_image"),
            6: "not_an_image",
            **dict.fromkeys(range(7, 13), "no_answer"),
        }
        assert {split for split, _ in codes.values()} == {"train"}
        assert {reject.message for reject in rejects if reject.code == "wrong_pictures"} == {
            f"row {number} of train.parquet holds {count} pictures, not 1" for number, count in ((1, 2), (2, 0), (3, 0))
        }

    def test_texts_of_another_form_are_rejects(self, tmp_path: Path) -> None:
        for name, texts in (("a", ["hello"]), ("b", [[{"question": "q?"}]]), ("c", [[1]])):
            images = pa.array([[{"bytes": picture(1), "path": None}]])
            (tmp_path / name).mkdir()
            pq.write_table(pa.table({"images": images, "texts": texts}), tmp_path / name / "train.parquet")
            made, rejects = convert_here(Chat(CarvedOptions(), tmp_path / name))
            assert (made, [reject.code for reject in rejects]) == ([], ["no_answer"])

    def test_a_file_that_is_not_of_the_same_form_is_refused(self, raw: Path, tmp_path: Path) -> None:
        write_parquet(tmp_path / FIRST, grouped(range(2)), FEATURES)
        write_parquet(tmp_path / SECOND, [{"a": 1}], datasets.Features({"a": datasets.Value("int64")}))
        with pytest.raises(UsageError, match=f"{SECOND} is not the Cauldron's"):
            listed(tmp_path)
        (tmp_path / SECOND).write_bytes((raw / "chat" / SECOND).read_bytes()[:-100])
        with pytest.raises(CannotRun, match=f"{SECOND} cannot be read as Parquet .*: get it anew"):
            listed(tmp_path)


class TestOwnSplits:
    @pytest.fixture
    def split(self, tmp_path: Path) -> Path:
        for number, name in enumerate(("test", "train", "validation")):
            write_parquet(tmp_path / f"data/{name}-00000-of-00001.parquet", grouped([number]), FEATURES)
        return tmp_path

    def test_they_are_kept(self, split: Path) -> None:
        assert {name: list(sources.values()) for name, sources in listed(split).items()} == {
            "train": ["g01"],
            "val": ["g02"],
            "test": ["g00"],
        }
        assert list(listed(split)) == ["train", "val", "test"]

    @pytest.mark.parametrize("options", [{"seed": 0}, {"val_fraction": 0.1}])
    def test_carving_is_refused_even_as_it_is_by_default(self, split: Path, options: dict[str, Any]) -> None:
        with pytest.raises(UsageError, match=rf"^--{next(iter(options))} has no meaning for this source"):
            listed(split, **options)


class TestCommand:
    def test_what_is_carved_is_stated_in_the_manifest(self, pairs: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        command = ("convert", "nlvr2", "--source", pairs, "--out_dir", out, "--workers", "1", "--val_fraction", "0.3")
        run(*command, "--seed", "7")
        manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
        options = manifest["converter"]["options"]
        assert (options["val_fraction"], options["seed"]) == (0.3, 7)
        records = {split: read_lines(out / f"nlvr2_{split}.jsonl") for split in ("train", "val")}
        assert {file["split"]: file["records"] for file in manifest["files"]} == {
            split: len(rows) for split, rows in records.items()
        }
        asked = {split: {row["conversations"][0]["user"] for row in rows} for split, rows in records.items()}
        assert not asked["train"] & asked["val"]
        assert asked["train"] | asked["val"] == {f'Is "Sentence {number}." true?' for number in range(30)}
        assert asked["val"]
        done = run(*command, "--seed", "8", code=2)
        assert "(seed 7, now 8)" in done.stderr

    def test_wrong_flags_are_one_sentence(self, pairs: Path, tmp_path: Path) -> None:
        held = [row(("q?", "No."), pictures=(1, 2))]
        write_parquet(tmp_path / "own/test-00000-of-00001.parquet", held, FEATURES)
        for source, flags, says in (
            (pairs, ["--val_fraction", "1"], "--val_fraction: input should be less than 1 (given: '1')"),
            (pairs, ["--seed", "x"], "--seed: input should be a valid integer"),
            (pairs, ["--prompt", "{sentence}?"], "--prompt has no meaning for this source, for the Cauldron asks in"),
            (tmp_path / "own", ["--seed", "0"], "--seed has no meaning for this source, for it has its own splits"),
        ):
            done = run("convert", "nlvr2", "--source", source, "--out_dir", tmp_path / "out", *flags, code=2)
            assert done.stdout == ""
            assert says in done.stderr.splitlines()[-1]
        assert not (tmp_path / "out").exists()
