"""The methods: what trains, what each weight is kept in, and that a step in half precision gives it a gradient."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from phi3v_train.methods import COMPUTE_DTYPES, load_model, prepare
from phi3v_train.model import Phi3VConfig, Phi3VForCausalLM
from phi3v_train.model.tiny import write_tiny
from phi3v_train.optimizers import build_optimizer, parameter_groups
from phi3v_train.parameters import parameter_count, parameter_table
from tests.helpers import run_python
from tests.phi3v_train import zero3_worker
from tests.phi3v_train.runs import FLAGS, batch, options, recompute, runtime

if TYPE_CHECKING:
    from phi3v_train.options import TrainOptions

ROOT = Path(__file__).parents[2]
VISION = "vision_embed_tokens."
UNUSED = ("encoder.layers.2.", "post_layernorm.")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    write_tiny(folder)
    return folder


class AttentionInputs(TorchDispatchMode):
    """Notes the precision in which attention gets queries, keys and values."""

    def __init__(self) -> None:
        super().__init__()
        self.dtypes: set[torch.dtype] = set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if "scaled_dot_product" in str(operation) and "backward" not in str(operation):
            self.dtypes |= {tensor.dtype for tensor in args[:3]}
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp32"])
@pytest.mark.parametrize("method", FLAGS)
def test_a_step_gives_all_that_trains_a_float32_gradient(tiny: Path, method: str, precision: str) -> None:
    dtype = COMPUTE_DTYPES[precision]
    model = recompute(load_model(options(tiny, method), runtime(precision=precision)).train())
    with AttentionInputs() as seen, torch.autocast("cpu", dtype, enabled=precision != "fp32"):
        loss = model(**batch()).loss
    loss.backward()
    assert loss.dtype == torch.float32 and torch.isfinite(loss)
    assert seen.dtypes == {dtype}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.dtype == parameter.grad.dtype == torch.float32, name
            assert torch.isfinite(parameter.grad).all(), name
        else:
            assert parameter.grad is None, name


@pytest.mark.parametrize("method", FLAGS)
def test_what_trains_and_what_the_rest_is_kept_in(tiny: Path, method: str) -> None:
    model = load_model(options(tiny, method), runtime(precision="bf16"))
    trains = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    frozen = {name: parameter for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert not any(unused in name for name in trains for unused in UNUSED)
    assert any(VISION in name for name in trains) == ("frozen" not in method)
    if method == "full":
        assert all(any(unused in name for unused in UNUSED) for name in frozen)
    elif method == "frozen_vision":
        assert {VISION in name for name in trains} == {False} and {VISION in name for name in frozen} == {True}
        assert {parameter.dtype for parameter in frozen.values()} == {torch.bfloat16}
    else:
        assert all(".lora_" in name for name in trains) and not any(".lora_" in name for name in frozen)
        packed = {name for name, parameter in frozen.items() if parameter.dtype != torch.bfloat16}
        linear = {
            name for name in frozen if ".layers." in name and "proj.base_layer.weight" in name and VISION not in name
        }
        assert packed == (linear if method.startswith("qlora") else set()) and len(linear) == 8


@pytest.mark.parametrize("layers", [3, 5])
@pytest.mark.parametrize("method", ["lora", "lora_frozen_vision"])
def test_adapters_are_on_every_linear_layer_that_is_computed(method: str, layers: int) -> None:
    config = Phi3VConfig(num_hidden_layers=2, vision_config={"num_hidden_layers": layers})
    with torch.device("meta"):
        model = Phi3VForCausalLM(config)
        linear = {name for name, module in model.named_modules() if isinstance(module, nn.Linear)}
        adapted = prepare(model, options(method=method), runtime()).get_base_model()
    computed = {name for name in linear if f"encoder.layers.{layers - 1}." not in name}
    assert len(linear) - len(computed) == 6
    if method == "lora_frozen_vision":
        computed = {name for name in computed if VISION not in name}
    assert {name for name, module in adapted.named_modules() if hasattr(module, "lora_A")} == computed


def test_adapters_are_as_asked_and_change_nothing_at_first(tiny: Path) -> None:
    plain = load_model(options(tiny), runtime()).eval()
    model = load_model(options(tiny, "lora", lora_rank=8, lora_alpha_ratio=4, lora_dropout=0.25), runtime()).eval()
    config = model.peft_config["default"]
    assert (config.r, config.lora_alpha, config.lora_dropout, config.bias) == (8, 32, 0.25, "none")
    inputs = batch()
    with torch.no_grad():
        assert torch.equal(model(**inputs).logits, plain(**inputs).logits)


def test_the_seed_alone_decides_new_weights(tiny: Path) -> None:
    def adapters(seed: int) -> dict[str, torch.Tensor]:
        model = load_model(options(tiny, "lora", seed=seed), runtime())
        return {name: weights for name, weights in model.state_dict().items() if "lora_A" in name}

    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = adapters(0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again, other = adapters(0), adapters(1)
    assert all(torch.equal(one[name], again[name]) and not torch.equal(one[name], other[name]) for name in one)


def train(model: nn.Module, given: TrainOptions, steps: int) -> list[float]:
    """Return the losses of some steps."""
    optimizer, losses = build_optimizer(model.train(), given, runtime()), []
    for _ in range(steps):
        loss = model(**batch()).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_an_evaluation_leaves_the_gradients_as_they_were(tiny: Path, method: str) -> None:
    model = load_model(options(tiny, method), runtime(precision="fp32"))

    def gradients() -> dict[str, torch.Tensor]:
        model.zero_grad()
        torch.manual_seed(0)
        model.train()(**batch()).loss.backward()
        return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}

    before = gradients()
    with torch.no_grad():
        model.eval()(**batch())
    after = gradients()
    assert before.keys() == after.keys() and len(before) > 10
    torch.testing.assert_close(after, before)


@pytest.mark.parametrize("method", ["full", "qlora"])
def test_some_steps_lower_the_loss_and_leave_what_is_frozen(tiny: Path, method: str) -> None:
    given = options(tiny, method, learning_rate=1e-2)
    model = load_model(given, runtime())
    frozen = {name: weights.clone() for name, weights in model.named_parameters() if not weights.requires_grad}
    losses = train(model, given, steps=6)
    assert losses[-1] < losses[0] - 0.5
    assert all(torch.equal(weights, frozen[name]) for name, weights in model.named_parameters() if name in frozen)


@pytest.mark.parametrize("method", ["full", "frozen_vision", "lora"])
def test_weights_in_shards_train_as_whole_ones(tiny: Path, tmp_path: Path, method: str) -> None:
    """DeepSpeed in a process of its own: the same parameters in the same groups, and the same losses."""
    if find_spec("deepspeed") is None:
        pytest.skip("DeepSpeed is not installed")
    paths = os.pathsep.join(str(ROOT / folder) for folder in (".", "schemas", "converters"))
    report = tmp_path / "report.json"
    run_python("-m", zero3_worker.__name__, tiny, method, report, env={"PYTHONPATH": paths}, cwd=ROOT)
    sharded = json.loads(report.read_bytes())
    given = options(tiny, method, learning_rate=1e-3)
    model = load_model(given, runtime())
    groups = parameter_groups(model, given)
    assert sharded["groups"] == [sorted(map(parameter_count, group["params"])) for group in groups]
    assert sharded["parts"] == {part.name: [part.trainable, part.frozen] for part in parameter_table(model)}
    assert sharded["losses"] == pytest.approx(train(model, given, steps=3), abs=1e-2)
