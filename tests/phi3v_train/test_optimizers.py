"""The optimizer: who decays, who learns at which rate, and that each kind of it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from phi3v_train.methods import load_model
from phi3v_train.model.tiny import write_tiny
from phi3v_train.optimizers import build_optimizer, parameter_groups, warmup_steps
from tests.phi3v_train.runs import FLAGS, options, runtime

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    write_tiny(folder)
    return folder


def named(model: nn.Module, groups: list[dict]) -> list[list[str]]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [[names[id(parameter)] for parameter in group["params"]] for group in groups]


@pytest.mark.parametrize("method", FLAGS)
def test_each_parameter_that_trains_is_in_one_group(tiny: Path, method: str) -> None:
    given = options(tiny, method)
    model = load_model(given, runtime())
    groups = named(model, parameter_groups(model, given))
    trains = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert sorted(name for group in groups for name in group) == sorted(trains)
    assert all(groups) and all(group == [name for name in trains if name in group] for group in groups)


def test_rates_and_decay(tiny: Path) -> None:
    given = options(tiny, learning_rate=1e-3, vision_learning_rate=1e-5, wd=0.1)
    model = load_model(given, runtime())
    groups = parameter_groups(model, given)
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [
        (1e-3, 0.1),
        (1e-3, 0),
        (1e-5, 0.1),
        (1e-5, 0),
    ]
    language, norms, vision, exempt = named(model, groups)
    assert "lm_head.weight" in language and all("norm" in name for name in norms)
    assert all("vision_embed_tokens" in name for name in vision + exempt)
    separators = {f"model.vision_embed_tokens.{name}_GN" for name in ("glb", "sub")}
    assert separators < set(exempt) and all(name.endswith(".weight") for name in vision)
    assert all("norm" in name or name.endswith(("bias", "_GN", "class_embedding")) for name in exempt)


def test_adapters_of_vision_learn_at_its_rate(tiny: Path) -> None:
    given = options(tiny, "lora", learning_rate=1e-3, vision_learning_rate=1e-5)
    model = load_model(given, runtime())
    groups = parameter_groups(model, given)
    assert [group["lr"] for group in groups] == [1e-3, 1e-5]
    language, vision = named(model, groups)
    assert all("vision_embed_tokens" in name for name in vision) and not any("vision" in name for name in language)


@pytest.mark.parametrize("kind", ["adamw", "adamw8bit", "paged"])
def test_each_optimizer_runs(tiny: Path, kind: str) -> None:
    given = options(tiny, optimizer=kind, learning_rate=1e-2)
    model = load_model(given, runtime())
    optimizer = build_optimizer(model, given, runtime())
    head = model.lm_head.weight
    assert all((group["betas"], group["eps"]) == ((0.9, 0.95), 1e-7) for group in optimizer.param_groups)
    norms = []
    for _ in range(3):
        norms.append(head.norm().item())
        (head**2).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert norms == sorted(norms, reverse=True) and norms[-1] < norms[0]
    state = optimizer.state[head]
    moments = [state["exp_avg"], state["exp_avg_sq"]] if kind == "adamw" else [state["state1"], state["state2"]]
    assert {moment.dtype for moment in moments} == {torch.float32 if kind == "adamw" else torch.uint8}


@pytest.mark.parametrize(
    ("given", "total", "steps"), [(None, 1000, 50), (None, 101, 11), (None, 1, 1), (0, 1000, 0), (200, 1000, 200)]
)
def test_warmup(given: int | None, total: int, steps: int) -> None:
    assert warmup_steps(options(warmup_steps=given), total) == steps
