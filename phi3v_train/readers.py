"""Processes that read for the one that trains: signals to the whole group leave them at work, its end does not."""

from __future__ import annotations

import multiprocessing.queues
import os
import signal
import sys
import time
from contextlib import contextmanager
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any, NoReturn

from phi3v_train.interruption import Interruption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from torch.utils.data import DataLoader

__all__ = ["begun", "obey_parent_alone", "readers_start", "shielded"]

_WAIT = 1.0
"""Seconds between two looks for the parent."""

_IS_SENDER_KNOWN = hasattr(signal, "sigtimedwait")
"""Whether the system tells who sent a signal; macOS does not, and SIGTERM ends a reader there whoever sends it."""


def begun(loader: DataLoader[Any]) -> Iterator[Any]:
    """Yield a loader's batches; its processes start with the first."""
    batches = iter(loader)
    with readers_start():
        first = next(batches)
    yield first
    yield from batches


def shielded(loader: DataLoader[Any]) -> DataLoader[Any]:
    """Let the processes of a loader obey this one alone."""
    inner = getattr(loader, "base_dataloader", loader)  # accelerate's loader hands everything on to one within
    inner.worker_init_fn = partial(obey_parent_alone, os.getpid(), inner.worker_init_fn)
    return loader


@contextmanager
def readers_start() -> Iterator[None]:
    """Keep signals from the processes that are started in this block; they inherit that none reaches them.

    torchrun, schedulers and a terminal signal whole groups of processes, and a reader that dies of it takes the run
    along before the step is saved.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, Interruption.signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def obey_parent_alone(parent: int, begin: Callable[[int], None] | None, number: int) -> None:
    """Begin a reader: it ends with the process that it reads for, or when SIGTERM comes from that.

    PyTorch's own watch asks who the parent is only after this, and takes another for it if that has gone by then. A
    reader that lives on holds open what it has inherited: to the other processes of the run, its parent seems to be
    there still.

    Args:
        parent: The process that it reads for.
        begin: What else it begins with.
        number: The reader's number.
    """
    if not _IS_SENDER_KNOWN:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, Interruption.signals)
    Thread(target=_end_with, args=(parent,), daemon=True).start()
    multiprocessing.queues.Queue._on_queue_feeder_error = staticmethod(_end_loudly)  # type: ignore[attr-defined]
    sys.excepthook = _report
    if begin is not None:
        begin(number)


def _end_loudly(error: BaseException, batch: object) -> NoReturn:
    """End a reader that cannot hand its batch over, for which the process that trains would wait for ever."""
    sys.stderr.write(f"a process that reads data cannot share a batch: {error}\n")
    sys.stderr.flush()
    os._exit(1)


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Show what happened, unless it is that the process that takes batches has left in the middle of one."""
    if not isinstance(error, EOFError | ConnectionError):
        sys.__excepthook__(kind, error, trace)


def _end_with(parent: int) -> NoReturn:
    while os.getppid() == parent and not _is_asked_by(parent):
        pass
    os._exit(0)


def _is_asked_by(parent: int) -> bool:
    """Wait a while for a signal that asks this process to end, and tell whether it came from the parent."""
    if not _IS_SENDER_KNOWN:
        time.sleep(_WAIT)
        return False
    asked = signal.sigtimedwait([signal.SIGTERM], _WAIT)
    return asked is not None and asked.si_pid == parent
