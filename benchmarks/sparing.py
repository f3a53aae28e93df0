"""What passing over B-frames saves: each clip sampled with and without it, in turn, in one process.

python benchmarks/sparing.py --clips path/to/*.avi --rounds 60
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from pathlib import Path

from phi3v_data.media import pyav
from phi3v_data.media.video import Clip, sample_clip

CHOICES = {"everything": lambda stream: False, "sparing": pyav.can_spare}


def measure(path: Path, rounds: int) -> tuple[dict[str, list[float]], dict[str, Clip]]:
    """Return CPU milliseconds of every round, and what was sampled, by choice."""
    spent: dict[str, list[float]] = {name: [] for name in CHOICES}
    clips = {}
    for _ in range(rounds + 1):
        for name, can_spare in CHOICES.items():
            pyav.can_spare = can_spare  # type: ignore[assignment]
            start = time.process_time()
            clips[name] = sample_clip(path, 8)
            spent[name].append(1000 * (time.process_time() - start))
    return {name: values[1:] for name, values in spent.items()}, clips


def main() -> None:
    """Print one row per clip."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", nargs="+", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=60)
    arguments = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"
    )
    print(f"{'clip':45}{'everything ms':>15}{'sparing ms':>12}{'ratio':>8}{'least':>8}  same frames")
    for path in arguments.clips:
        spent, clips = measure(path, arguments.rounds)
        every, spare = (statistics.median(spent[name]) for name in CHOICES)
        least = min(spent["everything"]) / min(spent["sparing"])
        same = clips["everything"].images == clips["sparing"].images
        print(f"{path.name:45}{every:15.1f}{spare:12.1f}{every / spare:8.2f}{least:8.2f}  {same}")


if __name__ == "__main__":
    main()
