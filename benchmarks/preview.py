"""How long the page of many records takes, how large it is, and what it holds in memory.

    python benchmarks/preview.py [--records 10000] [--images 8] [--workers 2]

The limit is what Pillow takes to decode the same images, no larger than the page needs, in as many processes.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from validate_run import Contender, peaks

from phi3v_schemas import Record

PICTURES = 2000  # that differ; the others are links to them
SIZE = 64, 48


def write_pictures(folder: Path, count: int) -> list[Path]:
    """Write JPEGs of 320x240 pixels, with as much of large and of small shapes as frames of videos have."""
    folder.mkdir()
    chance = random.Random(0)
    paths = [folder / f"{number}.jpg" for number in range(count)]
    for path in paths:
        picture = Image.new("RGB", (320, 240), "grey")
        for size in ((8, 6), (20, 15), (80, 60)):
            patches = Image.frombytes("RGB", size, chance.randbytes(3 * size[0] * size[1]))
            picture = Image.blend(picture, patches.resize(picture.size, Image.Resampling.BICUBIC), 0.5)
        picture.save(path, quality=75)
    return paths


def write_dataset(folder: Path, records: int, images: int) -> Path:
    """Write a dataset of videos in ten classes; return its folder."""
    pictures = write_pictures(folder / "pictures", min(PICTURES, records * images))
    data = folder / "data"
    names = (
        "Archery, BabyCrawling, BalanceBeam, Basketball, BenchPress, Biking, Bowling, BoxingSpeedBag, Diving, Fencing"
    )
    classes = names.split(", ")
    (data / "images" / "train").mkdir(parents=True)
    with (data / "made_train.jsonl").open("wb") as lines:
        for number in range(records):
            name = classes[number % len(classes)]
            paths = [f"train/v_{name}_c{number:07d}.{frame}.jpg" for frame in range(images)]
            for frame, path in enumerate(paths):
                os.link(pictures[(number * images + frame) % len(pictures)], data / "images" / path)
            user = f"Classify the video into one of the following classes: {names}."
            turn = {"images": paths, "user": user, "assistant": name}
            record = {"id": f"train-{number:010d}", "source": "made", "group": f"{name}/g01", "conversations": [turn]}
            lines.write(Record.model_validate(record).to_line())
    return data


def decode(paths: list[Path]) -> None:
    """Decode images at the smallest size that a JPEG decoder makes, above that of the page."""
    for path in paths:
        with Image.open(path) as image:
            image.draft("RGB", SIZE)
            image.load()


def decode_all(data: Path, workers: int) -> float:
    """Return the seconds that decoding alone takes."""
    paths = sorted((data / "images" / "train").iterdir())
    start = time.perf_counter()
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(decode, [paths[at : at + 800] for at in range(0, len(paths), 800)]))
    return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("records", 10_000), ("images", 8), ("workers", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        work = Path(folder)
        data, page = write_dataset(work, options.records, options.images), work / "page.html"
        command = ("-m", "phi3v_data", "preview", "{data}", "--out", str(page), "--workers", str(options.workers))
        images = options.records * options.images
        print(f"{options.records:,} records x {options.images} images of 320x240, {options.workers} workers")
        print(f"{'':28}{'s':>8}{'images/s':>10}{'page MB':>9}  each process, peak MB")
        for name, flags in (("preview", ()), ("preview --no_findings", ("--no_findings",))):
            seconds, held = peaks(Contender(name, (*command, *flags)), data)
            memory = ", ".join(f"{mb:.0f}" for mb in held)
            size = page.stat().st_size / 1e6
            print(f"{name:28}{seconds:8.1f}{images / seconds:10,.0f}{size:9.1f}  {memory}", flush=True)
        seconds = decode_all(data, options.workers)
        print(f"{'limit: decoding alone':28}{seconds:8.1f}{images / seconds:10,.0f}")


if __name__ == "__main__":
    main()
