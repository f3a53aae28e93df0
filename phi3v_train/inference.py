"""A trained model, an adapter or a published checkpoint, found by its name and loaded to answer."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from phi3v_data.errors import CannotRun, UsageError
from phi3v_data.extras import require
from phi3v_train.adapters import put_on
from phi3v_train.base_weights import is_another_base
from phi3v_train.checkpoints import FINAL
from phi3v_train.devices import Device, Precision, find_device, resolve_attention, resolve_precision
from phi3v_train.methods import COMPUTE_DTYPES, four_bits
from phi3v_train.pretrained import load_processor, load_weights
from phi3v_train.settings import load_config

if TYPE_CHECKING:
    from torch import nn

    from phi3v_train.model import Phi3VProcessor

__all__ = [
    "InferenceOptions",
    "ModelFiles",
    "find_model",
    "is_run",
    "load_answering_processor",
    "load_model",
    "refuse_another_base",
]

Quantization = Literal["none", "nf4"]

_ADAPTER = "adapter_config.json"
_RUN = "run.toml"


@dataclass(frozen=True)
class ModelFiles:
    """What a name stands for.

    Attributes:
        folder: The folder or the name on the hub that holds tokenizer and image processor.
        base: The checkpoint whose weights are loaded.
        adapter: The adapter that is put on it, if it is one.
        run: The options of the training run that it came from, by name; empty where they are not known.
    """

    folder: str
    base: str
    adapter: Path | None
    run: dict[str, Any]

    @property
    def quantization(self) -> Quantization:
        """How the base was kept in training."""
        return "nf4" if self.run.get("use_qlora") else "none"

    def before(self) -> ModelFiles:
        """Return what the run began with.

        Raises:
            UsageError: It does not come from a run.
        """
        if not self.run:
            raise UsageError(
                f"{self.folder} is not of a training run, so there is no before: give a run's --output_dir"
            )
        name = str(self.run["model_name_or_path"])
        return ModelFiles(name, name, None, self.run)


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


def find_model(name: str, base: str | None = None) -> ModelFiles:
    """Find out what a name stands for.

    Args:
        name: A training run's folder, a folder of a checkpoint or an adapter, or a name on the hub.
        base: The model that an adapter is put on, instead of the one it names.

    Raises:
        CannotRun: A run has not ended, or an adapter names no base.
        UsageError: A base was given for what is no adapter.
    """
    folder = Path(name)
    if is_run(name):
        folder /= FINAL
        if not folder.is_dir():
            raise CannotRun(f"the run {name} has no {FINAL} yet: let it end, or give one of its checkpoints")
    run = _run_of(folder)
    if not (folder / _ADAPTER).is_file():
        if base is not None:
            raise UsageError(f"{name} is no adapter, so it has no --base: leave that away")
        place = str(folder) if folder.is_dir() else name
        return ModelFiles(place, place, None, run)
    base = base or _base_of(folder)
    has_processor = (folder / "preprocessor_config.json").is_file()
    return ModelFiles(str(folder) if has_processor else base, base, folder, run)


def is_run(name: str) -> bool:
    """Tell whether a name is that of a training run's folder, and not of a model's."""
    folder = Path(name)
    return (folder / _RUN).is_file() and not any((folder / file).is_file() for file in ("config.json", _ADAPTER))


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
    """Load tokenizer and image processor; `num_crops` is the training run's unless it is given.

    Raises:
        CannotRun: They are not there or cannot be read.
    """
    return load_processor(files.folder, num_crops or files.run.get("num_crops", 16))


def _run_of(folder: Path) -> dict[str, Any]:
    """Return the options of the run that a folder comes from; model and precision are what they came to there."""
    run = next((load_config(file) for file in (folder / _RUN, folder.parent / _RUN) if file.is_file()), {})
    for file in (folder / "metrics.json", folder / "complete.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            identity = json.loads(file.read_bytes())["identity"]
            run |= {name: identity[name] for name in ("model_name_or_path", "precision")}
    return run


def _base_of(adapter: Path) -> str:
    try:
        base = json.loads((adapter / _ADAPTER).read_bytes()).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError) as error:
        raise CannotRun(f"the adapter {adapter} cannot be read: {error}") from None
    if not base:
        raise CannotRun(f"the adapter {adapter} names no model that it was trained on: give it by --base")
    return str(base)
