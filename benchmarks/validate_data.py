"""What benchmarks/validate.py reads: lines as the converters write them, lines of three faults, and pictures."""

from __future__ import annotations

import io
import json
import random
import shutil
from typing import TYPE_CHECKING, Any

from PIL import Image

from phi3v_schemas import Record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["KINDS", "repeat_file", "write_lines", "write_pictures", "write_small"]

_CLASSES = (
    *("ApplyEyeMakeup", "Archery", "BabyCrawling", "BalanceBeam", "BandMarching", "BaseballPitch", "Basketball"),
    *("BasketballDunk", "BenchPress", "Biking", "Billiards", "BlowDryHair", "BlowingCandles", "BodyWeightSquats"),
    *("Bowling", "BoxingPunchingBag", "BoxingSpeedBag", "BreastStroke", "BrushingTeeth", "CleanAndJerk"),
    *("CliffDiving", "CricketBowling", "CricketShot"),
)
_QUESTION = (
    "what is, in dollars and cents, the amount in the row {row} of the table under the heading which names the total "
    "expenses for travel, lodging and meals of the members of the committee and of their guests, as it is printed on "
    "page {page} of the letter that the secretary sent to all of them on 12 May 1998, before it was corrected by hand?"
)
_PICTURE = 320, 240


def _ucf(number: int) -> dict[str, Any]:
    name = _CLASSES[number % len(_CLASSES)]
    clip = f"v_{name}_g{number // 7 % 25 + 1:02d}_c{number:07d}"
    turn = {
        "images": [f"train/{name}/{clip}.{frame}.jpg" for frame in range(8)],
        "user": f"Classify the video into one of the following classes: {', '.join(_CLASSES)}.",
        "assistant": name,
    }
    group = f"{name}/g{number // 7 % 25 + 1:02d}"
    return {"id": f"train-{number:010d}", "source": "ucf101", "group": group, "conversations": [turn]}


def _docvqa(number: int) -> dict[str, Any]:
    page, amount = f"xnbl{number // 8:07d}", f"$ {number % 100_000:,}.00"
    turn = {
        "images": [f"train/{page}_{number % 30}.0.png"],
        "user": _QUESTION.format(row=number % 8, page=number % 30) + "\nAnswer briefly.",
        "assistant": amount,
        "answers": [amount, amount.replace("$ ", "$"), amount.removeprefix("$ "), f"{amount} in all"],
    }
    record = {"id": f"train-{number:010d}", "source": "docvqa", "group": page, "conversations": [turn]}
    return {**record, "metadata": {"question_id": number}}


def _line(record: dict[str, Any]) -> bytes:
    return Record.model_validate(record).to_line()


def _bad(number: int) -> bytes:
    """Return a UCF-101 line with one of three faults in turn: no JSON, no 'source', an id that is a number."""
    record = _ucf(number)
    if number % 3 == 0:
        return _line(record)[:-2] + b",}\n"
    if number % 3 == 1:
        del record["source"]
    else:
        record["id"] = number
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


KINDS: dict[str, Callable[[int], bytes]] = {
    "ucf101": lambda number: _line(_ucf(number)),
    "docvqa": lambda number: _line(_docvqa(number)),
    "every line bad": _bad,
}
"""The line of a number, without images in any folder, by the kind of data."""


def write_lines(path: Path, kind: str, records: int) -> None:
    """Write a file of so many lines of a kind."""
    with path.open("wb") as file:
        file.writelines(map(KINDS[kind], range(records)))


def write_small(path: Path, records: int) -> None:
    """Write a file of the shortest lines that training could use, each with an id and a text of its own."""
    with path.open("wb") as file:
        for number in range(records):
            turn = b'{"user":"What is %d?","assistant":"A number."}' % number
            file.write(b'{"id":"train-%010d","source":"made","conversations":[%s]}\n' % (number, turn))


def repeat_file(path: Path, block: Path, size: int) -> None:
    """Write the lines of a file again and again, until there are `size` bytes."""
    with path.open("wb") as file:
        while file.tell() < size:
            with block.open("rb") as lines:
                shutil.copyfileobj(lines, file, 1 << 20)


def write_pictures(folder: Path, count: int) -> Path:
    """Write JPEGs of 320x240 pixels into `folder / "images"` and a file of records, one for each; return its path."""
    (folder / "images").mkdir(parents=True)
    path = folder / "made_train.jsonl"
    chance = random.Random(0)
    with path.open("wb") as lines:
        for number in range(count):
            name = f"{number:07d}.jpg"
            (folder / "images" / name).write_bytes(_jpeg(chance))
            turn = {"images": [name], "user": "What is in the picture?", "assistant": f"Number {number}"}
            lines.write(_line({"id": f"train-{number:010d}", "source": "made", "conversations": [turn]}))
    return path


def _jpeg(chance: random.Random) -> bytes:
    """Return a picture of blurred patches: about 10 kB, as a frame of a video takes."""
    patches = Image.frombytes("RGB", (40, 30), chance.randbytes(3 * 40 * 30))
    buffer = io.BytesIO()
    patches.resize(_PICTURE, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=75)
    return buffer.getvalue()
