"""Which checkpoint a run goes on from: the newest that is whole, and of the same run."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.helpers import snapshot
from tests.phi3v_train.end_to_end.commands import complete_steps, figures, weights
from tests.phi3v_train.end_to_end.conftest import STEPS, VARIED, write_dataset

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.phi3v_train.end_to_end.commands import Commands

FULL = VARIED["full"]


@pytest.fixture
def done(finished: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of a run that has ended, with its checkpoints of the last steps."""
    return shutil.copytree(finished("full"), tmp_path / "run")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


DAMAGES: dict[str, Callable[[Path], None]] = {
    "no mark": lambda folder: (folder / "complete.json").unlink(),
    "a shorter file": lambda folder: cut(folder / "optimizer.pt"),
    "a missing file": lambda folder: (folder / "model.safetensors").unlink(),
    "a shorter mark": lambda folder: cut(folder / "complete.json"),
    "nothing": empty,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_whole_is_passed_over_and_replaced(
    commands: Commands,
    flags: Callable[..., list[str]],
    finished: Callable[[str], Path],
    done: Path,
    damage: str,
) -> None:
    shutil.rmtree(done / "final")
    newest = done / f"checkpoint-{STEPS}"
    DAMAGES[damage](newest)
    assert commands.run(*flags(done, **FULL)).went_on_from() == STEPS - 2
    assert snapshot(newest)["model.safetensors"] == snapshot(finished("full") / newest.name)["model.safetensors"]
    assert complete_steps(done) == [STEPS - 2, STEPS]
    assert figures(done) == figures(finished("full"))


def test_as_many_are_kept_as_asked(
    commands: Commands, flags: Callable[..., list[str]], finished: Callable[[str], Path], tmp_path: Path
) -> None:
    assert complete_steps(finished("full")) == [STEPS - 2, STEPS]
    commands.run(*flags(tmp_path, max_steps=4, save_steps=1, save_total_limit=3, eval_steps=None))
    assert complete_steps(tmp_path) == [2, 3, 4]
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == [
        "checkpoint-2",
        "checkpoint-3",
        "checkpoint-4",
    ]


def test_a_run_that_has_ended_is_left_alone(commands: Commands, flags: Callable[..., list[str]], done: Path) -> None:
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in done.rglob("*")}
    content = snapshot(done)
    run = commands.run(*flags(done, **FULL))
    assert "nothing is to do" in run.stdout
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in done.rglob("*")} == before
    assert snapshot(done) == content


def test_only_the_final_folder_is_missing(
    commands: Commands, flags: Callable[..., list[str]], finished: Callable[[str], Path], done: Path
) -> None:
    shutil.rmtree(done / "final")
    before = snapshot(done)
    run = commands.run(*flags(done, **FULL))
    assert "\nstep " not in run.stdout
    after = snapshot(done)
    assert {name: content for name, content in after.items() if not name.startswith("final/")} == before
    assert snapshot(done / "final").keys() == snapshot(finished("full") / "final").keys()
    assert weights(done) == weights(finished("full"))


def test_a_longer_run_goes_on_with_the_rates_of_its_own_plan(
    commands: Commands, flags: Callable[..., list[str]], tmp_path: Path
) -> None:
    commands.run(*flags(tmp_path, max_steps=4, learning_rate=1e-3))
    run = commands.run(*flags(tmp_path, max_steps=6, learning_rate=1e-3))
    assert run.went_on_from() == 4
    assert "It was of 4 steps, and this run is of 6: the learning rate follows the new plan." in run.stdout
    rates = [entry["learning_rate"] for entry in figures(tmp_path) if "loss" in entry]
    assert rates[4:] == pytest.approx([4e-4, 2e-4])  # up over a tenth of six steps, one, then down to 0 over five
    assert complete_steps(tmp_path) == [4, 6]


def test_a_named_checkpoint_is_gone_on_from(
    commands: Commands, flags: Callable[..., list[str]], finished: Callable[[str], Path], tmp_path: Path
) -> None:
    before = snapshot(finished("full"))
    earlier = finished("full") / f"checkpoint-{STEPS - 2}"
    assert commands.run(*flags(tmp_path, resume=earlier, **FULL)).went_on_from() == STEPS - 2
    assert figures(tmp_path) == figures(finished("full"))
    assert snapshot(finished("full")) == before


class TestRefused:
    def refuse(self, commands: Commands, command: list[str], folder: Path) -> str:
        """Run a command that must be refused, and see that nothing in the folder has changed but what it found out."""
        before = {**snapshot(folder), "data_check.json": b""}
        run = commands.run(*command, code=3)
        assert {**snapshot(folder), "data_check.json": b""} == before
        assert run.stderr.startswith("Error: ") and run.stderr.count("\n") == 1
        return run.stderr

    def test_never_with_checkpoints_there(
        self, commands: Commands, flags: Callable[..., list[str]], done: Path
    ) -> None:
        said = self.refuse(commands, flags(done, resume="never", **FULL), done)
        assert f"{done / f'checkpoint-{STEPS}'} is of an earlier run" in said
        assert "give another --output_dir" in said

    def test_a_folder_that_is_none(self, commands: Commands, flags: Callable[..., list[str]], done: Path) -> None:
        said = self.refuse(commands, flags(done, resume=done / "final", **FULL), done)
        assert f"--resume {done / 'final'} is no whole checkpoint" in said

    @pytest.mark.parametrize(
        ("method", "changes", "says"),
        [
            ("lora", {}, "was made with method full (now lora): "),
            ("frozen_vision", {}, "was made with method full (now frozen_vision): "),
            ("full", {**FULL, "learning_rate": 1e-5, "seed": 3}, "seed 0 (now 3), learning_rate 0.003 (now 1e-05): "),
            ("full", {**FULL, "precision": "bf16"}, "was made with precision fp32 (now bf16): "),
            ("full", {**FULL, "vision_learning_rate": None}, "vision_learning_rate 0.001 (now None): "),
        ],
    )
    def test_other_settings(
        self, commands: Commands, flags: Callable[..., list[str]], done: Path, method: str, changes: dict, says: str
    ) -> None:
        said = self.refuse(commands, flags(done, method, **changes), done)
        assert f"{done / f'checkpoint-{STEPS}'} was made with " in said and says in said
        assert "give the same again to go on, or another --output_dir to start anew" in said

    def test_another_rank_of_adapters(
        self, commands: Commands, flags: Callable[..., list[str]], finished: Callable[[str], Path], tmp_path: Path
    ) -> None:
        run = shutil.copytree(finished("lora"), tmp_path / "run")
        said = self.refuse(commands, flags(run, "lora", **{**VARIED["lora"], "lora_rank": 8}), run)
        assert "was made with lora_rank 4 (now 8): " in said

    def test_other_data(self, commands: Commands, flags: Callable[..., list[str]], done: Path, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        other = write_dataset(tmp_path / "data", answer="A dog. ")
        said = self.refuse(commands, flags(done, data_dir=other, **FULL), done)
        assert "was made with data " in said and str(other) not in said.split(":")[1]
