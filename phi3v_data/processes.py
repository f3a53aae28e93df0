"""Worker processes: fresh interpreters, each at the end of a pipe; nothing is forked, no caller's script runs twice."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = ["available_cores", "start_process"]

_MAIN = (  # Ctrl-C reaches the whole group, and must not end a worker while it still imports
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); from {module} import main; main()"
)


def start_process(module: str) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start the `main` of a module in an interpreter of its own.

    It finds the descriptor of its end of the pipe in `sys.argv[1]`, ignores Ctrl-C, and reads and writes no standard
    stream of ours but stderr. Its pipe ends when this process does.

    Args:
        module: Such as "phi3v_data.convert.worker".

    Returns:
        The process, and our end of the pipe.
    """
    ours, theirs = multiprocessing.Pipe()
    with theirs:  # the child keeps its own copy: so the pipe ends with it
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _MAIN.format(module=module), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=2,  # what a converter prints is no part of our results
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    return process, ours


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
