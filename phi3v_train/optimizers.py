"""The optimizer: which parameters decay, at which learning rate each part goes, and the steps of the warm-up."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from phi3v_train.options import TrainOptions
    from phi3v_train.runtime import Runtime

__all__ = ["build_optimizer", "linear_schedule", "parameter_groups", "warmup_steps"]

_VISION = "vision_embed_tokens."
_SEPARATORS = ("glb_GN", "sub_GN")
_MOST_WARMUP = 50


def parameter_groups(model: nn.Module, options: TrainOptions) -> list[dict[str, Any]]:
    """Sort the parameters that train by learning rate and weight decay.

    Matrices decay; norms, biases and the separators between lines of image tokens do not. Vision is the tower, the
    projector and their adapters.

    Returns:
        Groups as torch's optimizers take them, empty ones left out: language that decays, language that does not,
        then vision likewise; in each the parameters are in the model's order.
    """
    vision_rate = options.vision_learning_rate or options.learning_rate
    rates = {False: options.learning_rate, True: vision_rate}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {(part, rest): [] for part in rates for rest in (False, True)}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[_VISION in name, not _decays(name, parameter)].append(parameter)
    return [
        {"params": parameters, "lr": rates[is_vision], "weight_decay": 0.0 if is_exempt else options.wd}
        for (is_vision, is_exempt), parameters in groups.items()
        if parameters
    ]


def build_optimizer(model: nn.Module, options: TrainOptions, runtime: Runtime) -> torch.optim.Optimizer:
    """Make AdamW, with moments of 32 or 8 bits, for the parameters that train; DeepSpeed takes it as any other."""
    groups = parameter_groups(model, options)
    settings: dict[str, Any] = {"betas": (0.9, 0.95), "eps": 1e-7}
    if options.optimizer == "adamw":
        return torch.optim.AdamW(groups, fused=True, **settings)
    from bitsandbytes.optim.adamw import AdamW8bit, PagedAdamW8bit

    # A CPU has nowhere to page to.
    is_paged = options.optimizer == "paged" and runtime.device == "cuda"
    kind = PagedAdamW8bit if is_paged else AdamW8bit
    return kind(groups, **settings)


def warmup_steps(options: TrainOptions, total: int) -> int:
    """Return over how many of all the optimizer's steps the learning rate rises."""
    if options.warmup_steps is not None:
        return options.warmup_steps
    return min(_MOST_WARMUP, math.ceil(0.1 * total))


def linear_schedule(warmup: int, total: int) -> Callable[[int], float]:
    """Return the factor of the learning rate at each step, counted from 0.

    It rises to 1 at the step behind the warm-up, then falls; neither the first step nor the last is one at 0.
    """

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return max(0.0, (total - step) / max(1, total - warmup))

    return factor


def _decays(name: str, parameter: nn.Parameter) -> bool:
    shape = getattr(parameter, "ds_shape", parameter.shape)  # a shard's own shape is flat
    return len(shape) > 1 and not name.endswith(_SEPARATORS)
