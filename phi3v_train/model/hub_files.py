"""A saved processor's files in the form they have on the hub, which transformers 4 and servers built on it read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_hub_form"]


def write_hub_form(folder: Path) -> list[str]:
    """Bring what transformers 5 has saved to the form that 4 and 5 load to the same; returns the files written.

    The image processor's options move from `processor_config.json` to a `preprocessor_config.json` of their own: one
    place for each value. The tokenizer gets the class name and the key of its further special tokens that both know.
    """
    processor = _read(folder / "processor_config.json")
    image_processor = {**processor.pop("image_processor"), "processor_class": processor["processor_class"]}
    tokenizer = {**_read(folder / "tokenizer_config.json"), "tokenizer_class": "PreTrainedTokenizerFast"}
    if extra := tokenizer.pop("extra_special_tokens", None):
        tokenizer["additional_special_tokens"] = extra
    return [
        _write(folder / "processor_config.json", processor),
        _write(folder / "preprocessor_config.json", image_processor),
        _write(folder / "tokenizer_config.json", tokenizer),
    ]


def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def _write(file: Path, content: dict[str, Any]) -> str:
    file.write_text(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    return str(file)
