"""Datasets for the tests of this folder: a record names images by their size, and they are drawn."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["record", "size_in", "turn", "write_split"]


def turn(user: str = "What is it?", assistant: str | None = "A cat.", images: tuple[str, ...] = ()) -> dict[str, Any]:
    answer = {} if assistant is None else {"assistant": assistant}
    return {"images": list(images), "user": user, **answer}


def record(name: str, *turns: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "source": "made", "conversations": list(turns or [turn()])}


def write_split(folder: Path, split: str, records: list[dict[str, Any]]) -> Path:
    """Write a split, and each image of its records that is not there, such as `640x480.png` or `b/40x30-2.jpg`."""
    images = [name for made in records for turn in made["conversations"] for name in turn["images"]]
    for path in (folder / "images" / name for name in images):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            draw(path)
    file = folder / f"made_{split}.jsonl"
    file.write_text("".join(json.dumps(made) + "\n" for made in records))
    return file


def size_in(name: str) -> tuple[int, int]:
    """Return the width and height that an image's name says."""
    width, height = map(int, re.findall(r"\d+", name)[:2])
    return width, height


def draw(path: Path) -> None:
    """Write an image with noise that its name decides."""
    width, height = size_in(path.name)
    noise = np.random.default_rng(list(path.name.encode())).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
