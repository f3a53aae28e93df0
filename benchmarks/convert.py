"""Convert videos: ours, the recipe's way, other decoders and the limit, alternating in one run, start-up included.

    python benchmarks/convert.py --clips path/to/*.avi --copies 900 --rounds 3

Makes a tree of `--copies` clips from the given ones, converts it with every contender in turn, and prints the
median over the rounds: videos/s, CPU milliseconds per video, the ratio to the recipe, and whether the bytes of
every frame equal the recipe's.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
SPLITS = ("train", "train", "train", "val", "test")
CLASSES = ("Archery", "Basketball", "Biking", "Diving", "Drumming")
OURS = [sys.executable, "-m", "phi3v_data", "convert", "ucf101", "--source", "{source}", "--out_dir", "{out}"]
CONTENDERS = {
    "recipe's algorithm, one process": [sys.executable, str(HERE / "recipe_ucf101.py"), "{source}", "{out}"],
    "phi3v-data, 1 worker": [*OURS, "--workers", "1"],
    "phi3v-data, 2 workers": [*OURS, "--workers", "2"],
    "phi3v-data --decoder opencv, 1 worker": [*OURS, "--workers", "1", "--decoder", "opencv"],
    "phi3v-data --decoder decord, 1 worker": [*OURS, "--workers", "1", "--decoder", "decord"],
    "limit: I/P frames only, no checks": [sys.executable, str(HERE / "floor_ucf101.py"), "{source}", "{out}"],
}


@dataclass
class Measured:
    """What the rounds of one contender gave."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    same: str = ""


def make_tree(clips: list[Path], copies: int, folder: Path) -> None:
    """Lay out copies of the clips as `{train,val,test}/<Class>/v_<Class>_gNN_cMM`."""
    for number in range(copies):
        clip, label = clips[number % len(clips)], CLASSES[number // len(clips) % len(CLASSES)]
        target = folder / SPLITS[number % len(SPLITS)] / label
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, target / f"v_{label}_g{number // 7:02d}_c{number:03d}{clip.suffix}")


def run(command: list[str], source: Path, out: Path) -> tuple[float, float]:
    """Run a contender; return wall-clock and CPU seconds, its children included."""
    shutil.rmtree(out, ignore_errors=True)
    words = [word.format(source=source, out=out) for word in command]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def digest(out: Path) -> dict[str, str]:
    """Return the SHA-256 of every image below a dataset folder."""
    images = out / "images"
    return {
        path.relative_to(images).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(images.rglob("*.jpg"))
    }


def measure(source: Path, work: Path, rounds: int) -> dict[str, Measured]:
    """Run all contenders in turn, round after round."""
    results = {name: Measured() for name in CONTENDERS}
    expected: dict[str, str] = {}
    for _ in range(rounds):
        for name, command in CONTENDERS.items():
            wall, cpu = run(command, source, work / "out")
            results[name].wall.append(wall)
            results[name].cpu.append(cpu)
            found = digest(work / "out")
            expected = expected or found
            agree = sum(found.get(path) == value for path, value in expected.items())
            results[name].same = f"{agree}/{len(expected)}" if found else "–"
    return results


def report(results: dict[str, Measured], copies: int) -> None:
    """Print one row per contender."""
    wall = {name: statistics.median(measured.wall) for name, measured in results.items()}
    cpu = {name: statistics.median(measured.cpu) for name, measured in results.items()}
    recipe, *_, limit = wall
    print(f"{'':40}{'videos/s':>10}{'× recipe':>10}{'CPU ms':>9}{'× recipe':>10}{'× limit':>9}{'same frames':>14}")
    for name, measured in results.items():
        print(
            f"{name:40}{copies / wall[name]:10.1f}{wall[recipe] / wall[name]:10.2f}"
            f"{1000 * cpu[name] / copies:9.1f}{cpu[recipe] / cpu[name]:10.2f}{cpu[name] / cpu[limit]:9.2f}"
            f"{measured.same:>14}"
        )


def main() -> None:
    """Parse the arguments, make the tree, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", nargs="+", type=Path, required=True)
    parser.add_argument("--copies", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work_dir", type=Path, help="where to write; a new temporary folder by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.work_dir) as name:
        work = Path(name)
        make_tree(arguments.clips, arguments.copies, work / "source")
        results = measure(work / "source", work, arguments.rounds)
    print(f"{arguments.copies} clips from {len(arguments.clips)}, median of {arguments.rounds} rounds; ", end="")
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"
    )
    report(results, arguments.copies)


if __name__ == "__main__":
    main()
