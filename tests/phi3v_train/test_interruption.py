"""Signals during training: the first is for the loop, a second acts at once; readers obey and outlive no parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from phi3v_train.interruption import Interruption

PARENT = """
import multiprocessing, os, sys, time
from phi3v_train.readers import obey_parent_alone, readers_start

def read(ready):
    obey_parent_alone(os.getppid(), None, 0)
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

DIES_EARLY = """
import os, signal
from torch.utils.data import DataLoader
from phi3v_train.readers import begun, shielded

parent = os.getpid()

def begin(number):
    print(os.getpid(), flush=True)
    os.kill(parent, signal.SIGKILL)
    while os.getppid() == parent:
        os.sched_yield()

next(begun(shielded(DataLoader([1], num_workers=1, worker_init_fn=begin, multiprocessing_context="fork"))))
"""


def test_the_first_signal_is_noted_and_the_second_acts() -> None:
    with pytest.raises(KeyboardInterrupt), Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.number == signal.SIGINT
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.skipif(not hasattr(signal, "sigtimedwait"), reason="this system does not tell who sent a signal")
def test_a_reader_obeys_its_parent_alone() -> None:
    with started(PARENT) as parent:
        assert parent.stdin is not None and parent.stdout is not None
        reader = int(parent.stdout.readline())
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(reader, number)
        while pending(reader) & 1 << signal.SIGTERM - 1:  # equal signals do not queue up: let it take ours first
            os.sched_yield()
        parent.stdin.write("\n")
        parent.stdin.flush()
        assert parent.stdout.readline() == "0\n", "the reader died of a signal that was not its parent's"


def test_a_reader_ends_though_its_parent_has_gone_before_it_begins() -> None:
    with started(DIES_EARLY) as parent:
        assert parent.stdout is not None
        reader = int(parent.stdout.readline())
        try:
            assert parent.communicate(timeout=60) == ("", None)  # the reader has this pipe, too, until it ends
        finally:
            with suppress(ProcessLookupError):
                os.kill(reader, signal.SIGKILL)
        assert parent.returncode == -signal.SIGKILL


def started(program: str) -> subprocess.Popen[str]:
    """Start a program of Python with pipes to its input and from its output."""
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (root, root / "schemas")))}
    return subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )


def pending(process: int) -> int:
    """Return the set of signals that wait for a process."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("ShdPnd")), 16)
