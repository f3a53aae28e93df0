"""Processes that train together: they compute what one computes, and stop and go on together."""

from __future__ import annotations

import shutil
import signal
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from transformers import AutoModelForCausalLM, AutoProcessor

import phi3v_train.model  # noqa: F401  # tells transformers about the model
from tests.phi3v_train.end_to_end.by_hand import mean_loss
from tests.phi3v_train.end_to_end.commands import complete_steps, figures, weights
from tests.phi3v_train.end_to_end.conftest import write_dataset

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psutil

    from tests.phi3v_train.end_to_end.commands import Commands
    from tests.phi3v_train.end_to_end.conftest import Finished, Flags


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven records to train on and five to evaluate on, which two processes cannot share evenly."""
    return write_dataset(tmp_path_factory.mktemp("uneven"), count=11)


@pytest.fixture(scope="module")
def short(flags: Flags, uneven: Path) -> Flags:
    """The command line of a run over more than an epoch of that: `short(output_dir, **changes)`."""
    return lambda output_dir, **changes: flags(output_dir, data_dir=uneven, max_steps=4, eval_steps=4, **changes)


@pytest.fixture(scope="module")
def together(commands: Commands, short: Flags, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The folder of a run of two processes that went to its end at once; not to be written in."""

    @cache
    def run(sharding: str) -> Path:
        output_dir = tmp_path_factory.mktemp(f"together-{sharding}")
        main, other = commands.start_together(2, *short(output_dir, batch_size_per_gpu=1, deepspeed=sharding))
        assert (other.wait().stdout, other.stderr, main.wait().stderr) == ("", "", "")
        return output_dir

    return run


@pytest.fixture(scope="module")
def alone(commands: Commands, short: Flags, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of one process."""
    output_dir = tmp_path_factory.mktemp("alone")
    commands.run(*short(output_dir))
    return output_dir


def hold_against(alone: Path, output_dir: Path) -> None:
    """See that a run has computed what one process does, as near as sums in another order allow."""
    for name in ("step", "loss", "eval_loss", "learning_rate"):
        assert column(output_dir, name) == pytest.approx(column(alone, name), rel=1e-5), name


def column(output_dir: Path, name: str) -> list[Any]:
    return [entry[name] for entry in figures(output_dir) if name in entry]


@pytest.mark.parametrize("sharding", ["none", "zero3"])
def test_two_compute_what_one_computes(alone: Path, together: Finished, uneven: Path, sharding: str) -> None:
    output_dir = together(sharding)
    hold_against(alone, output_dir)
    model, processor = (auto.from_pretrained(output_dir / "final") for auto in (AutoModelForCausalLM, AutoProcessor))
    assert mean_loss(model, processor, uneven, "val") == pytest.approx(column(output_dir, "eval_loss")[-1], rel=1e-5)


def test_a_run_of_one_goes_on_as_a_run_of_two(commands: Commands, short: Flags, alone: Path, tmp_path: Path) -> None:
    run = shutil.copytree(alone, tmp_path / "run", ignore=shutil.ignore_patterns("final", "checkpoint-4"))
    main, other = commands.start_together(2, *short(run, batch_size_per_gpu=1))
    assert (other.wait().stderr, main.wait().went_on_from()) == ("", 2)
    hold_against(alone, run)


def test_one_is_killed_and_all_end_and_go_on(
    commands: Commands, short: Flags, together: Finished, tmp_path: Path
) -> None:
    command = short(tmp_path, batch_size_per_gpu=1, deepspeed="zero3")
    main, other = commands.start_together(2, *command)
    main.until_step(3)
    other.send(signal.SIGKILL).wait(-signal.SIGKILL)
    assert main.wait(3).stderr == "Error: another process of this run has ended, and its own lines say why\n"
    main, other = commands.start_together(2, *command)
    assert (other.wait().stderr, main.wait().went_on_from()) == ("", 2)
    assert figures(tmp_path) == figures(together("zero3"))
    assert weights(tmp_path) == weights(together("zero3"))


def test_one_is_asked_to_stop_and_all_save_and_go_on(
    commands: Commands, short: Flags, alone: Path, tmp_path: Path
) -> None:
    command = short(tmp_path, batch_size_per_gpu=1, deepspeed="zero2")
    main, other = commands.start_together(2, *command)
    main.until_step(1)
    other.send(signal.SIGTERM).wait(143)
    (saved,) = complete_steps(tmp_path)
    folder = tmp_path / f"checkpoint-{saved}"
    says = f"Terminated at step {saved} of 4: {folder} is saved, run the same command to go on.\n"
    assert main.wait(143).stderr == says
    assert other.stderr == ""
    main, other = commands.start_together(2, *command)
    assert (other.wait().stderr, main.wait().went_on_from()) == ("", saved)
    hold_against(alone, tmp_path)


def test_what_all_meet_is_said_once(commands: Commands, short: Flags, tmp_path: Path) -> None:
    main, other = commands.start_together(2, *short(tmp_path, batch_size=6, batch_size_per_gpu=2))
    assert main.wait(2).stderr == (
        "Error: --batch_size 6 is no multiple of 2 processes × --batch_size_per_gpu 2: the nearest is 4 or 8\n"
    )
    other.send(signal.SIGTERM).wait(-signal.SIGTERM)  # as torchrun does
    assert other.stderr == ""


def test_torchrun_is_asked_to_stop_and_then_loses_a_process(
    commands: Commands, short: Flags, together: Finished, tmp_path: Path
) -> None:
    command = short(tmp_path, batch_size_per_gpu=1)
    run = commands.start_torchrun(2, *command).until_step(1)
    with held(run.children()):
        run.send(signal.SIGTERM).until(lambda: run.stderr.count("closing signal SIGTERM") == 2)
    run.wait(1)
    (saved,) = complete_steps(tmp_path)
    assert run.stderr.count(f"Terminated at step {saved} of 4: ") == 1
    assert run.stderr.count("is saved, run the same command to go on.\n") == 1

    run = commands.start_torchrun(2, *command).until_step(saved + 1)
    run.children()["1"].kill()
    assert run.wait(1).went_on_from() == saved
    saved = complete_steps(tmp_path)[-1]

    main, other = commands.start_together(2, *command)
    assert (other.wait().stderr, main.wait().went_on_from()) == ("", saved)
    assert figures(tmp_path) == figures(together("none"))
    assert weights(tmp_path) == weights(together("none"))


@contextmanager
def held(processes: dict[str, psutil.Process]) -> Iterator[None]:
    """Let processes go no further for a while, so that what is sent to them meanwhile does not come too late."""
    for process in processes.values():
        process.suspend()
    yield
    for process in processes.values():
        process.resume()
