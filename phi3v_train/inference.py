"""A model loaded to answer: in which precision, how quantised and where; and its processor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from phi3v_data.errors import CannotRun
from phi3v_data.extras import require
from phi3v_train.adapters import put_on
from phi3v_train.base_weights import is_another_base
from phi3v_train.devices import Device, Precision, find_device, resolve_attention, resolve_precision
from phi3v_train.methods import COMPUTE_DTYPES, four_bits
from phi3v_train.pretrained import load_config, load_processor, load_weights

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from phi3v_train.model import Phi3VProcessor
    from phi3v_train.model_files import ModelFiles, Quantization

__all__ = [
    "InferenceOptions",
    "load_answering_processor",
    "load_model",
    "refuse_another_base",
    "resolve_num_crops",
]


@dataclass(frozen=True)
class InferenceOptions:
    """How a model is loaded to answer.

    Attributes:
        precision: What is computed in.
        attention: Name of the implementation in transformers.
        quantization: "nf4" keeps the decoder's linear layers in 4 bits, as QLoRA does.
        device: Where.
        local_rank: Which of a node's GPUs.
    """

    precision: Precision
    attention: str
    quantization: Quantization
    device: Device
    local_rank: int = 0

    @classmethod
    def resolve(
        cls,
        files: ModelFiles,
        *,
        precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto",
        attention: Literal["auto", "sdpa", "flash", "eager"] = "auto",
        quantization: Literal["auto", "none", "nf4"] = "auto",
        local_rank: int = 0,
    ) -> InferenceOptions:
        """Decide what is left open: the precision by the device, the quantization as the model was trained.

        Raises:
            UsageError: The device cannot.
            CannotRun: A package is not installed.
        """
        kept = files.quantization if quantization == "auto" else quantization
        if kept == "nf4":
            require("bitsandbytes", extra="qlora", purpose="a base in 4 bits")
        return cls(
            resolve_precision(precision), resolve_attention(attention, precision), kept, find_device(), local_rank
        )

    def describe(self) -> str:
        """Return precision, quantization and device in words."""
        kept = ["4 bits"] if self.quantization == "nf4" else []
        return ", ".join([self.precision, *kept, self.device])

    @property
    def torch_device(self) -> torch.device:
        """The device for PyTorch."""
        return torch.device("cuda", self.local_rank) if self.device == "cuda" else torch.device("cpu")


def load_model(files: ModelFiles, options: InferenceOptions) -> nn.Module:
    """Load a model to answer with.

    Returns:
        A `Phi3VForCausalLM`, or a `PeftModel` around it, on its device and in evaluation mode.

    Raises:
        CannotRun: It cannot be loaded, or the adapter was trained on other weights.
    """
    dtype = COMPUTE_DTYPES[options.precision]
    loading: dict[str, Any] = {"attn_implementation": options.attention, "dtype": dtype}
    if options.quantization == "nf4":
        loading["quantization_config"] = four_bits(dtype)
    model = load_weights(files.base, device_map={"": options.torch_device}, **loading).eval()
    if files.adapter is None:
        return model
    refuse_another_base(files.adapter, files.base)
    return put_on(model, files.adapter, files.base)


def refuse_another_base(adapter: Path, base: str) -> None:
    """Refuse a base that is known not to be the adapter's.

    Raises:
        CannotRun: Its weights are others.
    """
    if is_another_base(adapter, base):
        raise CannotRun(
            f"the adapter {adapter} was trained on other weights than those of {base}: give its own by --base"
        )


def load_answering_processor(files: ModelFiles, num_crops: int | None = None) -> Phi3VProcessor:
    """Load tokenizer and image processor.

    Args:
        files: The model.
        num_crops: Most crops of an image; None for the training run's, or else the checkpoint's own.

    Raises:
        CannotRun: There is no such model, or its processor cannot be read.
    """
    load_config(files.base)  # a name that is none is told better from it than from an image processor
    return load_processor(files.folder, num_crops or files.run.get("num_crops"))


def resolve_num_crops(files: ModelFiles, given: int | None) -> int:
    """Return the most crops of an image: what was given, the training run's, or else the checkpoint's own.

    Raises:
        CannotRun: As `load_answering_processor`.
    """
    return load_answering_processor(files, given).image_processor.num_crops
