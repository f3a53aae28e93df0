"""Processes that train together: what the main one has found out, all of them know."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from torch import distributed

if TYPE_CHECKING:
    from collections.abc import Callable

    from phi3v_train.runtime import Processes

__all__ = ["let_main_speak", "on_main"]

T = TypeVar("T")

_LONG = timedelta(days=1)
_TIME_TO_SPEAK = 60.0


def on_main(work: Callable[[], T]) -> T:
    """Do something in the main process while the others wait, and hand all of them what it returns.

    It may take longer than a collective operation may: tens of millions of records are looked through.
    """
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return work()
    group = distributed.new_group(backend="gloo", timeout=_LONG)
    result: list[Any] = [work() if distributed.get_rank() == 0 else None]
    distributed.broadcast_object_list(result, src=0, group=group)
    distributed.destroy_process_group(group)
    return result[0]


def let_main_speak(processes: Processes) -> None:
    """Wait in all processes of a node but its first, which meets the same error and reports it for them.

    torchrun ends them as soon as that one has ended.
    """
    if processes.local_rank > 0:
        time.sleep(_TIME_TO_SPEAK)
