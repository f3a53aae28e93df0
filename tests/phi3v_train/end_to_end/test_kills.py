"""A run that is killed at any moment, and started again with the same command, ends as if nothing had happened."""

from __future__ import annotations

import signal
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.phi3v_train.end_to_end.commands import complete_steps, figures, weights
from tests.phi3v_train.end_to_end.conftest import STEPS, VARIED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.phi3v_train.end_to_end.commands import Command, Commands

EVERY = 2
"""Steps between checkpoints."""

WRITTEN = ["", "config.json", "optimizer.pt", "rng_state.pth", "trainer_state.json"]
"""What appears one after the other where a checkpoint is written, the folder itself first."""


def moments(random: Random, output_dir: Path) -> list[Callable[[Command], Command]]:
    """Return what to wait for before each kill: in a step, while a checkpoint is written, and once it is whole."""
    first, second, third = sorted(random.sample(range(1, STEPS // EVERY), 3))
    file = random.choice(WRITTEN)
    kinds: list[Callable[[int], Callable[[Command], Command]]] = [
        lambda saved: lambda run: run.until_step(saved * EVERY - random.randrange(EVERY)),
        lambda saved: lambda run: run.until((output_dir / f"checkpoint-{saved * EVERY}" / file).exists),
        lambda saved: lambda run: run.until((output_dir / f"checkpoint-{saved * EVERY}" / "complete.json").exists),
    ]
    random.shuffle(kinds)
    return [kind(saved) for kind, saved in zip(kinds, (first, second, third), strict=True)]


@pytest.mark.parametrize("method", VARIED)
def test_three_kills_change_nothing(
    commands: Commands,
    flags: Callable[..., list[str]],
    finished: Callable[[str], Path],
    tmp_path: Path,
    method: str,
) -> None:
    command = flags(tmp_path, method, save_total_limit=1, **VARIED[method])
    done = 0
    for moment in moments(Random(method), tmp_path):
        run = moment(commands.start(*command)).send(signal.SIGKILL).wait(-signal.SIGKILL)
        assert run.went_on_from() == done
        done = max(complete_steps(tmp_path), default=0)
        assert done >= run.went_on_from()
    assert commands.run(*command).went_on_from() == done
    assert figures(tmp_path) == figures(finished(method))
    assert weights(tmp_path) == weights(finished(method))
    assert complete_steps(tmp_path) == [STEPS]
