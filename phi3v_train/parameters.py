"""What a model is made of: how many parameters each part has, which of them train, and in which precision."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Part", "parameter_count", "parameter_table", "render_table"]

_PARTS = {
    "vision_embed_tokens.img_processor.": "vision tower",
    "vision_embed_tokens.": "projector",
    "embed_tokens.": "embedding",
    "lm_head.": "head",
    "": "decoder layers",
}
"""Part by what stands in a parameter's name; the first that does counts."""

_ADAPTERS = {"vision_embed_tokens.": "adapters: vision", "": "adapters: language"}
_ORDER = [*_PARTS.values(), *_ADAPTERS.values()]


@dataclass(frozen=True)
class Part:
    """A part of a model.

    Attributes:
        name: In words, such as "vision tower".
        trainable: Parameters that train.
        frozen: Parameters that do not.
        dtypes: What they are kept in, such as "float32"; "nf4" for 4 bits.
    """

    name: str
    trainable: int
    frozen: int
    dtypes: tuple[str, ...]


def parameter_table(model: nn.Module) -> list[Part]:
    """Count the parameters of each part; adapters are parts of their own."""
    members: dict[str, list[nn.Parameter]] = {name: [] for name in _ORDER}
    for name, parameter in model.named_parameters():
        members[_part_of(name)].append(parameter)
    return [_count(name, parameters) for name, parameters in members.items() if parameters]


def parameter_count(parameter: nn.Parameter) -> int:
    """Return how many numbers a parameter stands for, also where this process holds a shard, or two are in a byte."""
    if (quantized := getattr(parameter, "quant_state", None)) is not None:
        return prod(quantized.shape)
    return int(getattr(parameter, "ds_numel", parameter.numel()))


def render_table(parts: list[Part]) -> str:
    """Return the table as aligned text, with the totals and the share that trains."""
    trainable, frozen = sum(part.trainable for part in parts), sum(part.frozen for part in parts)
    rows = [("", "trainable", "frozen", "kept in")]
    rows += [(part.name, f"{part.trainable:,}", f"{part.frozen:,}", ", ".join(part.dtypes)) for part in parts]
    rows += [("total", f"{trainable:,}", f"{frozen:,}", f"{trainable / (trainable + frozen):.2%} trains")]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        f"{name:<{widths[0]}}  {train:>{widths[1]}}  {rest:>{widths[2]}}  {note}" for name, train, rest, note in rows
    )


def _part_of(name: str) -> str:
    parts = _ADAPTERS if ".lora_" in name else _PARTS
    return next(part for sign, part in parts.items() if sign in name)


def _count(name: str, parameters: list[nn.Parameter]) -> Part:
    counts = {True: 0, False: 0}
    for parameter in parameters:
        counts[parameter.requires_grad] += parameter_count(parameter)
    return Part(name, counts[True], counts[False], tuple(sorted({_dtype(parameter) for parameter in parameters})))


def _dtype(parameter: nn.Parameter) -> str:
    if (quantized := getattr(parameter, "quant_state", None)) is not None:
        return str(quantized.quant_type)
    return str(parameter.dtype).removeprefix("torch.")
