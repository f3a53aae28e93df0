"""Validate lines and images: ours, the libraries a person would reach for, and plain loops, alternating in one run.

    python benchmarks/validate.py --records 200000 --rounds 5 --work_dir /dev/shm
    python benchmarks/validate.py --tasks images startup
    python benchmarks/validate.py --memory 2000000
    python benchmarks/validate.py --big 5

Every contender runs in turn, in a process of its own, start-up included. Of lines it prints medians over the rounds:
lines/s, the range of the seconds, CPU microseconds a line, the most memory that any process held, and the CPU time and
the time as parts of those of `json.loads` with the schema's model, which is 1: less is better. Of images: the CPU
microseconds that each takes beyond what the same process takes for the lines or the names alone. `--memory` and `--big`
run ours alone with 1 and 2 workers, over many records and over a file of so many GB in which a block of 100 MB comes
again and again. Linux only.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from validate_data import KINDS, write_lines, write_pictures
from validate_large import report_big, report_memory
from validate_run import PEERS, Contender, ours, peer, run

if TYPE_CHECKING:
    from collections.abc import Callable

LINES_ONLY = ("--select", "E1,E2,E3")  # JSON, the schema, ids and keys: what the peers check, and some more
FEWER = 20  # times fewer lines for what is slow

BASELINE = peer("json.loads + the model", "baseline")
LIMIT = peer("limit: the lines alone", "lines")
CHECKERS = (
    BASELINE,
    ours("phi3v-data, 1 worker", workers=1),
    ours("phi3v-data, 2 workers", workers=2),
    ours("phi3v-data, E1-E3, 1 worker", *LINES_ONLY, workers=1),
    ours("phi3v-data, E1-E3, 2 workers", *LINES_ONLY, workers=2),
    peer("jsonlines + the model", "jsonlines"),
    peer("json.loads + jsonschema", "jsonschema", slow=True),
    *((peer("json.loads + fastjsonschema", "fastjsonschema"),) if importlib.util.find_spec("fastjsonschema") else ()),
)
LOADERS = (peer("datasets, load_dataset", "datasets"), peer("pyarrow, read_json", "pyarrow"))  # stop at a bad line
LOOKS = (  # who looks at images, and who does the same but that
    *((ours(f"phi3v-data, {level}", images=level), ours("phi3v-data, none")) for level in ("exists", "header")),
    (ours("phi3v-data, decode", images="decode"), ours("phi3v-data, none")),
    (peer("os.stat", "stat"), peer("names", "names")),
    (peer("4 KB and the end read", "read-ends"), peer("names", "names")),
    (peer("Pillow, open", "pillow-open"), peer("Pillow, names", "pillow-names")),
    (peer("Pillow, load", "pillow-load"), peer("Pillow, names", "pillow-names")),
)


@dataclass
class Measured:
    """What the rounds of one contender gave; peak in MB."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: float = 0


def measure_lines(data: Path, contenders: tuple[Contender, ...], rounds: int) -> dict[str, Measured]:
    """Run all contenders in turn over a file of lines, those that are slow over its first lines, beside it."""
    results = {contender.name: Measured() for contender in contenders}
    few, none = data.with_suffix(".few.jsonl"), data.with_suffix(".none.jsonl")
    for _ in range(rounds):
        for contender in contenders:
            wall, cpu, peak = run(contender, few if contender.slow else data)
            if contender.slow:  # its start-up is not scaled
                wall_of_none, cpu_of_none, _ = run(contender, none)
                wall = wall_of_none + FEWER * (wall - wall_of_none)
                cpu = cpu_of_none + FEWER * (cpu - cpu_of_none)
            results[contender.name].wall.append(wall)
            results[contender.name].cpu.append(cpu)
            results[contender.name].peak = max(results[contender.name].peak, peak)
    return results


def report_lines(title: str, results: dict[str, Measured], records: int) -> None:
    """Print one row per contender."""
    print(f"\n{title}\n{'':30}    lines/s           s (range)  CPU µs  peak MB  CPU ÷ base  time ÷ base")
    base = results[BASELINE.name]
    for name, measured in results.items():
        wall, cpu = statistics.median(measured.wall), statistics.median(measured.cpu)
        seconds = f"{wall:.2f} ({min(measured.wall):.2f}–{max(measured.wall):.2f})"
        print(
            f"{name:30}{records / wall:11,.0f}{seconds:>20}{1e6 * cpu / records:8.1f}{measured.peak:9.0f}"
            f"{cpu / statistics.median(base.cpu):12.2f}{wall / statistics.median(base.wall):13.2f}",
            flush=True,
        )


def compare_lines(work: Path, arguments: argparse.Namespace) -> None:
    """Measure every kind of lines."""
    for kind in KINDS:
        data, records = work / "made_train.jsonl", arguments.records
        for path, count in ((data, records), (data.with_suffix(".few.jsonl"), records // FEWER)):
            write_lines(path, kind, count)
        data.with_suffix(".none.jsonl").touch()
        loaders = () if kind == "every line bad" else LOADERS
        results = measure_lines(data, (*CHECKERS, *loaders, LIMIT), arguments.rounds)
        report_lines(f"{kind}, {records:,} lines of {data.stat().st_size / records:.0f} bytes", results, records)


def compare_images(work: Path, arguments: argparse.Namespace) -> None:
    """Measure every way to look at images, less what the same process takes without looking."""
    data, count = write_pictures(work / "pictures", arguments.images), arguments.images
    kilobytes = sum(path.stat().st_size for path in (data.parent / "images").iterdir()) / count / 1000
    results: dict[str, Measured] = {look.name: Measured() for look, _ in LOOKS}
    for _ in range(arguments.rounds):
        for look, less in LOOKS:
            target = data.parent / "images" if PEERS in look.command else data
            wall, cpu, peak = run(look, target)
            wall_of_less, cpu_of_less, _ = run(less, target)
            results[look.name].wall.append(wall - wall_of_less)
            results[look.name].cpu.append(cpu - cpu_of_less)
            results[look.name].peak = max(results[look.name].peak, peak)
    print(f"\nimages, {count:,} JPEGs of 320x240 and {kilobytes:.0f} kB\n{'':32}CPU µs (range)       µs  peak MB")
    for name, measured in results.items():
        each = [1e6 * seconds / count for seconds in measured.cpu]
        spread = f"{statistics.median(each):.1f} ({min(each):.1f}–{max(each):.1f})"
        took = 1e6 * statistics.median(measured.wall) / count
        print(f"{name:26}{spread:>20}{took:9.1f}{measured.peak:9.0f}", flush=True)


def compare_startup(work: Path, arguments: argparse.Namespace) -> None:
    """Measure what the command takes to say something of itself, and of one record."""
    write_lines(work / "one.jsonl", "ucf101", 1)
    itself = [Contender(f"phi3v-data {flag}", ("-m", "phi3v_data", flag)) for flag in ("--help", "--version")]
    print(f"\nstart-up, median of 10\n{'':30}CPU ms       ms  peak MB")
    for contender in (*itself, ours("one record, 1 worker"), ours("one record, 2 workers", workers=2)):
        rows = [run(contender, work / "one.jsonl") for _ in range(10)]
        wall, cpu, peak = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"{contender.name:28}{1000 * cpu:8.0f}{1000 * wall:9.0f}{peak:9.0f}", flush=True)


TASKS: dict[str, Callable[[Path, argparse.Namespace], None]] = {
    "lines": compare_lines,
    "images": compare_images,
    "startup": compare_startup,
}


def main() -> None:
    """Parse the arguments, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--images", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--memory", type=int, metavar="RECORDS", help="only this: memory of ours for so many records")
    parser.add_argument("--big", type=float, metavar="GB", help="only this: ours on a file of this size")
    parser.add_argument("--work_dir", type=Path, help="where to write; a new temporary folder by default")
    arguments = parser.parse_args()
    libraries = ("phi3v-data", "pydantic", "jsonlines", "jsonschema", "datasets", "pyarrow", "pillow")
    versions = ", ".join(f"{name} {version(name)}" for name in libraries)
    machine = f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"
    print(f"{machine}, {versions}, {time.strftime('%Y-%m-%d')}")
    with tempfile.TemporaryDirectory(dir=arguments.work_dir) as folder:
        if arguments.memory:
            report_memory(Path(folder), arguments.memory)
        if arguments.big:
            report_big(Path(folder), arguments.big)
        if arguments.memory or arguments.big:
            return
        if not importlib.util.find_spec("fastjsonschema"):
            print("fastjsonschema is left out: it is not installed (pip install fastjsonschema)")
        for task in arguments.tasks:
            TASKS[task](Path(folder), arguments)


if __name__ == "__main__":
    main()
