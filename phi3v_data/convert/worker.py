"""A worker: claims parts one after the other and converts them, until none is left.

It knows nothing but the output folder. So any process on any machine that sees the folder can be one.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, NoReturn

from phi3v_data.convert.faults import checked_examples
from phi3v_data.convert.job import Claims, Job
from phi3v_data.convert.part_writers import JsonlPartWriter, TarPartWriter
from phi3v_data.convert.registry import PLUGIN_FAULTS, describe
from phi3v_data.errors import CannotRun, Phi3VError, SourceError, UsageError
from phi3v_data.fs import explain_os_error, is_disk_full

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import FrameType

    from phi3v_data.convert.plan import PlannedSource
    from phi3v_data.convert.writers import PartWriter

__all__ = ["CRASHES_ALLOWED", "Failed", "Message", "PartDone", "SourceStarted", "convert_parts", "main"]

CRASHES_ALLOWED = 1
"""A source whose worker died more often than this is rejected."""


@dataclass(frozen=True, slots=True)
class SourceStarted:
    """The worker begins with a source: if it dies now, this is the one to blame."""

    number: int


@dataclass(frozen=True, slots=True)
class PartDone:
    """A part is committed: how many sources it held, and how many of them were rejected."""

    sources: int
    rejects: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The run cannot go on, whatever the source: no space, a missing extra, a fault of our own."""

    exit_code: int
    message: str
    detail: str = ""


Message = SourceStarted | PartDone | Failed


def main() -> None:
    """Run a worker as a process: takes its task from the pipe it was given, and sends a `Message` for every step."""
    connection = Connection(int(sys.argv[1]))
    try:
        out_dir, parts = connection.recv()
    except EOFError:
        return
    threading.Thread(target=_end_with_parent, args=(connection,), daemon=True).start()
    try:
        failed = _convert_or_fail(out_dir, parts, connection.send)
        if failed:
            connection.send(failed)
    except (ConnectionError, _Stopped):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(1)  # whoever starts again redoes the part


def _convert_or_fail(out_dir: Path, parts: Sequence[int], send: Callable[[Message], None]) -> Failed | None:
    """Convert; SIGTERM interrupts just that. Return why the run cannot go on, if so."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        convert_parts(out_dir, parts, send)
    except ConnectionError:
        raise
    except Phi3VError as error:
        return Failed(error.exit_code, str(error))
    except OSError as error:
        return Failed(3, explain_os_error(error, out_dir))
    except Exception as error:
        message = f"internal error: {type(error).__name__}: {error}; run again with --debug to see where"
        return Failed(3, message, traceback.format_exc())
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what is left is to exit
    return None


class _Stopped(BaseException):
    """SIGTERM arrived: an exception, so that a part removes what it has half done."""


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise _Stopped


def _end_with_parent(connection: Connection) -> None:
    """Wait for the pipe to close, which only the parent's death brings about, and leave no orphan behind."""
    connection.poll(None)
    os._exit(1)


def convert_parts(out_dir: Path, parts: Sequence[int], send: Callable[[Message], None]) -> None:
    """Convert those of the parts that no other worker does; on return all are done."""
    job = Job(out_dir)
    claims = Claims(job.folder.claims_file)
    for wait in (False, True):  # first what is free, then what others hold: they may die before it is done
        for part in parts:
            if job.folder.part(part).exists():
                continue
            with claims.claim(part, wait=wait) as ours:
                if ours and not job.folder.part(part).exists():
                    send(_convert_part(job, part, send))
    claims.close()


def _convert_part(job: Job, part: int, send: Callable[[Message], None]) -> PartDone:
    open_writer = JsonlPartWriter if job.file.output is None or job.file.output.format == "jsonl" else TarPartWriter
    with open_writer(job.folder.out_dir, job.folder.part(part), job.file.converter) as writer:
        planned_sources, crashes = job.plan.part(part), job.folder.crashes()
        for planned in planned_sources:
            send(SourceStarted(planned.number))
            try:
                _convert_source(job, planned, crashes.get(planned.number, 0), writer)
            except SourceError as error:
                writer.reject(planned, str(error.code), str(error.message))  # a converter may have raised it
        return PartDone(len(planned_sources), writer.commit().rejects)


def _convert_source(job: Job, planned: PlannedSource, crashes: int, writer: PartWriter) -> None:
    if planned.reject is not None:
        raise SourceError(planned.reject.code, planned.reject.message)
    if crashes > CRASHES_ALLOWED:
        raise SourceError("worker_died", "it killed its worker, or hung, more than once; check the file")
    try:
        examples = checked_examples(job.converter.convert(planned.source))
    except (SourceError, CannotRun, UsageError):
        raise
    except OSError as error:
        if is_disk_full(error):
            raise
        raise SourceError("unreadable", f"it cannot be read: {error.strerror or error}") from error
    except MemoryError:
        raise SourceError("out_of_memory", "converting it needs more memory than there is") from None
    except PLUGIN_FAULTS as error:  # a converter is anyone's code: its fault costs one source, not the run
        raise SourceError("converter_error", f"the converter failed: {describe(error)}") from error
    if not examples:
        raise SourceError("no_examples", "the converter made no example from it")
    writer.add(planned, examples)
