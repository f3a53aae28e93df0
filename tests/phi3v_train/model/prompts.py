"""The golden prompts, where the published files are, and what several tests read off a row of ids."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.phi3v_train.model.golden import GOLDEN

HUB = Path(__file__).parents[4] / "shared" / "phi3v_hub_files"
CASES: dict[str, Any] = json.loads((GOLDEN / "processor_prompts.json").read_text(encoding="utf-8"))
BOS = 1
"""Id of `<s>`, in the published tokenizer and in the tiny one."""

TOKENS = 313
"""Tokens of an image of one crop."""


def runs(ids: list[int]) -> list[tuple[int, int]]:
    """Return the images of a row as (id, tokens), in order."""
    return [(token, len(list(group))) for token, group in groupby(ids) if token < 0]
