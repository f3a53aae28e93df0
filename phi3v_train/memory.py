"""How much memory a run will need on each device, from the model's configuration alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from phi3v_train.activations import activation_bytes
from phi3v_train.methods import COMPUTE_DTYPES, UNQUANTIZED, loading_dtype, prepare
from phi3v_train.model import Phi3VForCausalLM
from phi3v_train.sharding import deepspeed_config, whole_models

if TYPE_CHECKING:
    from phi3v_train.model import Phi3VConfig
    from phi3v_train.options import TrainOptions
    from phi3v_train.runtime import Runtime

__all__ = ["MemoryEstimate", "estimate_memory", "is_apart", "render", "skeleton"]

_FLOAT = 4
_MOMENTS = {"adamw": 8.0, "adamw8bit": 2 + 2 * 4 / 256, "paged": 2 + 2 * 4 / 256}
"""Bytes of AdamW's two moments for a parameter; those of 8 bits have a float32 scale for each block of 256."""

_NF4 = (4 + 8 / 64 + 32 / (64 * 256)) / 8
"""Bytes of a weight in NF4: 4 bits, an 8-bit scale for a block of 64, a float32 scale for 256 of those (QLoRA)."""

_LIBRARIES = int(1e9)
"""What CUDA's libraries and the allocator's gaps take on a GPU."""

_LIVE = int(1e9)
"""Parameters that ZeRO-3 keeps whole at once (`stage3_max_live_parameters`)."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes for each process.

    Attributes:
        weights: The weights, in whatever precision each is kept.
        gradients: Gradients, and the buffers in which processes exchange them.
        optimizer: Moments, and float32 weights where the optimizer has its own.
        activations: What a step computes with, and what libraries take.
        host: What lies in the host's memory.
        sequence_length: Tokens of a record that this is for.
        crops: Crops of a record that this is for.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int
    host: int
    sequence_length: int
    crops: int

    @property
    def total(self) -> int:
        """Bytes on the device."""
        return self.weights + self.gradients + self.optimizer + self.activations


def estimate_memory(
    config: Phi3VConfig, options: TrainOptions, runtime: Runtime, *, sequence_length: int, crops: int
) -> MemoryEstimate:
    """Estimate what a run needs, without loading weights.

    Args:
        config: The model's sizes.
        options: The run's options.
        runtime: What the machine makes of them.
        sequence_length: Tokens of the longest record, its images' included.
        crops: Most crops in a record, global crops included.
    """
    model = skeleton(config, options, runtime)
    trains = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    share = _without_zero if runtime.deepspeed is None else _with_zero
    parts = share(_weight_bytes(model, options, runtime), trains, options, runtime)
    parts["activations"] = activation_bytes(config, options, runtime, sequence_length=sequence_length, crops=crops)
    if is_apart(options, runtime):
        parts["activations"] += _LIBRARIES
    else:
        parts["optimizer"] += parts.pop("host")
    figures = {"host": 0, **{name: int(value) for name, value in parts.items()}}
    return MemoryEstimate(**figures, sequence_length=sequence_length, crops=crops)


def is_apart(options: TrainOptions, runtime: Runtime) -> bool:
    """Tell whether the device's memory is not the host's: it is a GPU, here or where the run is planned for."""
    return runtime.device == "cuda" or options.device_memory is not None


def render(estimate: MemoryEstimate) -> str:
    """Return the figures as one line."""
    host = f", and {estimate.host / 1e9:.1f} GB of the host's" if estimate.host else ""
    return (
        f"{estimate.total / 1e9:.1f} GB on each device: weights {estimate.weights / 1e9:.1f}, "
        f"gradients {estimate.gradients / 1e9:.1f}, optimizer {estimate.optimizer / 1e9:.1f}, "
        f"activations {estimate.activations / 1e9:.1f}{host}"
    )


def skeleton(config: Phi3VConfig, options: TrainOptions, runtime: Runtime) -> torch.nn.Module:
    """Build the model as it will be trained, on the meta device: without memory for its weights, or the weights."""
    with whole_models(), torch.device("meta"):
        model = Phi3VForCausalLM._from_config(config, dtype=loading_dtype(options, runtime))
        return prepare(model, options, runtime)


def _weight_bytes(model: torch.nn.Module, options: TrainOptions, runtime: Runtime) -> float:
    """Count the bytes of the weights before they are cut into shards; DeepSpeed keeps all in one precision."""
    itemsize = COMPUTE_DTYPES[runtime.precision].itemsize if runtime.deepspeed else None
    total = 0.0
    for name, parameter in model.named_parameters():
        is_linear = name.endswith("base_layer.weight") and not any(part in name for part in UNQUANTIZED)
        bytes_each = _NF4 if options.use_qlora and is_linear else itemsize or parameter.itemsize
        total += parameter.numel() * bytes_each
    return total


def _without_zero(weights: float, trains: int, options: TrainOptions, runtime: Runtime) -> dict[str, float]:
    """Every process holds all.

    What trains is float32. Unless they are computed again, its copies in half precision, which autocast makes, are
    kept as activations are. DistributedDataParallel copies gradients to exchange them.
    """
    size = COMPUTE_DTYPES[runtime.precision].itemsize
    copies = 0 if options.gradient_checkpointing or size == _FLOAT else size * trains
    moments = _MOMENTS[options.optimizer] * trains
    is_paged = options.optimizer == "paged"  # to the host, when the device is full
    return {
        "weights": weights + copies,
        "gradients": _FLOAT * trains * (2 if runtime.processes.count > 1 else 1),
        "optimizer": 0 if is_paged else moments,
        "host": moments if is_paged else 0,
    }


def _with_zero(weights: float, trains: int, options: TrainOptions, runtime: Runtime) -> dict[str, float]:
    """ZeRO (arXiv:1910.02054): the optimizer, from stage 2 gradients, in stage 3 weights too, divided by processes.

    Gradients are exchanged in two buckets in turn; those of stage 3 are small. Stage 3 also holds the weights whole
    that are computed with.
    """
    zero: dict[str, Any] = (deepspeed_config(options, runtime) or {}).get("zero_optimization", {})
    stage, size, count = zero.get("stage", 0), COMPUTE_DTYPES[runtime.precision].itemsize, runtime.processes.count
    own = trains / count
    gradients = _FLOAT * own if stage >= 2 else size * trains
    optimizer = (_FLOAT + _MOMENTS[options.optimizer]) * (own if stage >= 1 else trains)
    if stage >= 3:
        weights = weights / count + min(weights, _LIVE * size)
    bucket = zero.get("reduce_bucket_size", int(5e8))
    buckets = 0 if bucket == "auto" else 2 * size * min(bucket, trains)
    if "offload_optimizer" in zero:
        return {"weights": weights, "gradients": buckets, "optimizer": 0, "host": optimizer + gradients}
    return {"weights": weights, "gradients": gradients + buckets, "optimizer": optimizer, "host": 0}
