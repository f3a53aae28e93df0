"""Add an adapter's matrices to the weights that they stand beside, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from peft.tuners.lora import LoraLayer

from phi3v_data.errors import CannotRun
from phi3v_train.model import Phi3VForCausalLM

if TYPE_CHECKING:
    from pathlib import Path

    from peft import PeftModel
    from torch import Tensor, nn

    from phi3v_train.model import Phi3VConfig

__all__ = ["adapted_layers", "merge_layers"]

_ADAPTER = "default"
_BASE = ".base_layer"


def adapted_layers(model: PeftModel) -> list[LoraLayer]:
    """Return the layers that an adapter changes."""
    return [module for module in model.modules() if isinstance(module, LoraLayer)]


@torch.no_grad()
def merge_layers(model: PeftModel, config: Phi3VConfig, dtype: torch.dtype, adapter: Path | None) -> Phi3VForCausalLM:
    """Move the weights of base and adapter into a model without adapter.

    Each sum is computed in float32 and rounded once. Weights in 4 bits are first what they are computed with, numbers
    of the precision that they were quantised from.

    Args:
        model: The base with its adapter, loaded to answer; its weights are taken from it as they are moved, so that
            no two copies of the model are in memory.
        config: The base's configuration, without what loading made of it.
        dtype: Precision of the moved weights.
        adapter: The adapter's folder, for messages.

    Returns:
        The model, to be saved.

    Raises:
        CannotRun: The adapter is not one of two matrices for each layer.
    """
    layers = adapted_layers(model)
    if any(layer.lora_variant or layer.lora_bias[_ADAPTER] for layer in layers):
        raise _other_adapter(adapter)
    base: Any = model.get_base_model()
    weights: dict[str, Tensor] = {}
    for name, parameter in base.named_parameters():
        if ".lora_" in name:
            continue
        owner, _, kind = name.rpartition(".")
        layer = base.get_submodule(owner.removesuffix(_BASE))
        weight = _dequantized(parameter)
        if isinstance(layer, LoraLayer) and kind == "weight":
            weight = weight.float() + layer.get_delta_weight(_ADAPTER).float()
        weights[name.replace(_BASE, "")] = weight.to(dtype)
        parameter.data = torch.empty(0)
    merged = _empty_model(config)
    if merged.load_state_dict(weights, strict=False, assign=True) != ([], []):
        raise _other_adapter(adapter)
    merged.generation_config = base.generation_config
    return merged


def _dequantized(parameter: nn.Parameter) -> Tensor:
    state = getattr(parameter, "quant_state", None)
    if state is None:
        return parameter.data
    from bitsandbytes.functional import dequantize_4bit

    return dequantize_4bit(parameter.data, state)


def _empty_model(config: Phi3VConfig) -> Phi3VForCausalLM:
    """Return a model that knows nothing of how its weights came about, as its `config.json` must not."""
    with torch.device("meta"):
        return Phi3VForCausalLM(config)


def _other_adapter(adapter: Path | None) -> CannotRun:
    return CannotRun(
        f"the adapter {adapter} has more than two matrices for each layer, which are all that is merged here: merge it "
        "with PEFT's merge_and_unload"
    )
