"""How benchmarks/validate.py runs whom it compares: in a process of its own, its time and memory taken."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

PEERS = str(Path(__file__).with_name("validate_peers.py"))
PLAIN = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "USE_TORCH": "0"}


@dataclass(frozen=True)
class Contender:
    """Who does a task, by which command; one that is `slow` is given fewer lines, and its times are scaled."""

    name: str
    command: tuple[str, ...]
    codes: tuple[int, ...] = (0,)
    slow: bool = False


def ours(name: str, *flags: str, workers: int = 1, images: str = "none") -> Contender:
    """Return our validation; it exits 1 where it finds errors."""
    command = ("-m", "phi3v_data", "validate", "{data}", "--images", images, "--format", "json", *flags)
    return Contender(name, (*command, "--workers", str(workers)), codes=(0, 1))


def peer(name: str, action: str, *, slow: bool = False) -> Contender:
    """Return an action of the script beside this one."""
    return Contender(name, (PEERS, action, "{data}"), slow=slow)


def run(contender: Contender, data: Path, output: Path | None = None) -> tuple[float, float, float]:
    """Run a contender to its end; return seconds, CPU seconds, and the most MB that any of its processes held.

    The system counts what this process holds, about 35 MB, for that of the contender too, until it has begun.
    """
    start = time.perf_counter()
    process = begin(contender, data, output)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    refuse_failure(process, contender)
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000


def begin(contender: Contender, data: Path, output: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a contender; what it prints goes into a file or nowhere."""
    command = [sys.executable, *(word.format(data=data) for word in contender.command)]
    environment = {**os.environ, **PLAIN, "HF_HOME": str(data.parent / "home")}
    with (output or Path(os.devnull)).open("wb") as stream:
        return subprocess.Popen(command, stdout=stream, env=environment)


def refuse_failure(process: subprocess.Popen[bytes], contender: Contender) -> None:
    """Stop where a contender failed: its times would mean nothing."""
    if process.returncode not in contender.codes:
        raise subprocess.CalledProcessError(process.returncode, process.args)


def peaks(contender: Contender, data: Path) -> tuple[float, list[float]]:
    """Run a contender to its end; return seconds, and the most MB that each process held, as last seen of it."""
    start = time.perf_counter()
    process = begin(contender, data)
    seen: dict[int, float] = {}
    while process.poll() is None:
        for pid in family(process.pid):
            seen[pid] = max(seen.get(pid, 0), high_water(pid))
        time.sleep(0.01)
    refuse_failure(process, contender)
    return time.perf_counter() - start, list(seen.values())


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it, as far as they are still there."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(member for child in children for member in family(int(child)))]


def high_water(pid: int) -> float:
    """Return the most MB that a process has held; 0 where it is gone."""
    try:
        words = Path(f"/proc/{pid}/status").read_text().split()
    except OSError:
        return 0
    return int(words[words.index("VmHWM:") + 1]) * 1024 / 1e6 if "VmHWM:" in words else 0
