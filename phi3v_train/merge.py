"""Merge an adapter into its base, to a checkpoint that loads without PEFT."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from phi3v_data.errors import CannotRun, UsageError
from phi3v_train.agreement import Agreement, compare, compute_logits, make_probe
from phi3v_train.checkpoint_folder import write_checkpoint
from phi3v_train.inference import InferenceOptions, load_answering_processor, load_model
from phi3v_train.merge_layers import adapted_layers, merge_layers
from phi3v_train.methods import COMPUTE_DTYPES, keep_layout
from phi3v_train.model_files import ModelFiles, find_model
from phi3v_train.pretrained import load_config, load_weights

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import BatchFeature

    from phi3v_train.devices import Precision

__all__ = ["Merged", "merge_adapter"]

_NAMES: dict[torch.dtype, Precision] = {dtype: name for name, dtype in COMPUTE_DTYPES.items()}  # type: ignore[misc]


@dataclass(frozen=True)
class Merged:
    """What was merged and written.

    Attributes:
        base: The model that the adapter was put on.
        rank: The adapter's rank.
        layers: Number of layers that it changed.
        quantization: "nf4" where the base was quantised to 4 bits and back.
        precision: That of the weights written.
        agreement: Their logits, held against those of the base with the adapter.
    """

    base: str
    rank: int
    layers: int
    quantization: Literal["none", "nf4"]
    precision: Precision
    agreement: Agreement

    def __str__(self) -> str:
        as_seen = " as QLoRA saw it, quantised to 4 bits and back" if self.quantization == "nf4" else ""
        return f"an adapter of rank {self.rank} on {self.layers} layers into {self.base}{as_seen}"


def merge_adapter(
    name: str,
    directory: Path,
    *,
    base: str | None = None,
    quantization: Literal["auto", "none", "nf4"] = "auto",
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto",
    max_shard_size: int | str = "5GB",
    overwrite: bool = False,
) -> Merged:
    """Merge an adapter into its base and write the whole model, with its processor, under the hub's names.

    Each layer's weights are added up in float32 and rounded once. One model at a time is in memory, the host's.

    Args:
        name: Folder of the adapter: of a run, its `final` or one of its checkpoints.
        directory: The folder to write; it must be empty or not there.
        base: The model to put it on, instead of the one it names.
        quantization: "nf4" quantises the base to 4 bits and back first; "auto" does so where it was trained so.
        precision: That of the weights written; "auto" is the base's.
        max_shard_size: Bytes, or a size such as "5GB": weights beyond it go into further files.
        overwrite: Whether to replace a Phi-3.5-vision checkpoint in the folder.

    Raises:
        UsageError: It is no adapter, or the folder to write holds something.
        CannotRun: Something cannot be loaded or written, the adapter is another model's, or what was written does
            not have the logits of the base with the adapter.
    """
    files = _find_adapter(name, base)
    if Path(files.base).resolve() == directory.resolve():
        raise UsageError(f"{directory} holds the model that the adapter is put on: give another folder")
    quantization = files.quantization if quantization == "auto" else quantization
    with write_checkpoint(directory, overwrite=overwrite) as folder:
        config = load_config(files.base)
        stored = _NAMES.get(config.dtype, "fp32")
        written = stored if precision == "auto" else precision
        trained = files.run.get("precision", stored)  # what NF4's rounding began with
        loaded = trained if quantization == "nf4" else _wider(stored, written)
        processor = load_answering_processor(files)
        probe = make_probe(processor)

        adapted = _load(files, InferenceOptions(loaded, "sdpa", quantization, "cpu"))
        rank, layers = adapted.peft_config["default"].r, len(adapted_layers(adapted))
        wanted = compute_logits(adapted, probe)
        merged = merge_layers(adapted, config, COMPUTE_DTYPES[written], files.adapter)
        merged.save_pretrained(folder, max_shard_size=max_shard_size)
        processor.save_pretrained(folder)
        del adapted, merged

        agreement = compare(wanted, _logits_of(folder, written, probe), loaded, written)
        _refuse_disagreement(agreement)
    return Merged(files.base, rank, layers, quantization, written, agreement)


def _find_adapter(name: str, base: str | None) -> ModelFiles:
    files = find_model(name, base)
    if files.adapter is not None:
        return files
    if Path(files.folder, "config.json").is_file():
        raise UsageError(f"{name} is no adapter: it is whole already")
    raise CannotRun(f"{name} holds no adapter: give the folder of a run with LoRA, its final or one of its checkpoints")


def _load(files: ModelFiles, options: InferenceOptions) -> Any:
    model = load_model(files, options)
    keep_layout(model)
    return model


def _wider(one: Precision, other: Precision) -> Precision:
    """Return the precision that holds the numbers of both."""
    return _NAMES[torch.promote_types(COMPUTE_DTYPES[one], COMPUTE_DTYPES[other])]


def _logits_of(folder: Path, precision: Precision, probe: list[BatchFeature]) -> list[Tensor]:
    gc.collect()  # there is room for one model, and one that adapters were on holds itself
    return compute_logits(load_weights(str(folder), dtype=COMPUTE_DTYPES[precision], attn_implementation="sdpa"), probe)


def _refuse_disagreement(agreement: Agreement) -> None:
    if not agreement.holds:
        raise CannotRun(
            f"the merged model is not the base with the adapter: {agreement}, where rounding explains "
            f"{agreement.bound:.1g}; nothing was written, try --precision fp32"
        )
