"""What a run computes: a loss per token that no way of sharing a batch changes, and a model that is what was trained."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoProcessor

import phi3v_train.model  # noqa: F401  # tells transformers about the model
from tests.phi3v_train.end_to_end.by_hand import mean_loss
from tests.phi3v_train.end_to_end.commands import figures, losses
from tests.phi3v_train.end_to_end.conftest import VARIED
from tests.phi3v_train.runs import FLAGS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.phi3v_train.end_to_end.commands import Commands


def test_the_loss_is_the_mean_over_the_tokens_of_the_whole_batch(
    commands: Commands, flags: Callable[..., list[str]], tiny: Path, data: Path, tmp_path: Path
) -> None:
    """A batch of all records, whose answers are of 3 to 36 words, so that a mean of means would be another."""
    found = []
    for at_once in (1, 2, 4):
        output_dir = tmp_path / str(at_once)
        commands.run(*flags(output_dir, batch_size=12, batch_size_per_gpu=at_once, max_steps=3))
        found.append(losses(output_dir))
    assert found[1] == pytest.approx(found[0], rel=1e-5)
    assert found[2] == pytest.approx(found[0], rel=1e-5)
    model = AutoModelForCausalLM.from_pretrained(tiny)
    assert found[0][0] == pytest.approx(
        mean_loss(model, AutoProcessor.from_pretrained(tiny, num_crops=1), data, "train")
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("method", FLAGS)
def test_the_loss_falls_and_the_final_folder_holds_the_model_that_was_trained(
    commands: Commands,
    flags: Callable[..., list[str]],
    finished: Callable[[str], Path],
    data: Path,
    tmp_path: Path,
    method: str,
    precision: str,
) -> None:
    if method in VARIED and precision == "fp32":
        output_dir = finished(method)
    else:
        output_dir = tmp_path
        commands.run(*flags(tmp_path, method, precision=precision, max_steps=4, learning_rate=6e-3))
    found = losses(output_dir)
    assert found[-1] < found[0] - 0.5
    final = output_dir / "final"
    model = AutoModelForCausalLM.from_pretrained(final)
    evaluated = [entry["eval_loss"] for entry in figures(output_dir) if "eval_loss" in entry][-1]
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        found = mean_loss(model, AutoProcessor.from_pretrained(final), data, "val")
    print(method, precision, found - evaluated, {p.dtype for p in model.parameters()})
