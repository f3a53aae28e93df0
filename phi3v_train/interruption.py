"""SIGTERM and Ctrl-C during training: finish the step, save, leave."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["Interruption", "obey_parent_alone", "readers_start"]


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


def obey_parent_alone(begin: Callable[[int], None] | None, number: int) -> None:
    """Begin a reader: SIGTERM ends it when it comes from the process that it reads for.

    Args:
        begin: What else it begins with.
        number: The reader's number.
    """
    if hasattr(signal, "sigwaitinfo"):
        Thread(target=_wait_for_parent, daemon=True).start()
    else:  # macOS does not tell who sent it
        signal.pthread_sigmask(signal.SIG_UNBLOCK, Interruption.signals)
    if begin is not None:
        begin(number)


def _wait_for_parent() -> None:
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != os.getppid():
        pass
    os._exit(0)


class Interruption:
    """Catches the first signal for the loop to act on; a second one acts at once, as it would have.

    All processes stop at the same step: whichever got a signal tells the others.
    """

    signals = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        self._before = {number: signal.signal(number, self._catch) for number in self.signals}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _catch(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        signal.signal(number, self._before[number])

    def agreed(self, device: torch.device) -> int | None:
        """Return the signal that some process got, the same on all of them; each must ask at the same step."""
        if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
            number = torch.tensor(self.number or 0, device=device)
            distributed.all_reduce(number, op=distributed.ReduceOp.MAX)
            self.number = int(number) or None
        return self.number
