"""SIGTERM and Ctrl-C during training: finish the step, save, leave."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["Interruption"]


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
