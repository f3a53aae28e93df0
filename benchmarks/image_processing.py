"""The image processor by stage, beside the plainest pipeline and Pillow's resize alone; one thread.

    python benchmarks/image_processing.py --rounds 31

All contenders take turns, round after round, on the same image; each figure is a median in milliseconds, each ratio
the median of the rounds' ratios. Each runs twice in its turn and the second time counts, so that none pays for memory
that the one before it gave back to the system. The exact resize is the limit: everything else comes on top of it.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import PIL
import torch
from PIL import Image, ImageDraw, ImageFont
from plain_hd import plain_crops, plain_hd_image

from phi3v_data.tokens import hd_size
from phi3v_train.model.hd_transform import global_crop, hd_image, hd_resize, normalize_crops, pad_to_tiles
from phi3v_train.model.image_processing import Phi3VImageProcessor

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = {"page 1700x2200 at 16": (1700, 2200, 16), "page at 4": (1700, 2200, 4), "frame 320x240 at 4": (320, 240, 4)}
COLUMNS = ("resize", "pad", "overview", "tiles", "ours", "uint8", "plain")


@dataclass(frozen=True)
class Row:
    """One image at one `num_crops`.

    Attributes:
        name: Of the case.
        ms: Median milliseconds of each stage (`resize`, which is the limit; `pad`; `overview`, the global crop;
            `tiles`, all that is left of normalising), of the whole call (`ours`; `uint8` with
            `do_normalize=False`), and of the plain pipeline.
        to_resize: `ours` in multiples of the limit.
        to_plain: `ours` in multiples of the plain pipeline.
        same_bytes: Whether the padded image is the plain one's, byte for byte.
        difference: The most that a normalised value differs from the plain one's.
    """

    name: str
    ms: dict[str, float]
    to_resize: float
    to_plain: float
    same_bytes: bool
    difference: float


def measure(rounds: int) -> list[Row]:
    """Time every case on one thread, which is how a data loader's worker runs."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [
            _measure(name, draw_page(width, height), crops, rounds) for name, (width, height, crops) in CASES.items()
        ]
    finally:
        torch.set_num_threads(threads)


def draw_page(width: int, height: int) -> Image.Image:
    """Make a page of text on paper that is not quite white; the same one every time."""
    paper = 255 - np.random.default_rng(0).integers(0, 24, (height, width, 3), dtype=np.uint8)
    page = Image.fromarray(paper)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=24)
    for line in range(height // 32):
        words = " ".join(str((line + 1) * number**3) for number in range(1, 60))
        draw.text((8, 32 * line), words, fill=(line * 5 % 160, 20, 60), font=font)
    return page


def _measure(name: str, image: Image.Image, num_crops: int, rounds: int) -> Row:
    contenders = _contenders(image, num_crops)
    spent: dict[str, list[float]] = {key: [] for key in contenders}
    for _ in range(rounds + 1):
        for key, run in contenders.items():
            run()
            start = time.perf_counter()
            run()
            spent[key].append(1000 * (time.perf_counter() - start))
    ms = {key: statistics.median(values[1:]) for key, values in spent.items()}  # the first round warms up
    ms["tiles"] = ms.pop("crops") - ms["overview"]
    ratios = [
        statistics.median(ours / other for ours, other in zip(spent["ours"][1:], spent[key][1:], strict=True))
        for key in ("resize", "plain")
    ]
    return Row(name, ms, *ratios, *_compare(image, num_crops))


def _compare(image: Image.Image, num_crops: int) -> tuple[bool, float]:
    """Return whether the padded bytes are the plain pipeline's, and the most that a value of a crop differs."""
    padded, plain = hd_image(image, num_crops), plain_hd_image(image, num_crops)
    crops = Phi3VImageProcessor(num_crops=num_crops)(image)["pixel_values"]
    difference = (crops - plain_crops(image, num_crops)).abs().max().item()
    return padded.permute(1, 2, 0).numpy().tobytes() == plain.tobytes(), difference


def _contenders(image: Image.Image, num_crops: int) -> dict[str, Callable[[], object]]:
    processor = Phi3VImageProcessor(num_crops=num_crops)
    size = hd_size(*image.size, num_crops)
    resized = hd_resize(image, num_crops)
    padded = pad_to_tiles(resized, size)
    crops = processor(image)["pixel_values"]
    return {
        "resize": lambda: hd_resize(image, num_crops),
        "pad": lambda: pad_to_tiles(resized, size),
        "overview": lambda: global_crop(padded),
        "crops": lambda: normalize_crops(padded, crops),
        "ours": lambda: processor(image),
        "uint8": lambda: processor(image, do_normalize=False),
        "plain": lambda: plain_crops(image, num_crops),
    }


def report(rows: list[Row]) -> None:
    """Print one line per case."""
    head = "".join(f"{column:>10}" for column in COLUMNS)
    print(f"{'':24}{head}{'× resize':>10}{'× plain':>9}{'same bytes':>12}{'difference':>12}")
    for row in rows:
        cells = "".join(f"{row.ms[column]:10.1f}" for column in COLUMNS)
        same = f"{row.same_bytes!s:>12}{row.difference:12.1e}"
        print(f"{row.name:24}{cells}{row.to_resize:10.2f}{row.to_plain:9.2f}{same}")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=31)
    rounds = parser.parse_args().rounds
    rows = measure(rounds)
    print(f"milliseconds, median of {rounds} rounds, 1 thread; {platform.machine()}, {os.cpu_count()} cores, ", end="")
    print(f"Python {platform.python_version()}, Pillow {PIL.__version__}, torch {torch.__version__}, ", end="")
    print(time.strftime("%Y-%m-%d"))
    report(rows)


if __name__ == "__main__":
    main()
