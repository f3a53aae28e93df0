"""Signals during training: a first one is for the loop, a second one acts at once, and readers obey their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from phi3v_train.interruption import Interruption

PARENT = """
import multiprocessing, sys, time
from phi3v_train.readers import obey_parent_alone, readers_start

def read(ready):
    obey_parent_alone(None, 0)
    ready.send(True)
    while True:
        time.sleep(3600)

def main():
    here, there = multiprocessing.Pipe()
    reader = multiprocessing.get_context("fork").Process(target=read, args=(there,), daemon=True)
    with readers_start():
        reader.start()
    here.recv()
    print(reader.pid, flush=True)
    sys.stdin.readline()
    reader.terminate()
    reader.join()
    print(reader.exitcode, flush=True)

main()
"""


def test_the_first_signal_is_noted_and_the_second_acts() -> None:
    with pytest.raises(KeyboardInterrupt), Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.number == signal.SIGINT
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="this system does not tell who sent a signal")
def test_a_reader_obeys_its_parent_alone() -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (root, root / "schemas")))}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdin is not None and parent.stdout is not None
        reader = int(parent.stdout.readline())
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(reader, number)
        while pending(reader) & 1 << signal.SIGTERM - 1:  # equal signals do not queue up: let it take ours first
            os.sched_yield()
        parent.stdin.write("\n")
        parent.stdin.flush()
        assert parent.stdout.readline() == "0\n", "the reader died of a signal that was not its parent's"


def pending(process: int) -> int:
    """Return the set of signals that wait for a process."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("ShdPnd")), 16)
