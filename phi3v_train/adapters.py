"""Put a saved adapter on a model, all of it and on the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peft import LoraConfig, PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file

from phi3v_data.errors import CannotRun
from phi3v_train.base_weights import ADAPTER_WEIGHTS

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from phi3v_train.model import Phi3VForCausalLM

__all__ = ["put_on"]


def put_on(model: Phi3VForCausalLM, adapter: Path, base: str) -> PeftModel:
    """Put an adapter on its base.

    Args:
        model: The base, as it is loaded.
        adapter: Folder of the adapter.
        base: The base's name, for messages.

    Returns:
        The model with the adapter active, for inference.

    Raises:
        CannotRun: The adapter cannot be read, or it does not fit the base tensor for tensor.
    """
    try:
        config = LoraConfig.from_pretrained(str(adapter))
        config.inference_mode = True
        tensors = load_file(adapter / ADAPTER_WEIGHTS)
        adapted = PeftModel(model, config)
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        raise CannotRun(f"the adapter {adapter} cannot be loaded: {' '.join(str(error).split())}") from error
    _refuse_misfit(tensors, get_peft_model_state_dict(adapted, save_embedding_layers=False), adapter, base)
    set_peft_model_state_dict(adapted, tensors)
    return adapted.eval()


def _refuse_misfit(found: dict[str, Tensor], wanted: dict[str, Tensor], adapter: Path, base: str) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
    others = {name: tuple(tensor.shape) for name, tensor in wanted.items()}
    wrong = sorted(name for name in shapes.keys() | others.keys() if shapes.get(name) != others.get(name))
    if wrong:
        name = wrong[0]
        raise CannotRun(
            f"the adapter {adapter} is not one for {base}: {len(wrong)} of its tensors do not fit, such as {name}, "
            f"which is {_words(shapes.get(name))} and would have to be {_words(others.get(name))}: give the model that "
            "it was trained on"
        )


def _words(shape: tuple[int, ...] | None) -> str:
    return "not there" if shape is None else " × ".join(map(str, shape))
