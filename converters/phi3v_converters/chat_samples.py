"""Small made-up chats about coloured shapes, as LLaVA's rows and as messages; the same bytes each time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["write_llava", "write_messages"]

_COLOURS = ("red", "green", "blue", "yellow")
_SHAPES = ("disc", "square")
_SPLITS = {"train": range(6), "val": range(6, 8)}


def write_llava(folder: Path) -> None:
    """Write `train.json` and `val.json`, each an array, and `images/*.png`: eight chats of two questions."""
    _write_pictures(folder)
    for split, numbers in _SPLITS.items():
        rows = [_row(number, _llava) | {"id": f"shape-{number}"} for number in numbers]
        (folder / f"{split}.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")


def write_messages(folder: Path) -> None:
    """Write `train.jsonl` and `val.jsonl`, and `images/*.png`: eight chats of two questions."""
    _write_pictures(folder)
    for split, numbers in _SPLITS.items():
        lines = [json.dumps(_row(number, _messages)) + "\n" for number in numbers]
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")


def _write_pictures(folder: Path) -> None:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for number in range(sum(map(len, _SPLITS.values()))):
        colour, shape = _look(number)
        image = Image.new("RGB", (160, 120), "black")
        draw = ImageDraw.Draw(image)
        (draw.ellipse if shape == "disc" else draw.rectangle)((50, 30, 110, 90), fill=colour)
        image.save(folder / _path(number))


def _path(number: int) -> str:
    return f"images/shape-{number}.png"


def _look(number: int) -> tuple[str, str]:
    return _COLOURS[number % 4], _SHAPES[number // 4]


def _row(number: int, write: Callable[[str, list[tuple[str, str]]], dict[str, Any]]) -> dict[str, Any]:
    colour, shape = _look(number)
    return write(_path(number), [("What shape is it?", f"It is a {shape}."), ("And its colour?", f"It is {colour}.")])


def _llava(picture: str, questions: list[tuple[str, str]]) -> dict[str, Any]:
    said = [pair for question, answer in questions for pair in (("human", question), ("gpt", answer))]
    conversation = [{"from": speaker, "value": text} for speaker, text in said]
    conversation[0]["value"] = f"<image>\n{conversation[0]['value']}"
    return {"image": picture, "conversations": conversation}


def _messages(picture: str, questions: list[tuple[str, str]]) -> dict[str, Any]:
    said = [pair for question, answer in questions for pair in (("user", question), ("assistant", answer))]
    messages = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in said]
    messages[0]["content"] = [{"type": "image"}, *messages[0]["content"]]
    return {"messages": messages, "images": [picture]}
