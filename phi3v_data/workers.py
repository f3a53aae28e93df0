"""Tasks done by worker processes, or by this one; their results in the order of the tasks either way."""

from __future__ import annotations

import signal
import sys
from collections import deque
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from phi3v_data.errors import CannotRun
from phi3v_data.processes import start_process

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

__all__ = ["Task", "Workers", "main"]

_QUEUED = 2  # tasks of a worker: the one it does and the one it goes on with while its result is taken
_AHEAD = 4  # tasks for each worker that may be done before the oldest one is


@dataclass(frozen=True)
class Task:
    """Something to do elsewhere.

    Args:
        work: A function that can be pickled by its name.
        argument: What it is given.
    """

    work: Callable[[Any], Any]
    argument: Any


@dataclass(frozen=True)
class _Raised:
    error: Exception


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    connection: Connection
    given: deque[int] = field(default_factory=deque)


class Workers:
    """Does tasks; a context manager, at whose end no process is left.

    Args:
        count: How many processes; 1 does everything in this one.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._workers: list[_Worker] = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.wait()
            worker.connection.close()

    def ordered(self, steps: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Yield every step in order, and with a `Task` its result; steps are taken a little ahead of what is yielded.

        Raises:
            CannotRun: A process died.
            Exception: What a task raised.
        """
        if self._count == 1:
            yield from ((step, step.work(step.argument) if isinstance(step, Task) else None) for step in steps)
            return
        waiting: dict[int, Any] = {}
        results: dict[int, Any] = {}
        numbered = enumerate(steps)
        ahead, oldest, more = 0, 0, True
        while more or waiting:
            while more and ahead - oldest < _AHEAD * self._count and (worker := self._free()) is not None:
                item = next(numbered, None)
                if item is None:
                    more = False
                    break
                number, step = item
                waiting[number], ahead = step, number + 1
                if isinstance(step, Task):
                    self._give(worker, number, step)
                else:
                    results[number] = None
            while oldest in results:
                yield waiting.pop(oldest), results.pop(oldest)
                oldest += 1
            if waiting:
                results |= self._take()

    def _free(self) -> _Worker | None:
        """Return a worker that can be given a task, a new one as long as there are fewer than allowed."""
        if all(worker.given for worker in self._workers) and len(self._workers) < self._count:
            self._workers.append(_Worker(*start_process(__name__)))
        worker = min(self._workers, key=lambda worker: len(worker.given))
        return worker if len(worker.given) < _QUEUED else None

    def _give(self, worker: _Worker, number: int, task: Task) -> None:
        worker.given.append(number)
        try:
            worker.connection.send(task)
        except OSError:  # its end is noticed when its results are waited for
            return

    def _take(self) -> dict[int, Any]:
        """Wait for results; return each by the number of its task."""
        results: dict[int, Any] = {}
        busy = {worker.connection: worker for worker in self._workers if worker.given}
        for connection in wait(list(busy)):
            worker = busy[connection]  # type: ignore[index]
            try:
                result = worker.connection.recv()
            except (EOFError, OSError):
                code = worker.process.wait()
                why = signal.Signals(-code).name if code < 0 else f"exit code {code}"
                raise CannotRun(
                    f"a worker process died ({why}), probably for lack of memory: give fewer --workers"
                ) from None
            if isinstance(result, _Raised):
                raise result.error
            results[worker.given.popleft()] = result
        return results


def main() -> None:
    """Run a worker as a process: does the tasks that come through the pipe it was given, until that ends."""
    connection = Connection(int(sys.argv[1]))
    try:
        while True:
            task = connection.recv()
            try:
                result = task.work(task.argument)
            except Exception as error:
                result = _Raised(error)
            connection.send(result)
    except (EOFError, ConnectionError):
        return
