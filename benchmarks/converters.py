"""Convert pictures with questions: ours, `datasets.map` and the limit, alternating in one run, start-up included.

    python benchmarks/converters.py --records 1600 --rounds 5 --work_dir /dev/shm
    python benchmarks/converters.py --memory 100000

Makes every form of DocVQA, Hateful Memes and NLVR2 in turn, converts it with every contender, and prints medians over
the rounds: records/s, MB/s of the pictures written, CPU milliseconds per record, the most memory that any process of
the contender held, the ratio of its speed to that of `datasets.map` with as many processes and to the limit's, and
whether its pictures are the same bytes. A source was written just before, so reading it costs no disk; caches of
`datasets` are new each time, and the memory it maps from them counts. `--memory` converts small pictures with ours
alone, to see what many records cost. Linux only.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import resource

HERE = Path(__file__).parent
FORMS = (
    *("docvqa/original", "docvqa/cauldron", "docvqa/lmms-lab"),
    *("hateful_memes/original", "hateful_memes/cauldron", "nlvr2/original", "nlvr2/cauldron"),
)
PLAIN = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "USE_TORCH": "0"}
"""For `datasets`: without PyTorch, which it would import to no use here."""
MEMORY_LIMIT = 300  # MB, of any process


def script(name: str, *words: str) -> tuple[str, ...]:
    """Return the command of a script beside this one."""
    return (sys.executable, str(HERE / name), *words)


PEER, PEERS = "datasets.map, 1 process", "datasets.map, 2 processes"
OURS = (sys.executable, "-m", "phi3v_data", "convert", "{dataset}", "--source", "{source}", "--out_dir", "{out}")
MAP = ("map_pictures.py", "{form}", "{source}", "{out}")
CONTENDERS = {
    "phi3v-data, 1 worker": (*OURS, "--workers", "1"),
    "phi3v-data, 2 workers": (*OURS, "--workers", "2"),
    PEER: script(*MAP, "1"),
    PEERS: script(*MAP, "2"),
    "datasets, streamed, 1 process": script(*MAP, "0"),
    "limit: a plain copy": script("copy_pictures.py", "{source}", "{out}", "{lines}"),
}


@dataclass
class Measured:
    """What the rounds of one contender gave; peak in MB."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: float = 0
    same: bool = True


@dataclass(frozen=True)
class Output:
    """What a contender wrote: the digest over the sorted hashes of all pictures, their bytes, and the records."""

    digest: str
    size: int
    records: int


def look_at(out: Path) -> Output:
    """Return what a contender wrote."""
    hashes, size = [], 0
    for path in (out / "images").rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
            size += path.stat().st_size
    records = sum(path.read_bytes().count(b"\n") for path in out.glob("*.jsonl"))
    return Output(hashlib.sha256("".join(sorted(hashes)).encode()).hexdigest()[:16], size, records)


class Bench:
    """One form of a dataset: its source is made here; every run has a folder of its own."""

    def __init__(self, form: str, work: Path, records: int, kb: float) -> None:
        self.source, self._lines, self._run, self._runs = work / "source", work / "lines", work, 0
        self._words = {"form": form, "dataset": form.partition("/")[0], "source": self.source, "lines": self._lines}
        sizes = ("--records", str(records), "--kb", str(kb))
        subprocess.run(script("picture_sources.py", form, str(self.source), *sizes), check=True)

    def start(self, contender: str) -> subprocess.Popen[bytes]:
        """Start a contender."""
        self._runs += 1
        self._run = self.source.with_name(f"run-{self._runs}")
        command = [word.format(**self._words, out=self._run / "out") for word in CONTENDERS[contender]]
        place = {"HF_HOME": str(self._run / "home"), **PLAIN}
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, **place})

    def end(self) -> Output:
        """Return what the contender wrote, and make room for the next one; the limit gets the lines of the first."""
        found = look_at(self._run / "out")
        if not self._lines.exists():
            self._lines.mkdir()
            for path in (self._run / "out").glob("*.jsonl"):
                shutil.copyfile(path, self._lines / path.name)
        empty(self._run)
        return found


def empty(folder: Path) -> None:
    """Empty every file below a folder, and wait for the disk.

    None is deleted before the very end: for minutes afterwards ext4 would be slow in making files, the slower the more
    were deleted (it passes over inodes freed lately), so that each contender would pay for the one before it.
    """
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            os.truncate(path, 0)
    os.sync()


def wait_for(process: subprocess.Popen[bytes], flags: int = 0) -> resource.struct_rusage | None:
    """Wait for a process; return what it and its children used, or None where it runs and the flags say not to wait."""
    pid, status, usage = os.wait4(process.pid, flags)
    if not pid:
        return None
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return usage


def measure(bench: Bench, rounds: int) -> tuple[dict[str, Measured], Output]:
    """Run all contenders in turn, round after round; what the first writes, which is ours, is expected of all."""
    results = {name: Measured() for name in CONTENDERS}
    expected: Output | None = None
    for _ in range(rounds):
        for name in CONTENDERS:
            start = time.perf_counter()
            usage = wait_for(bench.start(name))
            results[name].wall.append(time.perf_counter() - start)
            assert usage
            results[name].cpu.append(usage.ru_utime + usage.ru_stime)
            results[name].peak = max(results[name].peak, usage.ru_maxrss / 1000)
            found = bench.end()
            expected = expected or found
            results[name].same &= found == expected
    assert expected
    return results, expected


def report(form: str, results: dict[str, Measured], output: Output) -> None:
    """Print one row per contender."""
    wall = {name: statistics.median(measured.wall) for name, measured in results.items()}
    *_, limit = wall.values()
    print(f"\n{form}: {output.records:,} records, {output.size / 1e6:,.1f} MB of pictures, digest {output.digest}")
    print(f"{'':33}records/s    MB/s           s (range)  CPU ms  peak MB  × map  × limit  same")
    for name, measured in results.items():
        seconds = f"{wall[name]:.2f} ({min(measured.wall):.2f}–{max(measured.wall):.2f})"
        print(
            f"{name:32}{output.records / wall[name]:10.0f}{output.size / 1e6 / wall[name]:8.0f}{seconds:>20}"
            f"{1000 * statistics.median(measured.cpu) / output.records:8.2f}{measured.peak:9.0f}"
            f"{wall[PEERS if ', 2 ' in name else PEER] / wall[name]:7.2f}{limit / wall[name]:9.2f}"
            f"{'yes' if measured.same else 'NO':>6}",
            flush=True,
        )


def peaks(process: subprocess.Popen[bytes]) -> tuple[float, float, float]:
    """Watch a process to its end; return the most memory, in MB, of itself, of a child, of any (what the kernel says).

    The first two are looked up every 20 ms, so a peak in a process's last moments may be in the third alone.
    """
    parent, child, children = 0.0, 0.0, Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while (usage := wait_for(process, os.WNOHANG)) is None:
        parent = max(parent, most_held(process.pid))
        child = max([child, *(most_held(int(pid)) for pid in children.read_text().split())])
        time.sleep(0.02)
    return parent, child, usage.ru_maxrss / 1000


def most_held(pid: int) -> float:
    """Return the most memory that a process has held, in MB; 0 for one that is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1000
    return 0


def report_memory(form: str, bench: Bench) -> None:
    """Convert with two workers and print the most memory held."""
    start = time.perf_counter()
    parent, worker, most = peaks(bench.start("phi3v-data, 2 workers"))
    wall, records = time.perf_counter() - start, bench.end().records
    verdict = "within" if most <= MEMORY_LIMIT else "OVER"
    print(f"{form:24}{records:9,}{records / wall:11.0f}{parent:11.0f}{worker:11.0f}{most:9.0f}  {verdict}", flush=True)


def main() -> None:
    """Parse the arguments; for each form make the source, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=FORMS, metavar="FORM", help=", ".join(FORMS))
    parser.add_argument("--records", type=int, default=1600, help="a page has four, a pair of photographs two")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--page_kb", type=float, default=300)
    parser.add_argument("--meme_kb", type=float, default=120)
    parser.add_argument("--photo_kb", type=float, default=100)
    parser.add_argument("--memory", type=int, metavar="RECORDS", help="only this: memory of ours for so many records")
    parser.add_argument("--work_dir", type=Path, help="where to write; a new temporary folder by default")
    arguments = parser.parse_args()
    sizes = {"docvqa": arguments.page_kb, "hateful_memes": arguments.meme_kb, "nlvr2": arguments.photo_kb}
    versions = ", ".join(f"{name} {version(name)}" for name in ("phi3v-data", "datasets", "pyarrow", "pillow"))
    machine = f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"
    print(f"{machine}, {versions}, {time.strftime('%Y-%m-%d')}")
    if arguments.memory:
        print(f"2 workers, pictures of 1 to 3 kB; MB, limit {MEMORY_LIMIT}")
        print(f"{'':24}{'records':>9}{'records/s':>11}{'parent':>11}{'worker':>11}{'any':>9}")
    else:
        print(f"median of {arguments.rounds} rounds; '× map' is against as many processes")
    with tempfile.TemporaryDirectory(dir=arguments.work_dir) as work:
        for form in arguments.forms:
            kb = 1 if arguments.memory else sizes[form.partition("/")[0]]
            folder = Path(work, form.replace("/", "-"))
            bench = Bench(form, folder, arguments.memory or arguments.records, kb)
            if arguments.memory:
                report_memory(form, bench)
            else:
                report(form, *measure(bench, arguments.rounds))
            empty(bench.source)


if __name__ == "__main__":
    main()
