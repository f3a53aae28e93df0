"""What a run computes: a loss per token, however a batch is shared out, and a model that is what was trained."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoProcessor, BitsAndBytesConfig

import phi3v_train.model  # noqa: F401  # tells transformers about the model
from phi3v_train.checkpoint_folder import how_to_load
from phi3v_train.methods import UNQUANTIZED, keep_layout
from tests.phi3v_train.end_to_end.by_hand import mean_loss
from tests.phi3v_train.end_to_end.commands import figures, losses
from tests.phi3v_train.end_to_end.conftest import VARIED
from tests.phi3v_train.runs import FLAGS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.phi3v_train.end_to_end.commands import Commands
    from tests.phi3v_train.end_to_end.conftest import Finished, Flags


def test_the_loss_is_the_mean_over_the_tokens_of_the_whole_batch(
    commands: Commands, flags: Flags, tiny: Path, data: Path, tmp_path: Path
) -> None:
    """A batch of all records, whose answers are of 3 to 25 words, so that a mean of means would be another."""
    one, four = tmp_path / "one", tmp_path / "four"
    commands.run(*flags(one, batch_size=12, batch_size_per_gpu=1, max_steps=2))
    commands.run(*flags(four, batch_size=12, batch_size_per_gpu=4, max_steps=2))
    assert losses(one) == pytest.approx(losses(four), rel=1e-5)
    model, processor = AutoModelForCausalLM.from_pretrained(tiny), AutoProcessor.from_pretrained(tiny, num_crops=1)
    assert losses(one)[0] == pytest.approx(mean_loss(model, processor, data, "train"), rel=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("method", FLAGS)
def test_the_loss_falls_and_the_final_folder_holds_the_model_that_was_trained(
    commands: Commands, flags: Flags, finished: Finished, data: Path, tmp_path: Path, method: str, precision: str
) -> None:
    if method in VARIED and precision == "fp32":
        output_dir = finished(method)
    else:
        output_dir = tmp_path
        commands.run(*flags(tmp_path, method, precision=precision, max_steps=3, eval_steps=3, learning_rate=1e-2))
    assert losses(output_dir)[-1] < losses(output_dir)[0] - 0.2

    final = output_dir / "final"
    evaluated = [entry["eval_loss"] for entry in figures(output_dir) if "eval_loss" in entry][-1]
    how: dict[str, Any] = {"quantization_config": four_bits(precision)} if method.startswith("qlora") else {}
    model, processor = AutoModelForCausalLM.from_pretrained(final, **how), AutoProcessor.from_pretrained(final)
    keep_layout(model)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        loss = mean_loss(model, processor, data, "val")
    assert loss == pytest.approx(evaluated, rel=1e-5 if precision == "fp32" else 2e-3)


def test_a_new_process_loads_an_adapter_with_the_line_that_a_run_prints(finished: Finished) -> None:
    command = how_to_load(finished("lora") / "final").replace("python", shlex.quote(sys.executable), 1)
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Phi3VForCausalLM(") and "lora_A" in done.stdout


def four_bits(precision: str) -> BitsAndBytesConfig:
    """Say how the base was kept while the adapter was trained; in full precision it gives slightly other figures."""
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32 if precision == "fp32" else torch.bfloat16,
        llm_int8_skip_modules=list(UNQUANTIZED),
    )
