"""Hold a written model's logits against those that it must have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import BatchFeature

    from phi3v_train.devices import Precision
    from phi3v_train.model import Phi3VProcessor

__all__ = ["Agreement", "compare", "compute_logits", "make_probe"]

# Shares of the largest logit. Measured, with random adapters on all layers that double the tiny model's logits: 8e-7 in
# fp32, 1.2e-3 in fp16 and 1.2e-2 in bf16, 4-bit base or not; with 32 layers of width 256, 1.7e-2 in bf16. One of the
# tiny model's layers left out makes 2e-1 and more. Where an adapter does little, bf16 may hide a layer; fp32 does not.
_BOUNDS: dict[Precision, float] = {"fp32": 1e-5, "fp16": 6e-3, "bf16": 5e-2}


@dataclass(frozen=True)
class Agreement:
    """How far two models' logits lie apart.

    Attributes:
        difference: The largest difference of two logits.
        largest: The largest absolute value of the logits that there should be.
        bound: The largest difference that rounding explains.
    """

    difference: float
    largest: float
    bound: float

    @property
    def holds(self) -> bool:
        """Whether rounding explains the difference; it never does where something is no number."""
        return self.difference <= self.bound

    def __str__(self) -> str:
        return f"largest difference {self.difference:.1g}, largest logit {self.largest:.3g}"


def make_probe(processor: Phi3VProcessor) -> list[BatchFeature]:
    """Return the inputs that are compared on: a prompt with an image of noise, and one of text alone.

    The image becomes one crop and its thumbnail, 300 tokens, which use every weight that more crops would.
    """
    noise = np.random.default_rng(0).integers(0, 256, (336, 448, 3), dtype=np.uint8)
    prompts = [("<|image_1|>\nWhat is in this picture?", [Image.fromarray(noise)]), ("Why is the sky blue?", None)]
    return [
        processor(f"<|user|>\n{text}<|end|>\n<|assistant|>\n", images, num_crops=1, return_tensors="pt")
        for text, images in prompts
    ]


def compute_logits(model: nn.Module, probe: list[BatchFeature]) -> list[Tensor]:
    """Return each input's logits, (1, sequence, vocabulary), float32."""
    with torch.no_grad():
        return [model(**inputs).logits.float() for inputs in probe]


def compare(wanted: list[Tensor], found: list[Tensor], *precisions: Precision) -> Agreement:
    """Compare logits.

    Args:
        wanted: Those that there should be.
        found: Those that there are.
        *precisions: What was computed in for either.
    """
    difference = max(float((one - other).abs().max()) for one, other in zip(wanted, found, strict=True))
    largest = max(float(one.abs().max()) for one in wanted)
    return Agreement(difference, largest, max(_BOUNDS[precision] for precision in precisions) * max(largest, 1.0))
