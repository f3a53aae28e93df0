"""Throw damaged lines and images at `phi3v-data validate`, and hold what it says against `json`, Pydantic and Pillow.

    python benchmarks/fuzz_validate.py --lines 1000000 --images 10000 --seed 0

Each batch is checked by a process of its own, with its memory and its time limited. A fault is a crash, a hang, output
that differs between 1 and 2 workers, a line that is neither blank nor a record and has no error, an image that has none
and does not open (`--images header`) or decode (`--images decode`) in Pillow, or an error in what was left whole.
Prints the faults and totals, and exits 1 for a fault. The batches of faults stay in --work_dir. Linux only.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.validate.fuzz_oracles import BadRun, Run, line_faults, picture_faults, run_validate, write_records
from tests.validate.fuzzing import line_file, picture_folder

LINES, PICTURES = 50_000, 1_000  # of a batch
MEMORY_LIMIT = 1_000  # MB, of any process: an image within the limit of pixels takes a part of it to decode


class Totals:
    """What all batches came to."""

    def __init__(self) -> None:
        self.records = self.faults = 0
        self.seconds = 0.0
        self.codes: Counter[str] = Counter()

    def add(self, run: Run) -> None:
        """Add a run."""
        self.records += run.records
        self.seconds += run.seconds
        self.codes.update(code for codes in run.errors.values() for code in codes)

    def report(self, what: str) -> None:
        """Print what was seen of a kind."""
        codes = ", ".join(f"{code} {count:,}" for code, count in sorted(self.codes.items()))
        print(
            f"{what}: {self.records:,} records in {self.seconds:.0f} s, {self.faults} faults; with {codes}", flush=True
        )


def fuzz_lines(folder: Path, seed: int, count: int, totals: Totals) -> list[str]:
    """Check one batch of lines; return the faults."""
    path = folder / "fuzz_train.jsonl"
    content = line_file(Random(seed), count)
    path.write_bytes(content)
    try:
        one, two = (run_validate(path, "--images", "none", "--workers", workers) for workers in ("1", "2"))
    except BadRun as error:
        return [str(error)]
    totals.add(one)
    return [*line_faults(content, one), *(["1 and 2 workers differ"] if one.output != two.output else [])]


def fuzz_pictures(folder: Path, seed: int, count: int, level: str, totals: Totals) -> list[str]:
    """Check one batch of images at a level; return the faults."""
    (folder / "images").mkdir()
    pictures = list(picture_folder(Random(seed), folder / "images", count))
    try:
        run = run_validate(write_records(folder, pictures), "--images", level)
    except BadRun as error:
        return [str(error)]
    totals.add(run)
    return list(picture_faults(folder, pictures, run, decoded=level == "decode"))


def batches(total: int, size: int, seed: int) -> list[tuple[int, int]]:
    """Return the seed and the size of each batch."""
    return [(seed * 1_000_000 + start // size, min(size, total - start)) for start in range(0, total, size)]


def note(kind: str, seed: int, faults: list[str], folder: Path, totals: Totals) -> None:
    """Print the faults of a batch, and remove its folder where there are none."""
    totals.faults += len(faults)
    for fault in faults[:20]:
        print(f"{kind}, seed {seed}: {fault}", flush=True)
    if not faults:
        shutil.rmtree(folder)


def main() -> None:
    """Parse the arguments, check every batch, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work_dir", type=Path, help="where to write; the system's temporary folder by default")
    arguments = parser.parse_args()
    started, faults = time.perf_counter(), 0
    kinds = ("lines", "images, header", "images, decode")
    for kind in kinds:
        is_lines, level = kind == "lines", kind.split(", ")[-1]
        totals = Totals()
        total, size = (arguments.lines, LINES) if is_lines else (arguments.images, PICTURES)
        for seed, count in batches(total, size, arguments.seed):
            folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{level}-", dir=arguments.work_dir))
            if is_lines:
                found = fuzz_lines(folder, seed, count, totals)
            else:
                found = fuzz_pictures(folder, seed, count, level, totals)
            note(kind, seed, found, folder, totals)
        totals.report(kind)
        faults += totals.faults
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
    verdict = "within" if peak <= MEMORY_LIMIT else "OVER"
    print(
        f"{time.perf_counter() - started:.0f} s in all; most memory of any process {peak:.0f} MB, {verdict} the limit"
    )
    raise SystemExit(int(faults > 0 or peak > MEMORY_LIMIT))


if __name__ == "__main__":
    main()
