"""Processes that train together: what the main one finds out all of them know, and one speaks of what befell all."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from phi3v_data.errors import CannotRun, Phi3VError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["is_lost_contact", "on_main", "speak_in_turn"]

T = TypeVar("T")

_LONG = timedelta(days=1)
_HEAD_START = 10.0
_LOST = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL", "Socket")


def on_main(work: Callable[[], T]) -> T:
    """Do something in the main process while the others wait, and hand all of them what it returns.

    It may take longer than a collective operation may: tens of millions of records are looked through.

    Raises:
        Phi3VError: As it was raised in the main process; the others raise its sentence.
    """
    from torch import distributed

    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return work()
    group = distributed.new_group(backend="gloo", timeout=_LONG)
    result: list[Any] = [None, None]
    fault: Phi3VError | None = None
    if distributed.get_rank() == 0:
        try:
            result[0] = work()
        except Phi3VError as error:
            fault, result[1] = error, str(error)
    distributed.broadcast_object_list(result, src=0, group=group)
    distributed.destroy_process_group(group)
    if result[1] is not None:
        raise fault or CannotRun(result[1])
    return result[0]


@contextmanager
def speak_in_turn() -> Iterator[None]:
    """Let the first process of a node report an error that all of them meet.

    The others hold theirs back for a while: torchrun ends them as soon as one process has ended, and what only they
    know is said after that.
    """
    try:
        yield
    except (Phi3VError, click.ClickException, OSError, RuntimeError):
        if int(os.environ.get("LOCAL_RANK", "0")) > 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            time.sleep(_HEAD_START)
        raise


def is_lost_contact(error: BaseException) -> bool:
    """Tell whether a process could not reach another one, which has ended and said why."""
    from torch import distributed

    if not distributed.is_initialized():
        return False
    return isinstance(error, distributed.DistError) or any(sign in str(error) for sign in _LOST)
