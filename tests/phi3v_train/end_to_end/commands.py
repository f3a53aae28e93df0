"""Runs of the trainer for the tests of this folder: started, watched, ended, and what they have left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any

import psutil

from tests.phi3v_train.end_to_end import warm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Command", "Commands", "as_flags", "complete_steps", "figures", "losses", "weights"]

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "schemas"), str(ROOT / "converters")]),
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "DS_ACCELERATOR": "cpu",
}
TRACEBACK = re.compile(r'Traceback.*\n(?!(  File "<frozen runpy>".*\n)+  File "[^"]*torch/distributed/run\.py")')
"""A traceback, but for those of torchrun, which shows one of its own wherever it ends early."""

PATIENCE = 240.0
"""Seconds after which a process hangs, on any machine."""


class Command:
    """A run of the trainer, at the head of a process group.

    Args:
        pid: Its process.
        output: Where its output goes: this path with .out and .err.
        reap: Waits for its end and returns its exit code.
    """

    def __init__(self, pid: int, output: Path, reap: Callable[[], int]) -> None:
        self.pid = pid
        self._output = output
        self._reap = reap

    @property
    def stdout(self) -> str:
        return self._output.with_suffix(".out").read_text()

    @property
    def stderr(self) -> str:
        return self._output.with_suffix(".err").read_text()

    def until(self, happened: Callable[[], bool]) -> Command:
        """Watch it closely until something has happened, which must be before its end."""
        deadline = time.monotonic() + PATIENCE
        while not happened():
            assert psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE, f"it has ended before\n{self._said()}"
            assert time.monotonic() < deadline, f"it hangs\n{self._said()}"
            time.sleep(0.001)
        return self

    def until_step(self, step: int) -> Command:
        """Wait for the figures of a step, which are said before it is saved."""
        return self.until(lambda: re.search(rf"^step +{step}/", self.stdout, re.MULTILINE) is not None)

    def send(self, number: int) -> Command:
        """Send a signal to the process alone."""
        os.kill(self.pid, number)
        return self

    def send_all(self, number: int) -> Command:
        """Send a signal to it and to all processes that it has started, as a terminal does."""
        os.killpg(self.pid, number)
        return self

    def wait(self, code: int = 0) -> Command:
        """Wait for its end, and hold it to an exit code and to showing nobody a traceback.

        Where it was killed, the processes that read for it live on for a second, and may be startled.
        """
        guard = Timer(PATIENCE, self._end)
        guard.start()
        found = self._reap()
        guard.cancel()
        assert found == code, f"exit {found}\n{self._said()}"
        if code != -signal.SIGKILL:
            self._end()
            assert not TRACEBACK.search(self._said()), self._said()
        return self

    def children(self) -> dict[str, psutil.Process]:
        """Return the processes that it has started, by the rank that torchrun has given them."""
        return {child.environ()["RANK"]: child for child in psutil.Process(self.pid).children()}

    def went_on_from(self) -> int:
        """Return the step of the checkpoint that it started from, 0 without one."""
        found = re.search(r"^Going on from \S+/checkpoint-(\d+)\.", self.stdout, re.MULTILINE)
        return int(found[1]) if found else 0

    def _end(self) -> None:
        """Leave nothing of it and of what it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _said(self) -> str:
        return f"{self.stdout}\n{self.stderr}"


class Commands:
    """Starts `phi3v-train`, out of a process that has imported everything already, or under torchrun.

    Args:
        folder: Where commands run, and where their output goes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._environment = {**os.environ, **ENVIRONMENT}
        self._warm = subprocess.Popen(
            [sys.executable, warm.__file__],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Commands:
        return self

    def __exit__(self, *_: object) -> None:
        self._warm.communicate()

    @property
    def address_space(self) -> int:
        """The bytes that a run begins with, most of which are libraries'."""
        return self._ask({"size": True})

    def start(
        self, *flags: str, environment: Mapping[str, str] | None = None, limits: Mapping[str, int] | None = None
    ) -> Command:
        """Start it with these flags.

        Args:
            *flags: The flags.
            environment: Variables besides the usual ones.
            limits: Limits of the process, such as RLIMIT_FSIZE.
        """
        output = self._new_output()
        request = {
            "arguments": flags,
            "output": str(output),
            "environment": dict(environment or {}),
            "folder": str(self._folder),
            "limits": dict(limits or {}),
        }
        pid = self._ask({"start": request})
        return Command(pid, output, lambda: self._ask({"wait": pid}))

    def run(self, *flags: str, code: int = 0, **how: Any) -> Command:
        """Run it with these flags to its end."""
        return self.start(*flags, **how).wait(code)

    def start_together(self, count: int, *flags: str) -> list[Command]:
        """Start as many processes that train together, in the environment that torchrun makes."""
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            port = server.getsockname()[1]
        common = {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environments = [common | {"RANK": rank, "LOCAL_RANK": rank} for rank in range(count)]
        return [
            self.start(*flags, environment={name: str(value) for name, value in environment.items()})
            for environment in environments
        ]

    def start_torchrun(self, count: int, *flags: str) -> Command:
        """Start as many processes that train together, under torchrun."""
        output = self._new_output()
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={count}"]
        with output.with_suffix(".out").open("w") as out, output.with_suffix(".err").open("w") as err:
            process = subprocess.Popen(
                [*launcher, "-m", "phi3v_train", *flags],
                env=self._environment,
                cwd=self._folder,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        return Command(process.pid, output, process.wait)

    def _new_output(self) -> Path:
        self._count += 1
        output = self._folder / f"command-{self._count}"
        for stream in (".out", ".err"):
            output.with_suffix(stream).touch()
        return output

    def _ask(self, request: dict[str, Any]) -> int:
        assert self._warm.stdin is not None and self._warm.stdout is not None
        self._warm.stdin.write(json.dumps(request) + "\n")
        self._warm.stdin.flush()
        answer: int = json.loads(self._warm.stdout.readline())
        return answer


def as_flags(options: Mapping[str, Any]) -> list[str]:
    """Write options as a command line; False and None are left out, and a list is a flag several times."""
    flags = []
    for name, value in options.items():
        for one in value if isinstance(value, list) else [value]:
            if one is True:
                flags.append(f"--{name}")
            elif one is not None and one is not False:
                flags += [f"--{name}", str(one)]
    return flags


def figures(output_dir: Path) -> list[dict[str, Any]]:
    """Return what a run that has ended has logged, without what the clock and the machine say."""
    history = json.loads((output_dir / "final" / "metrics.json").read_text())["history"]
    kept = ("step", "epoch", "loss", "eval_loss", "grad_norm", "learning_rate")
    return [{name: entry[name] for name in kept if name in entry} for entry in history]


def losses(output_dir: Path) -> list[float]:
    """Return the losses of all steps of a run that has ended."""
    return [entry["loss"] for entry in figures(output_dir) if "loss" in entry]


def weights(output_dir: Path) -> bytes:
    """Return the weights, or the adapter's, that a run has ended with."""
    (file,) = (output_dir / "final").glob("*model.safetensors")
    return file.read_bytes()


def complete_steps(output_dir: Path) -> list[int]:
    """Return the steps of the checkpoints that are marked as whole, ascending."""
    return sorted(int(mark.parent.name.removeprefix("checkpoint-")) for mark in output_dir.glob("*/complete.json"))
