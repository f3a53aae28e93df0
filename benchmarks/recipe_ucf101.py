"""The original recipe's way to convert UCF-101, written from its description: the baseline of benchmarks/convert.py.

One process; PyAV decodes every frame up to the last one wanted; the wanted ones go through `to_ndarray` and PIL.

    python benchmarks/recipe_ucf101.py SOURCE OUT
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import av
from PIL import Image

if TYPE_CHECKING:
    import numpy as np

FRAMES = 8


def sample(path: Path) -> list[np.ndarray]:
    """Return FRAMES frames, (height, width, 3) uint8 RGB, spread evenly over the clip."""
    with av.open(str(path)) as container:
        total = container.streams.video[0].frames  # what the header claims
        wanted = [k * total // FRAMES for k in range(FRAMES)]
        frames = {}
        for index, frame in enumerate(container.decode(video=0)):
            if index > wanted[-1]:
                break
            if index in wanted:
                frames[index] = frame.to_ndarray(format="rgb24")
    return [frames[index] for index in wanted]


def convert(source: Path, out: Path) -> None:
    """Write images and one JSONL file per split."""
    classes = sorted({path.name for path in source.glob("*/*")})
    prompt = f"Classify the video into one of the following classes: {', '.join(classes)}."
    number = 0
    for split in ("train", "val", "test"):
        with (out / f"ucf101_{split}.jsonl").open("w") as lines:
            for path in sorted((source / split).glob("*/*")):
                folder = out / "images" / split / path.parent.name
                folder.mkdir(parents=True, exist_ok=True)
                names = []
                for k, frame in enumerate(sample(path)):
                    Image.fromarray(frame).save(folder / f"{path.stem}.{k}.jpg")
                    names.append(f"{split}/{path.parent.name}/{path.stem}.{k}.jpg")
                turn = {"images": names, "user": prompt, "assistant": path.parent.name}
                record = {"id": f"{split}-{number:010d}", "source": "ucf101", "conversations": [turn]}
                lines.write(json.dumps(record) + "\n")
                number += 1


if __name__ == "__main__":
    target = Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    convert(Path(sys.argv[1]), target)
