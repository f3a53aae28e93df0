"""The estimate of memory: against tensors counted in real steps, and what it says of the real model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from phi3v_data.errors import CannotRun
from phi3v_train.activations import activation_bytes
from phi3v_train.memory import MemoryEstimate, estimate_memory, render
from phi3v_train.memory_check import available_memory, check_memory, host_memory
from phi3v_train.methods import load_model, loading_dtype, prepare
from phi3v_train.model import Phi3VConfig, Phi3VForCausalLM
from phi3v_train.model.tiny import write_tiny
from phi3v_train.optimizers import build_optimizer
from phi3v_train.pretrained import load_config
from tests.phi3v_train.peak import PeakMemory
from tests.phi3v_train.runs import batch, options, recompute, runtime

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_train.options import TrainOptions
    from phi3v_train.runtime import Runtime

REAL = Phi3VConfig()
SIZES = {"sequence_length": 3000, "crops": 17}
GPU = {"device": "cuda", "precision": "bf16"}
SMALL = Phi3VConfig(
    vocab_size=1000,
    hidden_size=64,
    intermediate_size=160,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=4,
    pad_token_id=0,
    vision_config={"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4},
)


def on_gpu(method: str = "full", count: int = 1, deepspeed: str | None = None, **flags: Any) -> MemoryEstimate:
    """The estimate for the real model."""
    given = options(method=method, **{"lora_rank": 64, **flags})
    return estimate_memory(REAL, given, runtime(count, **GPU, deepspeed=deepspeed), **SIZES)


# Against what is measured


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    write_tiny(folder)
    return folder


def size_of(tensors: Any) -> int:
    return sum(tensor.nbytes for tensor in tensors)


@pytest.mark.parametrize("method", ["full", "frozen_vision", "lora", "lora_frozen_vision"])
def test_weights_gradients_and_moments_are_those_of_a_real_step(tiny: Path, method: str) -> None:
    given, machine = options(tiny, method), runtime(precision="bf16")
    estimate = estimate_memory(load_config(str(tiny)), given, machine, sequence_length=1, crops=0)
    model = load_model(given, machine)
    optimizer = build_optimizer(model, given, machine)
    with torch.autocast("cpu", torch.bfloat16):
        model(**batch()).loss.backward()
    optimizer.step()
    moments = [state[name] for state in optimizer.state.values() for name in ("exp_avg", "exp_avg_sq")]
    assert estimate.weights == size_of(model.parameters())
    assert estimate.gradients == size_of(weights.grad for weights in model.parameters() if weights.requires_grad)
    assert estimate.optimizer == size_of(moments)


def step(model: Any, inputs: dict[str, torch.Tensor], precision: str) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16", cache_enabled=False):
        loss = model(**inputs).loss
    loss.backward()


@pytest.mark.parametrize(
    ("method", "precision", "attention"),
    [
        ("full", "bf16", "sdpa"),
        ("full", "fp32", "eager"),
        ("frozen_vision", "fp32", "sdpa"),
        ("lora", "bf16", "sdpa"),
        ("lora", "fp32", "sdpa"),
    ],
)
@pytest.mark.parametrize("again", [True, False], ids=["recomputed", "kept"])
def test_activations_are_those_of_a_real_step(method: str, precision: str, attention: str, again: bool) -> None:
    given = options(method=method, gradient_checkpointing=again)
    machine = runtime(precision=precision, attention=attention)
    made = Phi3VForCausalLM._from_config(
        SMALL, dtype=loading_dtype(given, machine), attn_implementation=machine.attention
    )
    model = prepare(made, given, machine).train()
    if again:
        recompute(model)
    inputs = batch(tokens=100)
    step(model, inputs, precision)
    gradients = [weights.grad for weights in model.parameters() if weights.grad is not None]
    with PeakMemory([*model.parameters(), *gradients]) as measured:
        step(model, inputs, precision)
    length = inputs["input_ids"].shape[1]
    estimate = activation_bytes(SMALL, given, machine, sequence_length=length, crops=2)
    if precision == "bf16" and not again:  # autocast's copies, which `estimate_memory` counts as weights
        estimate += sum(2 * weights.numel() for weights in model.parameters() if weights.requires_grad)
    assert 0.7 < estimate / (measured.peak + size_of(inputs.values())) < 1.4


# The real model


@pytest.mark.parametrize(
    ("gib", "method", "fits"),
    [
        (80, "full", True),
        (48, "full", False),
        (24, "full", False),
        (24, "lora", True),
        (16, "lora", True),
        (12, "lora", False),
        (12, "qlora", True),
        (8, "qlora", True),
        (6, "qlora", False),
    ],
)
def test_which_method_fits_which_gpu(gib: float, method: str, fits: bool) -> None:
    assert (on_gpu(method).total <= gib * 2**30) == fits


def refusal(given: TrainOptions, machine: Runtime) -> str:
    with pytest.raises(CannotRun) as caught:
        check_memory(estimate_memory(REAL, given, machine, **SIZES), REAL, given, machine)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_refusal_names_what_would_fit() -> None:
    machine = runtime(**GPU)
    says = refusal(options(device_memory=24, lora_rank=64), machine)
    assert says == (
        "training needs 70.8 GB on each device: weights 16.6, gradients 16.5, optimizer 33.1, activations 4.6; "
        "a device has 25.8 GB: it fits with --offload (13.8 GB) or with --use_lora (13.9 GB) "
        "or with --use_qlora (8.5 GB)"
    )
    for flags in ({"offload": True}, {"use_lora": True}, {"use_qlora": True}):
        given = options(device_memory=24, **flags)
        fitting = runtime(**GPU, deepspeed="zero2" if given.offload else None)
        check_memory(estimate_memory(REAL, given, fitting, **SIZES), REAL, given, fitting)


def test_a_refusal_prefers_what_changes_least() -> None:
    assert "it fits with --optimizer adamw8bit" in refusal(options(device_memory=48), runtime(**GPU))
    assert "it fits with --batch_size_per_gpu 1" in refusal(
        options(device_memory=80, batch_size_per_gpu=16), runtime(**GPU)
    )
    many = options(device_memory=80, batch_size_per_gpu=8, gradient_checkpointing=False)
    nearest = "no single change makes it fit, and least is needed with --gradient_checkpointing (95."
    assert nearest in refusal(many, runtime(**GPU))
    last = refusal(options(method="qlora_frozen_vision", device_memory=3), runtime(**GPU))
    assert "--use" not in last and "GPUs" not in last


def test_the_host_is_counted_too() -> None:
    given, machine = options(), runtime()
    modest = estimate_memory(SMALL, given, machine, sequence_length=1, crops=0)
    huge = MemoryEstimate(**{**vars(modest), "host": 10**15})
    with pytest.raises(CannotRun, match=r"each process needs 1000000\.0 GB of the host's memory, which has "):
        check_memory(huge, SMALL, given, machine)


def test_processes_share() -> None:
    alone, two, three = on_gpu(), on_gpu(count=8, deepspeed="zero2"), on_gpu(count=8, deepspeed="zero3")
    trained = alone.gradients / 4
    assert two.optimizer == three.optimizer == pytest.approx(12 * trained / 8, rel=1e-6)
    assert two.weights == pytest.approx(alone.weights / 2) and three.weights < 0.4 * two.weights
    assert three.gradients < two.gradients < alone.gradients / 3
    assert on_gpu("lora", count=8).gradients == 2 * on_gpu("lora").gradients


def test_what_moves_to_the_host() -> None:
    offloaded, paged = on_gpu(offload=True, deepspeed="zero2"), on_gpu(optimizer="paged")
    assert offloaded.optimizer == paged.optimizer == 0
    assert offloaded.host == pytest.approx(66.1e9, rel=0.01) and paged.host == pytest.approx(8.4e9, rel=0.01)
    assert on_gpu().host == 0
    assert " and 66.1 GB of the host's" in render(offloaded)
    on_cpu = estimate_memory(REAL, options(optimizer="paged"), runtime(), **SIZES)
    assert (on_cpu.host, on_cpu.optimizer) == (0, paged.host)


def test_a_file_of_deepspeed_says_how_it_shares(tmp_path: Path) -> None:
    file = tmp_path / "ds.json"
    file.write_text('{"zero_optimization": {"stage": 1}}')
    one = on_gpu(count=8, deepspeed=str(file))
    assert one.gradients > on_gpu(count=8, deepspeed="zero2").gradients
    assert one.optimizer == on_gpu(count=8, deepspeed="zero2").optimizer


def test_length_and_crops_and_recomputation_count() -> None:
    machine, given = runtime(**GPU), options()
    longer = estimate_memory(REAL, given, machine, sequence_length=6000, crops=17)
    fewer = estimate_memory(REAL, given, machine, sequence_length=3000, crops=5)
    assert fewer.activations < on_gpu().activations < longer.activations
    assert on_gpu(gradient_checkpointing=False).total > on_gpu().total + 30e9


# The machine


def test_a_tiny_run_fits_this_machine(tiny: Path) -> None:
    config, given, machine = load_config(str(tiny)), options(tiny), runtime()
    check_memory(estimate_memory(config, given, machine, **SIZES), config, given, machine)


def test_what_there_is() -> None:
    assert available_memory(options(device_memory=24), runtime()) == 24 * 2**30
    alone, shared = host_memory(runtime()), host_memory(runtime(count=4))
    assert alone > 2**20 and shared == pytest.approx(alone / 4, rel=0.3)
    assert available_memory(options(), runtime()) == pytest.approx(alone, rel=0.3)
