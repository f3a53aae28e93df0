"""Files that appear whole or not at all, folders that change as one, and what a full disk looks like."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from contextlib import contextmanager, suppress
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = [
    "FolderHeld",
    "explain_os_error",
    "hold_folder",
    "is_disk_full",
    "sha256_of",
    "sync_folder",
    "write_atomic",
    "write_folder",
]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_WORK = ".phi3v-writing"

_HELD: set[int] = set()
"""Descriptors of the folders that this process holds."""


class FolderHeld(BlockingIOError):
    """Another process holds a folder."""


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
def write_folder(path: Path, *, last: str) -> Iterator[Path]:
    """Yield a folder inside `path` whose content replaces that of `path` when the block ends without an error.

    `last` is the file without which the others are nothing. A reader finds it with all that was there, or with all
    that is new; during the moves it is missing. An error leaves what was there. A kill or a power cut may leave a part,
    without `last`, and the rest in the hidden folder: the next call puts back what was there before it does anything
    else. `path` itself stays the folder that it is, so it may be a mount point or the folder that a shell is in.

    Raises:
        FolderHeld: Another process is writing the folder.
        OSError: The system refuses something.
    """
    work = path / _WORK
    with hold_folder(path, without_locks=True):
        try:
            _put_back(path, last)  # what a killed run left in pieces
            work.mkdir(exist_ok=True)
            (work / "new").mkdir()
            yield work / "new"
            _move_up(path, last)
        finally:
            _put_back(path, last)


@contextmanager
def hold_folder(path: Path, *, without_locks: bool = False) -> Iterator[None]:
    """Make a folder and hold it alone; the kernel lets go of it when the process ends, however it ends.

    Processes that are forked meanwhile do not hold it: they may outlive this one for a while. A folder that was made
    here and is still empty at the end is removed.

    Args:
        path: The folder.
        without_locks: Whether to go on where the file system has no locks on folders, such as NFS: two runs at once
            may then both fail.

    Raises:
        FolderHeld: Another process holds it.
        OSError: The system refuses something.
    """
    made = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDONLY)
    _HELD.add(descriptor)
    try:
        _lock(descriptor, path, without_locks)
        try:
            yield
        finally:
            if made:
                with suppress(OSError):  # it holds something, as it should
                    path.rmdir()
    finally:
        if descriptor in _HELD:
            _HELD.remove(descriptor)
            os.close(descriptor)


def _let_go() -> None:
    """Close, in a process just forked, what its parent holds."""
    while _HELD:
        os.close(_HELD.pop())


os.register_at_fork(after_in_child=_let_go)


def _lock(descriptor: int, path: Path, without_locks: bool) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        sentence = "another run is writing there, wait for it or choose another folder"
        raise FolderHeld(error.errno, sentence, str(path)) from None
    except OSError:
        if not without_locks:
            raise


def _move_up(path: Path, last: str) -> None:
    """Replace the content of a folder by that of its `new`: `last` goes first and comes last."""
    new, old = path / _WORK / "new", path / _WORK / "old"
    for entry in chain(new.rglob("*"), [new]):
        sync_folder(entry)
    old.mkdir()
    names = [entry.name for entry in _order(new, last)]
    write_atomic(path / _WORK / "names", json.dumps(names).encode())
    for entry in reversed(_order(path, last)):
        entry.rename(old / entry.name)
    for name in names:
        (new / name).rename(path / name)
    sync_folder(path)


def _put_back(path: Path, last: str) -> None:
    """Undo `_move_up` unless it has come to its end, which an empty `new` tells; then remove the hidden folder.

    Every step may be the last one before a kill, and is then repeated.
    """
    new, old, names = (path / _WORK / name for name in ("new", "old", "names"))
    if new.is_dir() and any(new.iterdir()):
        for name in map(os.path.basename, json.loads(names.read_bytes()) if names.exists() else ()):
            if (path / name).exists() and not (new / name).exists():
                (path / name).rename(new / name)
        names.unlink(missing_ok=True)  # from here on such a name in `path` is one of the old
        for entry in _order(old, last) if old.is_dir() else ():
            entry.rename(path / entry.name)
        sync_folder(path)
    shutil.rmtree(path / _WORK, ignore_errors=True)


def _order(folder: Path, last: str) -> list[Path]:
    """Return what a folder holds besides the hidden one, `last` at the end."""
    entries = (entry for entry in folder.iterdir() if entry.name != _WORK)
    return sorted(entries, key=lambda entry: (entry.name == last, entry.name))


def sync_folder(folder: Path) -> None:
    """Make renames and new names in a folder survive a power cut; of a file, its content."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
