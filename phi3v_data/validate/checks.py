"""What a run looks at, as its workers are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from phi3v_data.lines import MAX_LINE
from phi3v_data.validate.selection import Selection

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.validate.images import ImageLevel

__all__ = ["MODEL_LENGTH", "Checks"]

MODEL_LENGTH = 131_072
"""Tokens of the longest sequence Phi-3.5-vision takes (`max_position_embeddings` of its configuration)."""


@dataclass(frozen=True)
class Checks:
    """How closely data are looked at.

    Args:
        images: How closely to look at images.
        max_line: Longest line in bytes that is read.
        num_crops: Most crops that an image is scaled to in training.
        max_length: Most tokens of a record.
        tokenizer: Folder of the model's tokenizer; None counts no tokens of text.
        selection: The rules wanted.
    """

    images: ImageLevel = "header"
    max_line: int = MAX_LINE
    num_crops: int = 16
    max_length: int = MODEL_LENGTH
    tokenizer: Path | None = None
    selection: Selection = field(default_factory=Selection)
