"""Out of memory: how much there was, and which flags lower it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from phi3v_train.memory_check import peak_memory

if TYPE_CHECKING:
    from phi3v_train.options import TrainOptions

__all__ = ["explain_out_of_memory", "is_out_of_memory"]

_SHOWN = 3
_CPU = ("DefaultCPUAllocator", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether a device, or the host, had no room for what was asked of it."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _CPU)


def explain_out_of_memory(step: int, options: TrainOptions) -> str:
    """Return one sentence: where, the peak, and flags that lower it, those first that change the result least."""
    ways_out = " or ".join(_ways_out(options)[:_SHOWN])
    return f"out of memory in step {step}, at a peak of {peak_memory() / 1e9:.1f} GB: lower it with {ways_out}"


def _ways_out(options: TrainOptions) -> list[str]:
    ways = []
    if options.batch_size_per_gpu > 1:
        ways.append(f"--batch_size_per_gpu {options.batch_size_per_gpu // 2}")
    if not options.gradient_checkpointing:
        ways.append("--gradient_checkpointing")
    if options.num_crops > 4:
        ways.append(f"--num_crops {options.num_crops // 2}")
    if not options.has_adapters:
        ways += ["--use_lora", "--offload", "--optimizer adamw8bit"]
    if not options.use_qlora:
        ways.append("--use_qlora")
    if not options.freeze_vision_model:
        ways.append("--freeze_vision_model")
    if options.has_adapters and options.lora_rank > 1:
        ways.append(f"--lora_rank {options.lora_rank // 2}")
    return [*ways, "--max_length with --too_long drop"]
