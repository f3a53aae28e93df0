"""Files and folders that appear whole or not at all, and what a full disk looks like."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["explain_os_error", "is_disk_full", "sync_folder", "write_atomic", "write_folder"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def is_disk_full(error: OSError) -> bool:
    """Return whether a write failed for want of space: disk full, quota reached, file-size limit."""
    return error.errno in _FULL


def explain_os_error(error: OSError, folder: Path) -> str:
    """Return one sentence for an operating-system error met while writing into a folder."""
    if is_disk_full(error):
        return f"no space left for {folder}: free some space and run the same command again"
    return f"{error.filename or folder}: {error.strerror or error}"


def write_atomic(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Write a file, whole or block by block, so that a reader finds the old content or the new, never a part.

    That holds after a power cut too.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def write_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path` that takes its place, whole, when the block has filled it without an error.

    What was at `path` stays until then, and is gone afterwards: whether it may be is for the caller to decide.
    """
    path = path.resolve()
    new, old = (path.with_name(f".{path.name}.{state}") for state in ("new", "old"))
    for left_behind in (new, old):  # by a run that was killed
        shutil.rmtree(left_behind, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        yield new
        for entry in (*new.rglob("*"), new):
            sync_folder(entry)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    if path.exists():
        path.rename(old)
    new.rename(path)
    sync_folder(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Make renames and new names in a folder survive a power cut; of a file, its content."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
