"""The folder of a tokenizer: a tiny one made on the spot, or the published one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from phi3v_train.model.tiny_tokenizer import tiny_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

PUBLISHED = Path(__file__).parents[2] / "shared" / "phi3v_hub_files"


def tokenizer_folder(kind: str, new_folder: Callable[[str], Path]) -> Path:
    """Return the folder of the tokenizer of a kind, "tiny" or "published"; skips where the latter is not at hand."""
    if kind == "published":
        if not PUBLISHED.is_dir():
            pytest.skip("the published tokenizer is not in ../shared")
        return PUBLISHED
    made = new_folder("tiny")
    tiny_tokenizer().save_pretrained(made)
    return made
