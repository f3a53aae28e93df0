"""Small made-up DocVQA, Hateful Memes and NLVR2, in the layouts of the originals; the same bytes each time."""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["write_docvqa", "write_hateful_memes", "write_nlvr2"]

_SEED = 101
_NAMES = ("Ada Byron", "Karl Gauss", "Emmy Noether", "Alan Turing", "Grace Hopper", "Sofia Kovalevskaya")
_CAPTIONS = {
    0: ("welcome home", "we all learn here", "tea for everyone"),
    1: ("go away", "nobody likes you", "you fools"),
}
_COLOURS = ("red", "green", "blue", "yellow")


def write_docvqa(folder: Path) -> None:
    """Write `spdocvqa_qas/*.json` and `spdocvqa_images/*.png`: 16 letters, three questions each, in test no answers."""
    number = 0
    for split, pages in {"train": 10, "val": 3, "test": 3}.items():
        entries: list[dict[str, Any]] = []
        for _ in range(pages):
            rng = np.random.default_rng([_SEED, number])
            writer, total = _NAMES[rng.integers(len(_NAMES))], f"${rng.integers(10, 900)}.00"
            date = f"{rng.integers(1, 13)}/{rng.integers(1, 29)}/93"
            page = f"made{number:04d}_1"
            lines = (f"Date: {date}", f"From: {writer}", "", f"Total due: {total}", "", "Yours sincerely,", writer)
            _save(_text(lines, (420, 560), 24, "white"), folder / "spdocvqa_images" / f"{page}.png")
            about = {
                "What is the date?": [date],
                "Who wrote the letter?": [writer],
                "What is due?": [total, total[:-3]],
            }
            for question, answers in about.items():
                entry = {"questionId": len(entries) + 1000 * number, "question": question}
                entry |= {"image": f"documents/{page}.png", "docId": number, "ucsf_document_id": page[:-2]}
                entries.append({**entry, **({} if split == "test" else {"answers": answers}), "data_split": split})
            number += 1
        name = f"{split}_v1.0.json" if split == "test" else f"{split}_v1.0_withQT.json"
        document = {"dataset_name": "docvqa", "dataset_split": split, "dataset_version": "1.0", "data": entries}
        (folder / "spdocvqa_qas").mkdir(parents=True, exist_ok=True)
        (folder / "spdocvqa_qas" / name).write_text(json.dumps(document), encoding="utf-8")


def write_hateful_memes(folder: Path) -> None:
    """Write `train`, `dev_seen`, `test_unseen.jsonl` and `img/*.png`: 24 captions, in test without labels."""
    number = 1000
    for name, memes in {"train": 16, "dev_seen": 4, "test_unseen": 4}.items():
        rows = []
        for index in range(memes):
            label, number = index % 2, number + 7
            rng = np.random.default_rng([_SEED, number])
            text = _CAPTIONS[label][rng.integers(3)]
            shade = tuple(int(value) for value in rng.integers(150, 256, 3))
            _save(_text((text,), (320, 240), 28, shade), folder / "img" / f"{number:05d}.png")
            row: dict[str, Any] = {"id": number, "img": f"img/{number:05d}.png", "text": text}
            rows.append(row if name == "test_unseen" else {**row, "label": label})
        _write_lines(folder / f"{name}.jsonl", rows)


def write_nlvr2(folder: Path) -> None:
    """Write `train`, `dev`, `test1.json` and their pictures: 24 pairs of coloured discs, a sentence for every two."""
    radii = count(10)  # so that no picture is there twice
    for rank, (split, sets) in enumerate({"train": 8, "dev": 2, "test1": 2}.items()):
        rows = []
        for number in range(sets):
            rng = np.random.default_rng([_SEED, rank, number])
            asked = int(rng.integers(4))
            for pair in range(2):
                shown = [int((asked + rng.integers(1, 4)) % 4), int(rng.integers(4))]
                if pair == number % 2:
                    shown[0] = asked
                stem = f"{split}-{number}-{pair}"
                for side, colour in enumerate(shown):
                    _save(_disc(_COLOURS[colour], next(radii)), folder / split / f"{stem}-img{side}.png")
                sentence = f"The left image shows a {_COLOURS[asked]} disc."
                rows.append({"sentence": sentence, "label": str(shown[0] == asked), "identifier": f"{stem}-0"})
        _write_lines(folder / f"{split}.json", rows)


def _text(lines: Iterable[str], size: tuple[int, int], points: int, paper: tuple[int, ...] | str) -> Image.Image:
    image = Image.new("RGB", size, paper)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(points)
    draw.multiline_text((points, points), "\n".join(lines), fill="black", font=font, spacing=points // 2)
    return image


def _disc(colour: str, radius: int) -> Image.Image:
    image = Image.new("RGB", (160, 120), "black")
    ImageDraw.Draw(image).ellipse((80 - radius, 60 - radius, 80 + radius, 60 + radius), fill=colour)
    return image


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
