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
    from collections.abc import Callable, Iterator, Sequence

__all__ = [
    "as_one",
    "first_said",
    "meet",
    "on_main",
    "shared",
    "speak_in_turn",
    "wait_for_all",
]

T = TypeVar("T")

_LONG = timedelta(days=1)
_HEAD_START = 10.0
_LOST = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL", "Socket")


class _Together:
    """The group in which processes wait for each other longer than a collective operation may take."""

    group: Any = None


def on_main(work: Callable[[], T]) -> T:
    """Do something in the main process while the others wait, however long, and hand all of them what it returns.

    Raises:
        Phi3VError: As it was raised in the main process; the others raise its sentence.
    """
    from torch import distributed

    if not _are_several():
        return work()
    result: list[Any] = [None, None]
    fault: Phi3VError | None = None
    if distributed.get_rank() == 0:
        try:
            result[0] = work()
        except Phi3VError as error:
            fault, result[1] = error, str(error)
    distributed.broadcast_object_list(result, src=0, group=_patient_group())
    if result[1] is not None:
        raise fault or CannotRun(result[1])
    return result[0]


def first_said(sentences: Sequence[str]) -> str:
    """Return the first sentence that any process has; one of them has one."""
    return next(sentence for said in _gathered(list(sentences)) for sentence in said)


def shared(work: Callable[[], T]) -> list[T]:
    """Do something in every process, and hand all of them what each returns, by rank.

    Raises:
        CannotRun: The sentence of the first process that failed, in all of them.
    """
    own: T | None = None
    fault: Phi3VError | None = None
    try:
        own = work()
    except Phi3VError as error:
        fault = error
    results = _gathered((own, str(fault) if fault else None))
    if sentences := [sentence for _, sentence in results if sentence is not None]:
        raise CannotRun(sentences[0]) from fault
    return [result for result, _ in results]  # type: ignore[misc]


def _gathered(own: T) -> list[T]:
    """Return what each process brings, by rank, to all of them, however long some take."""
    from torch import distributed

    if not _are_several():
        return [own]
    all_of_them: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(all_of_them, own, group=_patient_group())
    return all_of_them


def meet() -> None:
    """Let processes that torchrun has started find each other, for what is no training run."""
    from torch import distributed

    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not distributed.is_initialized():
        distributed.init_process_group("gloo", timeout=_LONG)


def wait_for_all() -> None:
    """Wait until every process has come here, however long that takes: checkpoints of tens of gigabytes are written."""
    from torch import distributed

    if _are_several():
        distributed.barrier(group=_patient_group())


def _part() -> None:
    """End what `on_main` and the loop have begun among the processes."""
    from torch import distributed

    _Together.group = None
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _are_several() -> bool:
    from torch import distributed

    return distributed.is_initialized() and distributed.get_world_size() > 1


def _patient_group() -> Any:
    from torch import distributed

    if _Together.group is None:
        _Together.group = distributed.new_group(backend="gloo", timeout=_LONG)
    return _Together.group


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


@contextmanager
def as_one() -> Iterator[None]:
    """Run what processes do together: say what a lost reader or a lost process means, and part at the end.

    Raises:
        CannotRun: A process that reads, or another of those together, has ended.
    """
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" in str(error):
            raise CannotRun(
                "a process that reads data has ended, most likely for want of memory: give --num_workers 0, or more "
                "shared memory (/dev/shm)"
            ) from error
        if not _is_lost_contact(error):
            raise
        raise CannotRun("another process of this run has ended, and its own lines say why") from error
    finally:
        _part()


def _is_lost_contact(error: BaseException) -> bool:
    """Tell whether a process could not reach another one, which has ended and said why."""
    from torch import distributed

    if not distributed.is_initialized():
        return False
    return isinstance(error, distributed.DistError) or any(sign in str(error) for sign in _LOST)
