"""Small made-up pictures of shapes, in class folders and in tables; the same bytes each time."""

from __future__ import annotations

import csv
from itertools import islice, product
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["write_csv", "write_imagefolder"]

_SHAPES = ("disc", "square", "triangle")
_COLOURS = ("red", "green", "blue", "yellow", "white", "orange")
_COUNTS = {"train": 12, "val": 3, "test": 3}


def write_imagefolder(folder: Path) -> None:
    """Write `{train,val,test}/{disc,square,triangle}/*.png`: 18 pictures of each shape."""
    for shape in _SHAPES:
        pictures = _pictures(shape)
        for split, count in _COUNTS.items():
            for number, (_, image) in enumerate(islice(pictures, count)):
                _save(image, folder / split / shape / f"{number:04d}.png")


def write_csv(folder: Path) -> None:
    """Write `shapes_{train,val,test}.csv` and `pictures/*.png`: two questions a picture, in test no answers."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {shape: _pictures(shape) for shape in _SHAPES}
    for split, count in _COUNTS.items():
        with (folder / f"shapes_{split}.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["image", "question", *([] if split == "test" else ["answer"])])
            for shape in _SHAPES:
                for number, (colour, image) in enumerate(islice(pictures[shape], count)):
                    path = f"pictures/{split}-{shape}-{number:04d}.png"
                    _save(image, folder / path)
                    for question, answer in (("What shape is it?", shape), ("What colour is it?", colour)):
                        table.writerow([path, question, *([] if split == "test" else [f"{answer.capitalize()}."])])


def _pictures(shape: str) -> Iterator[tuple[str, Image.Image]]:
    """Yield pictures of a shape, none twice, each with its colour."""
    for step, colour in product(range(3), _COLOURS):
        image = Image.new("RGB", (160, 120), "black")
        draw, left = ImageDraw.Draw(image), 20 + 30 * step
        box = (left, 30, left + 60, 90)
        if shape == "disc":
            draw.ellipse(box, fill=colour)
        elif shape == "square":
            draw.rectangle(box, fill=colour)
        else:
            draw.polygon([(left + 30, 30), (left, 90), (left + 60, 90)], fill=colour)
        yield colour, image


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
