"""Which checkpoint a run goes on from: the newest whole one of the same run; and when nothing is left to do."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers import snapshot
from tests.phi3v_train.end_to_end.commands import complete_steps, figures, weights
from tests.phi3v_train.end_to_end.conftest import STEPS, write_dataset

if TYPE_CHECKING:
    from pathlib import Path

    from tests.phi3v_train.end_to_end.commands import Commands
    from tests.phi3v_train.end_to_end.conftest import Finished, Flags


@pytest.fixture
def done(finished: Finished, tmp_path: Path) -> Path:
    """A copy of a run that has ended, with its two last checkpoints."""
    return shutil.copytree(finished("full"), tmp_path / "run")


@pytest.mark.parametrize("damage", ["no mark", "a shorter file", "nothing at all"])
def test_what_is_not_whole_is_passed_over_and_replaced(
    commands: Commands, flags: Flags, finished: Finished, done: Path, damage: str
) -> None:
    shutil.rmtree(done / "final")
    newest = done / f"checkpoint-{STEPS}"
    if damage == "no mark":
        (newest / "complete.json").unlink()
    elif damage == "a shorter file":
        (newest / "optimizer.pt").write_bytes((newest / "optimizer.pt").read_bytes()[:-1])
    else:
        shutil.rmtree(newest)
        newest.mkdir()
    assert commands.run(*flags(done)).went_on_from() == STEPS - 2
    assert snapshot(newest).keys() == snapshot(finished("full") / newest.name).keys()
    assert complete_steps(done) == [STEPS - 2, STEPS]
    assert figures(done) == figures(finished("full"))
    assert weights(done) == weights(finished("full"))


def test_as_many_are_kept_as_asked(commands: Commands, flags: Flags, tmp_path: Path) -> None:
    commands.run(*flags(tmp_path, max_steps=3, save_steps=1, save_total_limit=2))
    assert complete_steps(tmp_path) == [2, 3]
    assert {path.name for path in tmp_path.glob("checkpoint-*")} == {"checkpoint-2", "checkpoint-3"}


def test_a_run_that_has_ended_is_left_alone(commands: Commands, flags: Flags, done: Path) -> None:
    content, times = snapshot(done), modification_times(done)
    run = commands.run(*flags(done))
    assert "nothing is to do" in run.stdout and "\nstep " not in run.stdout
    assert (snapshot(done), modification_times(done)) == (content, times)


def test_the_final_folder_alone_is_missing(commands: Commands, flags: Flags, finished: Finished, done: Path) -> None:
    shutil.rmtree(done / "final")
    before = snapshot(done)
    assert "\nstep " not in commands.run(*flags(done)).stdout
    assert {name: content for name, content in snapshot(done).items() if not name.startswith("final/")} == before
    assert snapshot(done / "final").keys() == snapshot(finished("full") / "final").keys()
    assert weights(done) == weights(finished("full"))


def test_a_longer_run_has_the_rates_of_its_own_plan(commands: Commands, flags: Flags, tmp_path: Path) -> None:
    commands.run(*flags(tmp_path, max_steps=2))
    run = commands.run(*flags(tmp_path, max_steps=4))
    assert run.went_on_from() == 2
    assert "It was of 2 steps, and this run is of 4: the learning rate follows the new plan." in run.stdout
    rates = [entry["learning_rate"] for entry in figures(tmp_path) if "loss" in entry]
    assert rates[2:] == pytest.approx([2e-3, 1e-3])  # up over one of four steps, then down to 0 over three
    assert complete_steps(tmp_path) == [2, 4]


def test_a_named_checkpoint_is_gone_on_from(
    commands: Commands, flags: Flags, finished: Finished, done: Path, tmp_path: Path
) -> None:
    before = snapshot(done)
    run = commands.run(*flags(tmp_path / "on", resume=done / f"checkpoint-{STEPS - 2}"))
    assert run.went_on_from() == STEPS - 2
    assert figures(tmp_path / "on") == figures(finished("full"))
    assert snapshot(done) == before


@pytest.mark.parametrize(
    ("method", "changes", "says"),
    [
        ("full", {"resume": "never"}, "is of an earlier run, which --resume never would mix with a new one: give"),
        ("lora", {}, "was made with method full (now lora): give the same again to go on, or another --output_dir"),
        ("full", {"learning_rate": 1e-5, "seed": 3}, "was made with seed 0 (now 3), learning_rate 0.003 (now 1e-05): "),
        ("full", {"bf16": True}, "was made with precision fp32 (now bf16): "),
    ],
)
def test_another_run_is_refused(
    commands: Commands, flags: Flags, done: Path, method: str, changes: dict[str, Any], says: str
) -> None:
    refuse(commands, flags(done, method, **changes), done, f"checkpoint-{STEPS} {says}")


def test_other_adapters_are_refused(commands: Commands, flags: Flags, finished: Finished, tmp_path: Path) -> None:
    run = shutil.copytree(finished("lora"), tmp_path / "run")
    refuse(commands, flags(run, "lora", lora_rank=8), run, f"checkpoint-{STEPS} was made with lora_rank 4 (now 8): ")


def test_other_data_is_refused(commands: Commands, flags: Flags, done: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    other = write_dataset(tmp_path / "data", answer="A dog. ")
    refuse(commands, flags(done, data_dir=other), done, f"checkpoint-{STEPS} was made with data ")


def refuse(commands: Commands, command: list[str], folder: Path, says: str) -> None:
    """Run a command that must be refused with a sentence, and leave all that is there but what it found of the data."""
    before = snapshot(folder)
    run = commands.run(*command, code=3)
    assert run.stderr.startswith("Error: ") and run.stderr.count("\n") == 1
    assert says in run.stderr
    assert {**snapshot(folder), "data_check.json": before["data_check.json"]} == before


def modification_times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
