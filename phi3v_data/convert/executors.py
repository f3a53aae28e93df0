"""Run workers: processes of this machine, watched, so that none can die or hang unnoticed."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Protocol

from phi3v_data.convert.worker import Failed, SourceStarted
from phi3v_data.errors import CannotRun
from phi3v_data.processes import start_process

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection

    from phi3v_data.convert.job import JobFolder
    from phi3v_data.convert.worker import Message

__all__ = ["Executor", "LocalExecutor"]


_IDLE_DEATHS_ALLOWED = 3
_GRACE = 5.0  # seconds a worker has to end by itself


class Executor(Protocol):
    """Brings workers to a job, here or elsewhere, until every part is done."""

    def run(self, folder: JobFolder, parts: Sequence[int], on_message: Callable[[Message], None]) -> None:
        """Convert these parts; on return each one's folder exists."""


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    connection: Connection
    source: int | None = None
    since: float = 0.0


class LocalExecutor:
    """Worker processes on this machine, each a fresh interpreter: nothing is forked, no caller's script runs twice.

    Args:
        workers: How many.
        timeout: Seconds one source may take before its worker is ended as one that died; None waits for ever.
    """

    def __init__(self, workers: int, timeout: float | None = None) -> None:
        self._count = workers
        self._timeout = timeout
        self._workers: list[_Worker] = []
        self._idle_deaths = 0

    def run(self, folder: JobFolder, parts: Sequence[int], on_message: Callable[[Message], None]) -> None:
        """Convert these parts.

        A worker that dies is replaced; the source it was at is noted, so that the next worker rejects it when it
        has killed too often. Workers end with this call, however it ends.

        Raises:
            CannotRun: A worker reported that the run cannot go on.
        """
        try:
            for _ in range(min(self._count, len(parts))):
                self._start(folder, parts)
            while self._workers:
                self._step(folder, parts, on_message)
        finally:
            self._end()

    def _end(self) -> None:
        """End the workers that are left; given a moment, they remove what they have half done."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            try:
                worker.process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            worker.connection.close()

    def _start(self, folder: JobFolder, parts: Sequence[int]) -> None:
        process, ours = start_process("phi3v_data.convert.worker")
        self._workers.append(_Worker(process, ours))
        with suppress(ConnectionError):  # it died at once; its end of the pipe says so
            ours.send((folder.out_dir, list(parts)))

    def _step(self, folder: JobFolder, parts: Sequence[int], on_message: Callable[[Message], None]) -> None:
        """Wait for the next messages and act on them; end workers that are overdue."""
        ready = wait([worker.connection for worker in self._workers], timeout=None if self._timeout is None else 1.0)
        for worker in list(self._workers):
            if worker.connection in ready:
                self._receive(worker, folder, parts, on_message)
            elif self._overdue(worker):
                worker.process.kill()

    def _overdue(self, worker: _Worker) -> bool:
        busy = worker.source is not None and self._timeout is not None
        return busy and time.monotonic() - worker.since > (self._timeout or 0)

    def _receive(
        self, worker: _Worker, folder: JobFolder, parts: Sequence[int], on_message: Callable[[Message], None]
    ) -> None:
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):  # OSError: it died in the middle of a message
            self._bury(worker, folder, parts)
            return
        if isinstance(message, Failed):
            error = CannotRun(message.message)
            error.exit_code = message.exit_code
            error.add_note(message.detail)
            raise error
        worker.source = message.number if isinstance(message, SourceStarted) else None
        worker.since = time.monotonic()
        on_message(message)

    def _bury(self, worker: _Worker, folder: JobFolder, parts: Sequence[int]) -> None:
        """Take a worker that ended off the list; if it died, note where, and start another in its place."""
        worker.connection.close()
        worker.process.wait()
        self._workers.remove(worker)
        if worker.process.returncode == 0 and worker.source is None:
            return
        if worker.source is not None:
            folder.add_crash(worker.source)
        else:
            self._idle_deaths += 1
        if self._idle_deaths > _IDLE_DEATHS_ALLOWED:
            raise CannotRun(f"workers die before they reach a source (exit code {worker.process.returncode})")
        self._start(folder, parts)
