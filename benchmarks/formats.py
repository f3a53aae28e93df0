"""Write, read back and reshard every format: ours, `webdataset`, `datasets` and a plain copy, alternating in one run.

    python benchmarks/formats.py --records 4000 --rounds 5 --work_dir /dev/shm
    python benchmarks/formats.py --memory 100000 --work_dir /dev/shm

Makes a dataset of JSON lines with a JPEG for each record, and from it one of each other format. Then every contender of
every task runs in turn, in a process of its own, start-up included. Prints medians over the rounds: records/s, MB/s of
the images, the range of the seconds, CPU milliseconds per record, the most memory that any process held, and the ratio
of its speed to that of the first peer and to the limit's. `--memory` reshards many small records with ours alone.
Linux only.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image

PEERS = str(Path(__file__).with_name("format_peers.py"))
PLAIN = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "USE_TORCH": "0"}
FORMATS = ("jsonl", "webdataset", "parquet")
MEMORY_LIMIT = 300  # MB, of any process


@dataclass(frozen=True)
class Contender:
    """Who does a task, and by which command."""

    name: str
    command: tuple[str, ...]


def ours(output: str, workers: int) -> Contender:
    """Return our reshard into a format."""
    command = ("-m", "phi3v_data", "reshard", "{data}", "--out_dir", "{out}", "--output", output)
    return Contender(f"phi3v-data, {workers} worker{'s' * (workers > 1)}", (*command, "--workers", str(workers)))


def peer(name: str, action: str) -> Contender:
    """Return an action of the script beside this one."""
    return Contender(name, (PEERS, action, "{data}", "{out}"))


COPY, READ = peer("limit: a plain copy", "copy"), peer("limit: reading the bytes", "read")
TASKS = {  # ours, then the peers, the limit last
    "write webdataset, from JSON lines": (
        "jsonl",
        (ours("webdataset", 1), ours("webdataset", 2), peer("webdataset.ShardWriter", "wds-write"), COPY),
    ),
    "write parquet, from JSON lines": (
        "jsonl",
        (ours("parquet", 1), ours("parquet", 2), peer("datasets, to_parquet", "hf-write"), COPY),
    ),
    "write JSON lines, from webdataset": ("webdataset", (ours("jsonl", 1), ours("jsonl", 2), COPY)),
    "read JSON lines": ("jsonl", (peer("phi3v-data", "ours-read"), peer("datasets, streamed", "hf-json-read"), READ)),
    "read webdataset": (
        "webdataset",
        (
            peer("phi3v-data", "ours-read"),
            peer("webdataset", "wds-read"),
            peer("datasets, streamed", "hf-wds-read"),
            READ,
        ),
    ),
    "read parquet": ("parquet", (peer("phi3v-data", "ours-read"), peer("datasets, streamed", "hf-read"), READ)),
    "reshard webdataset": (
        "webdataset",
        (ours("webdataset", 1), ours("webdataset", 2), peer("webdataset, both ways", "wds-reshard"), COPY),
    ),
    "reshard webdataset into parquet": (
        "webdataset",
        (ours("parquet", 1), ours("parquet", 2), peer("datasets, to_parquet", "hf-reshard"), COPY),
    ),
}


@dataclass
class Measured:
    """What the rounds of one contender gave; peak in MB."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: float = 0


def make_dataset(folder: Path, records: int, kb: float) -> int:
    """Write a dataset of JSON lines with one JPEG a record; return the bytes of the images."""
    images = folder / "images" / "train"
    images.mkdir(parents=True)
    side, size = max(16, round((kb * 1000 / 1.35) ** 0.5)), 0  # noise takes about 1.35 bytes a pixel at quality 90
    with (folder / "made_train.jsonl").open("w") as lines:
        for number in range(records):
            pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
            path = f"train/{number:09d}.0.jpg"
            size += (folder / "images" / path).write_bytes(buffer.getvalue())
            turn = {"images": [path], "user": "What is in the picture? Answer in one word.", "assistant": f"{number}"}
            record = {"id": f"train-{number:010d}", "source": "made", "conversations": [turn]}
            lines.write(json.dumps(record, separators=(",", ":")) + "\n")
    return size


def run(contender: Contender, data: Path, out: Path) -> tuple[float, float, float]:
    """Run a contender to its end; return seconds, CPU seconds, and the most MB that any of its processes held."""
    shutil.rmtree(out.parent, ignore_errors=True)
    out.parent.mkdir()
    command = [sys.executable, *(word.format(data=data, out=out) for word in contender.command)]
    start = time.perf_counter()
    environment = {**os.environ, **PLAIN, "HF_HOME": str(out.parent / "home")}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000


def report(task: str, results: dict[str, Measured], records: int, size: int) -> None:
    """Print one row per contender."""
    wall = {name: statistics.median(measured.wall) for name, measured in results.items()}
    names = list(wall)
    first_peer = next((name for name in names if not name.startswith(("phi3v-data", "limit"))), None)
    print(f"\n{task}\n{'':27}records/s    MB/s           s (range)  CPU ms  peak MB  × peer  × limit")
    for name, measured in results.items():
        seconds = f"{wall[name]:.2f} ({min(measured.wall):.2f}–{max(measured.wall):.2f})"
        print(
            f"{name:26}{records / wall[name]:10,.0f}{size / 1e6 / wall[name]:8.0f}{seconds:>20}"
            f"{1000 * statistics.median(measured.cpu) / records:8.2f}{measured.peak:9.0f}"
            f"{f'{wall[first_peer] / wall[name]:.2f}' if first_peer else '–':>8}{wall[names[-1]] / wall[name]:9.2f}",
            flush=True,
        )


def report_memory(task: str, measured: Measured, records: int) -> None:
    """Print the most memory that ours held."""
    verdict = "within" if measured.peak <= MEMORY_LIMIT else "OVER"
    print(f"{task:36}{records / measured.wall[0]:10,.0f}{measured.peak:9.0f}  {verdict}", flush=True)


def measure(contenders: tuple[Contender, ...], data: Path, out: Path, rounds: int) -> dict[str, Measured]:
    """Run all contenders in turn, round after round."""
    results = {contender.name: Measured() for contender in contenders}
    for _ in range(rounds):
        for contender in contenders:
            wall, cpu, peak = run(contender, data, out)
            results[contender.name].wall.append(wall)
            results[contender.name].cpu.append(cpu)
            results[contender.name].peak = max(results[contender.name].peak, peak)
    return results


def make_formats(work: Path, records: int, kb: float) -> int:
    """Write the dataset in every format; return the bytes of the images."""
    size = make_dataset(work / "jsonl", records, kb)
    for output in FORMATS[1:]:
        run(ours(output, 2), work / "jsonl", work / "run" / "out")
        (work / "run" / "out").rename(work / output)
    return size


def main() -> None:
    """Parse the arguments, make the data, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=4000)
    parser.add_argument("--kb", type=float, default=100, help="of an image")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), metavar="TASK", help="; ".join(TASKS))
    parser.add_argument("--memory", type=int, metavar="RECORDS", help="only this: memory of ours for so many records")
    parser.add_argument("--work_dir", type=Path, help="where to write; a new temporary folder by default")
    arguments = parser.parse_args()
    versions = ", ".join(f"{name} {version(name)}" for name in ("phi3v-data", "webdataset", "datasets", "pyarrow"))
    machine = f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"
    print(f"{machine}, {versions}, {time.strftime('%Y-%m-%d')}")
    with tempfile.TemporaryDirectory(dir=arguments.work_dir) as folder:
        work, records = Path(folder), arguments.memory or arguments.records
        size = make_formats(work, records, 1 if arguments.memory else arguments.kb)
        print(f"{records:,} records, {size / 1e6:,.0f} MB of images")
        if arguments.memory:
            print(f"{'2 workers; limit 300 MB':36}{'records/s':>10}{'peak MB':>9}")
        for task in arguments.tasks:
            source, contenders = TASKS[task]
            if arguments.memory:
                contenders = tuple(one for one in contenders if one.name in ("phi3v-data", "phi3v-data, 2 workers"))
                (measured,) = measure(contenders, work / source, work / "run" / "out", 1).values()
                report_memory(task, measured, records)
            else:
                results = measure(contenders, work / source, work / "run" / "out", arguments.rounds)
                report(task, results, records, size)


if __name__ == "__main__":
    main()
