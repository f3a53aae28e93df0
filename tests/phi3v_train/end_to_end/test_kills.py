"""A run that is killed at any moment, and started again with the same command, ends as if nothing had happened."""

from __future__ import annotations

import signal
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.phi3v_train.end_to_end.commands import complete_steps, figures, weights
from tests.phi3v_train.end_to_end.conftest import STEPS, VARIED

if TYPE_CHECKING:
    from pathlib import Path

    from tests.phi3v_train.end_to_end.commands import Command, Commands
    from tests.phi3v_train.end_to_end.conftest import Finished, Flags

EVERY = 2
"""Steps between checkpoints."""

WRITTEN = ["", "config.json", "optimizer.pt", "rng_state.pth", "trainer_state.json"]
"""What appears one after the other where a checkpoint is written, the folder itself first."""


@pytest.mark.parametrize(("method", "kills"), [*zip(VARIED, (3, 2, 3, 2), strict=True)])
def test_kills_change_nothing(
    commands: Commands, flags: Flags, finished: Finished, tmp_path: Path, method: str, kills: int
) -> None:
    """Kills in a step, while a checkpoint is written and once it is whole, in any order; a single one is kept."""
    random = Random(method)
    command = flags(tmp_path, method, save_total_limit=1)
    moments = random.sample(["in a step", "while it saves", "when it has saved"], kills)
    newest = 0
    for moment, number in zip(moments, sorted(random.sample(range(1, STEPS // EVERY), kills)), strict=True):
        run = commands.start(*command)
        wait_for(moment, number * EVERY, run, tmp_path, random)
        run.send(signal.SIGKILL).wait(-signal.SIGKILL)
        assert run.went_on_from() == newest
        newest = max(complete_steps(tmp_path), default=0)
        assert newest >= run.went_on_from()
    assert commands.run(*command).went_on_from() == newest
    assert figures(tmp_path) == figures(finished(method))
    assert weights(tmp_path) == weights(finished(method))
    assert complete_steps(tmp_path) == [STEPS]


def wait_for(moment: str, saved: int, run: Command, output_dir: Path, random: Random) -> None:
    """Wait until a run is in the step behind some step near `saved`, or has come so far in saving that one."""
    if moment == "in a step":
        run.until_step(saved - random.randrange(EVERY))
    else:
        file = random.choice(WRITTEN) if moment == "while it saves" else "complete.json"
        run.until((output_dir / f"checkpoint-{saved}" / file).exists)
