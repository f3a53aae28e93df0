"""What command lines share: the end of a program, and signals that arrive while it is only exiting."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

LINGERS = """
import atexit, sys, click
from phi3v_data.errors import CannotRun
from phi3v_data.program import run_program

@click.command()
@click.argument("outcome")
def command(outcome):
    if outcome == "error":
        raise CannotRun("it cannot run")

def linger():
    print("exiting", flush=True)
    sys.stdin.read()

atexit.register(linger)
run_program(command, "lingers", heeds_hangup=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(("outcome", "code", "said"), [("clean", 0, ""), ("error", 3, "Error: it cannot run\n")])
def test_a_request_to_end_changes_nothing_once_it_exits(
    number: signal.Signals, outcome: str, code: int, said: str
) -> None:
    assert signalled_at_its_exit(number, outcome) == (code, said)


def test_ctrl_c_ends_at_once_what_lingers_at_its_exit() -> None:
    assert signalled_at_its_exit(signal.SIGINT, "clean") == (-signal.SIGINT, "")


def signalled_at_its_exit(number: signal.Signals, outcome: str) -> tuple[int, str]:
    """Return the exit code and the errors of a program that gets a signal in the last code that it runs."""
    inherited = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored, and would be there too
    with subprocess.Popen(
        [sys.executable, "-c", LINGERS, outcome],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        signal.signal(signal.SIGHUP, inherited)
        assert process.stdout is not None
        assert process.stdout.readline() == "exiting\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        return process.returncode, said
