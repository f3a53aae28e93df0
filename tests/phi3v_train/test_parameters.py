"""The table of parameters: every one counted once, as what it stands for and not as it happens to be stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from phi3v_train.methods import load_model, prepare
from phi3v_train.model import Phi3VConfig, Phi3VForCausalLM
from phi3v_train.model.tiny import write_tiny
from phi3v_train.parameters import parameter_table, render_table
from tests.phi3v_train.runs import FLAGS, options, runtime

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    write_tiny(folder)
    return folder


@pytest.mark.parametrize("method", FLAGS)
def test_the_base_counts_the_same_whatever_trains(tiny: Path, method: str) -> None:
    parts = parameter_table(load_model(options(tiny, method), runtime(precision="bf16")))
    base = [part for part in parts if not part.name.startswith("adapters")]
    assert {part.name: part.trainable + part.frozen for part in base} == {
        "vision tower": 63_072,
        "projector": 12_672,
        "embedding": 23_040,
        "decoder layers": 82_240,
        "head": 23_040,
    }
    adapters = {part.name: (part.frozen, part.dtypes) for part in parts if part not in base}
    names = {"lora": ["adapters: vision", "adapters: language"], "lora_frozen_vision": ["adapters: language"]}
    assert adapters == dict.fromkeys(names.get(method.removeprefix("q"), []), (0, ("float32",)))
    layers = next(part for part in parts if part.name == "decoder layers")
    assert ("nf4" in layers.dtypes) == method.startswith("qlora")


def test_the_real_model_without_its_weights() -> None:
    with torch.device("meta"):
        model = prepare(Phi3VForCausalLM(Phi3VConfig()), options(method="lora", lora_rank=64), runtime())
    assert render_table(parameter_table(model)) == (
        "                      trainable         frozen  kept in\n"
        "vision tower                  0    303,507,456  float32\n"
        "projector                     0     22,034,432  float32\n"
        "embedding                     0     98,500,608  float32\n"
        "head                          0     98,500,608  float32\n"
        "decoder layers                0  3,624,078,336  float32\n"
        "adapters: vision     27,983,872              0  float32\n"
        "adapters: language  102,912,000              0  float32\n"
        "total               130,895,872  4,146,621,440  3.06% trains"
    )
