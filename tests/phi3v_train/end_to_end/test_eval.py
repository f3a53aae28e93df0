"""Evaluations: every question asked once by however many, scored, kept, gone on with, and refused in a sentence."""

from __future__ import annotations

import hashlib
import json
import signal
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from phi3v_data.manifest.renew import renew_manifest
from tests.helpers import snapshot
from tests.phi3v_train.end_to_end.commands import as_flags
from tests.phi3v_train.end_to_end.test_refusals import sentence
from tests.phi3v_train.made_data import record, turn, write_split

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.phi3v_train.end_to_end.commands import Command, Commands
    from tests.phi3v_train.end_to_end.conftest import Finished

QUESTIONS = 7


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A split of seven questions that three processes cannot share evenly, in five records."""
    folder = tmp_path_factory.mktemp("asked")
    talk = record("talk", turn("Where? " * 9, "There.", ("64x48-a.png",)), turn("When?", "Now."), turn("Who?", "He."))
    records = [record(f"q{number}", turn(f"What is {number}? " * number)) for number in range(1, 5)]
    write_split(folder, "test", [talk, *records])
    write_split(folder, "silent", [record("a", turn("Why?", None))])
    write_split(folder, "classes", [record(f"c{n}", turn(f"Up or down? {n}", ("Up", "Down")[n % 2])) for n in range(6)])
    write_split(folder, "listed", [record("l", {**turn("How much?", "1"), "answers": ["1 pound", "A pound"]})])
    assert renew_manifest(folder).manifest
    return folder


@pytest.fixture(scope="module")
def evaluation(asked: Path) -> Callable[..., list[str]]:
    """The command line of an evaluation: `evaluation(model, **changes)`."""

    def command_line(model: Path | str, **changes: Any) -> list[str]:
        usual = {"data_dir": asked, "split": "test", "num_crops": 1, "num_workers": 1, "max_new_tokens": 6}
        return ["eval", str(model), *as_flags({**usual, **changes})]

    return command_line


@pytest.fixture(scope="module")
def alone(
    commands: Commands, evaluation: Callable[..., list[str]], tiny: Path, tmp_path_factory: pytest.TempPathFactory
) -> bytes:
    """The result of one process, one question at a time."""
    folder = tmp_path_factory.mktemp("alone")
    commands.run(*evaluation(tiny, output_dir=folder, batch_size_per_gpu=1))
    assert sorted(snapshot(folder)) == ["eval.json"]
    return (folder / "eval.json").read_bytes()


def result(folder: Path, name: str = "eval.json") -> dict[str, Any]:
    return json.loads((folder / name).read_text())


def test_a_result_holds_every_prediction_and_what_it_is_of(alone: bytes, asked: Path, tiny: Path) -> None:
    found = json.loads(alone)
    places = [(said["record"], said["turn"]) for said in found["predictions"]]
    assert places == [("talk", 0), ("talk", 1), ("talk", 2), ("q1", 0), ("q2", 0), ("q3", 0), ("q4", 0)]
    assert all(said["cut"] and said["score"] == 0 and said["prediction"] for said in found["predictions"])
    assert (found["metric"], found["score"], found["questions"], found["cut"]) == ("accuracy", 0.0, 7, 7)
    assert found["interval"] == pytest.approx([0, 0.35433], abs=1e-5)  # by hand: z² / (n + z²)
    (split,) = found["setting"]["data"]
    listed = {entry["path"]: entry["sha256"] for entry in json.loads((asked / "manifest.json").read_text())["files"]}
    assert split["files"] == {"made_test.jsonl": listed["made_test.jsonl"]}
    assert split["manifest_sha256"] == hashlib.sha256((asked / "manifest.json").read_bytes()).hexdigest()
    assert found["setting"]["model"] == str(tiny)


@pytest.mark.parametrize(("count", "batch_size"), [(3, 2), (3, 4)])
def test_any_number_of_processes_ask_each_question_once(
    commands: Commands,
    evaluation: Callable[..., list[str]],
    tiny: Path,
    tmp_path: Path,
    alone: bytes,
    count: int,
    batch_size: int,
) -> None:
    """Seven questions, of which one process has more than another, or one has none."""
    main, *others = commands.start_together(
        count, *evaluation(tiny, output_dir=tmp_path, batch_size_per_gpu=batch_size)
    )
    assert [other.wait().stdout for other in others] == [""] * (count - 1)
    assert f"Answering {QUESTIONS} of {QUESTIONS} questions" in main.wait().stdout
    assert (tmp_path / "eval.json").read_bytes() == alone
    assert sorted(snapshot(tmp_path)) == ["eval.json"]


def test_an_evaluation_goes_on_where_it_was_killed(
    commands: Commands, evaluation: Callable[..., list[str]], tiny: Path, tmp_path: Path, alone: bytes
) -> None:
    command = evaluation(tiny, output_dir=tmp_path, batch_size_per_gpu=1)
    kept = tmp_path / "eval.json.partial-0"
    run = commands.start(*command)
    run.until(lambda: kept.exists() and kept.read_bytes().count(b"\n") > 1).send(signal.SIGKILL).wait(-signal.SIGKILL)
    answered = kept.read_bytes().count(b"\n") - 1
    with kept.open("ab") as file:
        file.write(b'["00", "cut in the mid')
    assert f"Answering {QUESTIONS - answered} of {QUESTIONS} questions" in commands.run(*command).stdout
    assert (tmp_path / "eval.json").read_bytes() == alone
    assert not list(tmp_path.glob("*.partial-*"))
    assert "Answering" not in commands.run(*command).stdout


def test_a_result_is_not_lost_to_another(
    commands: Commands, evaluation: Callable[..., list[str]], tiny: Path, tmp_path: Path
) -> None:
    commands.run(*evaluation(tiny, limit=3, output_dir=tmp_path))
    more = commands.run(*evaluation(tiny, output_dir=tmp_path)).stdout
    assert f"Answering {QUESTIONS - 3} of {QUESTIONS} questions" in more
    kept = (tmp_path / "eval.json").read_bytes()
    for changes, of in (({"limit": 3}, "to other questions"), ({"max_new_tokens": 5}, "of another model")):
        refused = sentence(commands.run(*evaluation(tiny, output_dir=tmp_path, **changes), code=2))
        assert of in refused and "--overwrite to replace it" in refused
        assert (tmp_path / "eval.json").read_bytes() == kept
    commands.run(*evaluation(tiny, output_dir=tmp_path, limit=3, overwrite=True))
    assert result(tmp_path)["questions"] == 3


def test_an_image_that_has_changed_is_asked_about_again(
    commands: Commands, evaluation: Callable[..., list[str]], tiny: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    write_split(folder, "test", [record("text"), record("image", turn("What?", "A.", ("64x48.png",)))])
    commands.run(*evaluation(tiny, data_dir=folder, output_dir=tmp_path))
    Image.new("RGB", (64, 48), "red").save(folder / "images" / "64x48.png")
    again = commands.run(*evaluation(tiny, data_dir=folder, output_dir=tmp_path, overwrite=True)).stdout
    assert "Answering 1 of 2 questions" in again


def test_equal_questions_are_answered_once_and_counted_each(
    commands: Commands, evaluation: Callable[..., list[str]], tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    write_split(tmp_path / "data", "test", [record("one"), record("two")])
    said = commands.run(*evaluation(tiny, data_dir=tmp_path / "data", output_dir=tmp_path)).stdout
    assert "Answering 1 of 2 questions" in said and result(tmp_path)["questions"] == 2


def test_two_at_once_do_not_meet(
    commands: Commands, evaluation: Callable[..., list[str]], tiny: Path, tmp_path: Path
) -> None:
    first = commands.start(*evaluation(tiny, output_dir=tmp_path, batch_size_per_gpu=1, max_new_tokens=60))
    first.until((tmp_path / "eval.json.partial-0").exists)
    second = commands.run(*evaluation(tiny, output_dir=tmp_path), code=3)
    assert "another run is at work in" in sentence(second)
    first.wait()


def test_an_interruption_says_what_is_kept(
    commands: Commands, evaluation: Callable[..., list[str]], tiny: Path, tmp_path: Path
) -> None:
    run = commands.start(*evaluation(tiny, output_dir=tmp_path, batch_size_per_gpu=1, max_new_tokens=500))
    kept = tmp_path / "eval.json.partial-0"
    run.until(lambda: kept.exists() and kept.read_bytes().count(b"\n") > 1)
    assert (
        "Interrupted. What is answered is kept: run the same command again" in run.send(signal.SIGINT).wait(130).stderr
    )


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
def test_a_run_is_asked_before_and_after_in_the_same_way(
    commands: Commands,
    evaluation: Callable[..., list[str]],
    finished: Finished,
    tiny: Path,
    tmp_path: Path,
    method: str,
) -> None:
    run = finished(method)
    said = commands.run(*evaluation(run, split=None, data_dir=None, num_crops=None, output_dir=tmp_path)).stdout
    before, after = result(tmp_path, "eval_before.json"), result(tmp_path, "eval_after.json")
    assert "Before to after: " in said
    for name in ("quantization", "precision", "data", "num_crops", "max_new_tokens"):
        assert before["setting"][name] == after["setting"][name], name
    assert before["setting"]["quantization"] == ("nf4" if method == "qlora" else "none")
    assert before["setting"]["model"] == str(tiny)
    assert after["setting"]["adapter"] == (None if method == "full" else str(run / "final"))
    assert before["setting"]["weights"] != after["setting"]["weights"]
    assert (before["setting"]["data"][0]["split"], before["questions"]) == ("val", 5)
    asked_before = commands.run(
        *evaluation(
            tiny,
            split="val",
            data_dir=before["setting"]["data"][0]["path"],
            quantization=before["setting"]["quantization"],
            when="before",
            output_dir=tmp_path,
        )
    ).stdout
    assert "Answering" not in asked_before, "asked before the run or with it is the same"


def test_classes_are_told_apart(
    commands: Commands, evaluation: Callable[..., list[str]], tiny: Path, tmp_path: Path
) -> None:
    said = commands.run(*evaluation(tiny, split="classes", output_dir=tmp_path)).stdout
    assert [(each["name"], each["count"]) for each in result(tmp_path)["classes"]] == [("Down", 3), ("Up", 3)]
    assert "most often taken for" in said and "Answers cut at --max_new_tokens 6: 6; give more" in said


def test_several_answers_are_scored_by_similarity(
    commands: Commands, evaluation: Callable[..., list[str]], tiny: Path, tmp_path: Path
) -> None:
    commands.run(*evaluation(tiny, split="listed", output_dir=tmp_path))
    first = result(tmp_path)
    assert first["metric"] == "anls" and first["predictions"][0]["answers"] == ["1 pound", "A pound"]
    again = commands.run(*evaluation(tiny, split="listed", metric="accuracy", output_dir=tmp_path)).stdout
    assert "Answering" not in again and result(tmp_path)["metric"] == "accuracy"


def test_a_limit_takes_questions_from_everywhere(
    commands: Commands, evaluation: Callable[..., list[str]], tiny: Path, tmp_path: Path
) -> None:
    commands.run(*evaluation(tiny, limit=3, output_dir=tmp_path))
    assert [said["record"] for said in result(tmp_path)["predictions"]] == ["talk", "talk", "q2"]


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"split": "silent"}, 3, "no turn of the split 'silent' has an 'assistant' or 'answers' to score against"),
        ({"split": "night"}, 3, "has no split 'night'"),
        ({"metric": "anls"}, 2, "--metric anls gives part of a point for a word spelt almost like the right one"),
        ({"max_new_tokens": 131_060}, 3, "made_test.jsonl:1: the prompt takes"),
        ({"max_new_tokens": 200_000}, 2, "--max_new_tokens leaves -68,928 tokens for the question: give fewer"),
        ({"base": "elsewhere"}, 2, "is no adapter, so it has no --base"),
        ({"data_dir": "nowhere"}, 3, "there is no dataset at nowhere"),
    ],
)
def test_what_cannot_be_asked(
    commands: Commands,
    evaluation: Callable[..., list[str]],
    tiny: Path,
    tmp_path: Path,
    changes: dict[str, Any],
    code: int,
    says: str,
) -> None:
    run: Command = commands.run(*evaluation(tiny, output_dir=tmp_path, **changes), code=code)
    assert says in sentence(run)
    assert not list(tmp_path.iterdir())


def test_an_image_that_breaks_ends_it_with_its_place(
    commands: Commands, evaluation: Callable[..., list[str]], tiny: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    write_split(folder, "test", [record("good"), record("bad", turn("What?", "A.", ("64x48.png",)))])
    spoil(folder / "images" / "64x48.png")
    run = commands.run(*evaluation(tiny, data_dir=folder, output_dir=tmp_path), code=3)
    assert "made_test.jsonl:2" in sentence(run) and "what is answered is kept" in sentence(run)


def test_what_one_process_meets_all_of_them_end_with(
    commands: Commands, evaluation: Callable[..., list[str]], tiny: Path, tmp_path: Path
) -> None:
    """The image that breaks is in the share of the second process."""
    folder = tmp_path / "data"
    records = [record("long", turn("Why? " * 200, "So.")), record("bad", turn("What?", "A.", ("64x48.png",)))]
    write_split(folder, "test", records)
    spoil(folder / "images" / "64x48.png")
    pair = commands.start_together(2, *evaluation(tiny, data_dir=folder, output_dir=tmp_path, batch_size_per_gpu=1))
    for run in pair:
        assert "made_test.jsonl:2" in run.wait(3).stderr


def spoil(image: Path) -> None:
    """Break an image inside, where neither its header nor its end tells."""
    data = bytearray(image.read_bytes())
    data[len(data) // 2] ^= 0xFF
    image.write_bytes(data)
