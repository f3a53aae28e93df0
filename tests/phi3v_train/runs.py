"""Options, runtimes and batches for the tests of what loads, counts and trains a model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from phi3v_train.options import TrainOptions
from phi3v_train.runtime import Processes, Runtime

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

FLAGS: dict[str, dict[str, Any]] = {
    "full": {},
    "frozen_vision": {"freeze_vision_model": True},
    "lora": {"use_lora": True},
    "lora_frozen_vision": {"use_lora": True, "freeze_vision_model": True},
    "qlora": {"use_qlora": True},
    "qlora_frozen_vision": {"use_qlora": True, "freeze_vision_model": True},
}


def options(checkpoint: Path | str = "unused", method: str = "full", **flags: Any) -> TrainOptions:
    """The options of a method, with small adapters."""
    given = {"lora_rank": 4, **FLAGS[method], **flags}
    return TrainOptions(data_dir="unused", model_name_or_path=str(checkpoint), **given)


def runtime(count: int = 1, **changes: Any) -> Runtime:
    """So many processes on one node; one of them on a CPU, in float32, unless told otherwise."""
    alone = Runtime(Processes(count=count, local_count=count), "cpu", "fp32", "sdpa", None, 1, 0)
    return replace(alone, **changes)


def batch(tokens: int = 20, tiles: int = 1, vocabulary: int = 300) -> dict[str, Tensor]:
    """One row: an image of one row of tiles, then text; with labels for the text."""
    torch.manual_seed(0)
    image = (tiles + 1) * 144 + 1 + 12 * 2
    ids = torch.cat((torch.full((1, image), -1), torch.randint(5, vocabulary, (1, tokens))), dim=1)
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "pixel_values": torch.randn(tiles + 1, 3, 336, 336),
        "image_sizes": torch.tensor([[336, 336 * tiles]]),
        "labels": ids.masked_fill(ids < 0, -100),
    }


def recompute(model: nn.Module) -> nn.Module:
    """Switch recomputation on as the loop does."""
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    base.activation_checkpointing_enable({"use_reentrant": False})
    return model
