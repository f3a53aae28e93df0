"""A run that is asked to stop saves the step it is in, says so, and goes on from there."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.phi3v_train.end_to_end.commands import complete_steps, figures, weights
from tests.phi3v_train.end_to_end.conftest import STEPS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.phi3v_train.end_to_end.commands import Commands
    from tests.phi3v_train.end_to_end.conftest import Finished, Flags


@pytest.mark.parametrize("word", ["Terminated", "Interrupted"])
def test_the_step_is_saved_and_the_run_goes_on(
    commands: Commands, flags: Flags, finished: Finished, tmp_path: Path, word: str
) -> None:
    command = flags(tmp_path, save_steps=500)
    run = commands.start(*command).until_step(3)
    if word == "Terminated":
        run.send(signal.SIGTERM).wait(143)
    else:
        run.send_all(signal.SIGINT).wait(130)
    (saved,) = complete_steps(tmp_path)
    folder = tmp_path / f"checkpoint-{saved}"
    assert run.stderr == f"{word} at step {saved} of {STEPS}: {folder} is saved, run the same command to go on.\n"
    assert commands.run(*command).went_on_from() == saved
    assert figures(tmp_path) == figures(finished("full"))
    assert weights(tmp_path) == weights(finished("full"))


def test_before_the_first_step_there_is_nothing_to_save(commands: Commands, flags: Flags, tmp_path: Path) -> None:
    run = commands.start(*flags(tmp_path))
    run.until(lambda: "Model " in run.stdout).send(signal.SIGTERM).wait(143)
    assert run.stderr.startswith("Terminated") and run.stderr.count("\n") == 1
    assert not complete_steps(tmp_path)
