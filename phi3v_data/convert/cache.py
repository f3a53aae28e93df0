"""The cache of unpacked archives and linked files: only what is complete is taken, whatever was killed."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from phi3v_data.errors import CannotRun
from phi3v_data.fs import is_disk_full

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Tree", "build", "default_cache", "find", "read_note", "usable_cache", "write_note"]

_ARCHIVES = "archives-1"
"""Raise the number when other members would be unpacked or refused: older trees are then not taken."""


@dataclass(frozen=True, slots=True)
class Tree:
    """An archive's complete unpacked content, or links to files that are kept elsewhere.

    Args:
        root: The folder that holds the members or links.
        sha256: Of the archive, in hex; None for links.
        unsafe: The members that were not unpacked, sorted and escaped.
    """

    root: Path
    sha256: str | None
    unsafe: tuple[str, ...]


def default_cache() -> Path:
    """Return the cache folder: `$PHI3V_CACHE`, else `$XDG_CACHE_HOME/phi3v`, else `~/.cache/phi3v`."""
    if chosen := os.environ.get("PHI3V_CACHE"):
        return Path(chosen).expanduser()
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says to ignore a relative path.
    base = Path(xdg) if xdg.startswith("/") else Path("~/.cache").expanduser()
    return base / "phi3v"


def find(cache: Path, key: str) -> Tree | None:
    """Return the complete tree under a key, or None."""
    entry = cache / _ARCHIVES / key
    note = _read_json(entry / "entry.json")
    if not isinstance(note, dict) or not (entry / "data").is_dir():
        return None
    tree = Tree(entry / "data", note["sha256"], tuple(note["unsafe"]))
    return tree if _reaches_all(tree) else None


def _reaches_all(tree: Tree) -> bool:
    """Tell whether each link leads to a file: they may have been removed where they are kept."""
    return tree.sha256 is not None or all(path.exists() for path in tree.root.rglob("*"))


def build(
    cache: Path, key: str, fill: Callable[[Path], tuple[str | None, tuple[str, ...]]], *, on_wait: Callable[[], None]
) -> Tree:
    """Return the tree under a key, made by `fill` when there is none.

    Args:
        cache: The cache folder; made when absent.
        key: Identity of the content; letters, digits and dashes.
        fill: Unpacks into the empty folder it is given and returns the archive's SHA-256 and the unsafe members, or
            links files into it and returns None and no members.
        on_wait: Called once when another process is making the same tree, before waiting for it.

    Raises:
        CannotRun: The cache cannot be written; nothing half-made is left.
    """
    if tree := find(cache, key):
        return tree
    archives = cache / _ARCHIVES
    with usable_cache(cache):
        archives.mkdir(parents=True, exist_ok=True)
        with _lock(archives / f"{key}.lock", on_wait) as held:
            if tree := find(cache, key):
                return tree
            if held:
                _remove_litter(archives, key)
            return _make(cache, key, fill)


def _make(cache: Path, key: str, fill: Callable[[Path], tuple[str | None, tuple[str, ...]]]) -> Tree:
    """Fill a folder of a name nobody else has, then give it its own name in one step."""
    archives = cache / _ARCHIVES
    temporary = archives / f"{key}.{uuid.uuid4().hex}.tmp"
    try:
        (temporary / "data").mkdir(parents=True)
        sha256, unsafe = fill(temporary / "data")
        note = {"sha256": sha256, "unsafe": list(unsafe)}
        (temporary / "entry.json").write_text(json.dumps(note), encoding="utf-8")
        _rename(temporary, archives / key)
        if tree := find(cache, key):
            return tree
        raise CannotRun(f"{archives / key} is in the way of what belongs there: remove it")
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _rename(temporary: Path, entry: Path) -> None:
    """Rename, unless another run was faster (the file system may have no locks): its tree is as good."""
    try:
        temporary.rename(entry)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


@contextlib.contextmanager
def _lock(path: Path, on_wait: Callable[[], None] | None) -> Iterator[bool]:
    """Hold a file's lock; the system lets go of it when the process dies, however it dies.

    Yields False where it is not held: the file system has none, or `on_wait` is None and another has it.
    """
    with path.open("ab") as file:
        yield _locked(file, on_wait)


def _locked(file: IO[bytes], on_wait: Callable[[], None] | None) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if on_wait is None:
            return False
        on_wait()
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:
        return False
    return True


def _remove_litter(archives: Path, key: str) -> None:
    """Remove what killed runs left; the lock of `key` is held, so whatever carries its name has no owner."""
    shutil.rmtree(archives / key, ignore_errors=True)
    for temporary in archives.glob("*.tmp"):
        other = temporary.name.partition(".")[0]
        if other == key:
            shutil.rmtree(temporary, ignore_errors=True)
            continue
        with _lock(archives / f"{other}.lock", None) as held:
            if held:
                shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def usable_cache(cache: Path) -> Iterator[None]:
    """Turn the system's refusal to write into the cache into one sentence with the way out."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            problem = f"no space is left for the cache folder {cache}"
            raise CannotRun(f"{problem}: free some, or set PHI3V_CACHE to a folder on a roomier disk") from error
        problem = f"the cache folder {cache} cannot be used ({error.strerror or error})"
        raise CannotRun(f"{problem}: set PHI3V_CACHE to a folder you can write") from error


def read_note(cache: Path, name: str) -> dict[str, Any] | None:
    """Return what `write_note` kept under a name, or None."""
    note = _read_json(cache / "notes" / f"{name}.json")
    return note if isinstance(note, dict) else None


def write_note(cache: Path, name: str, note: dict[str, Any]) -> None:
    """Keep a small JSON object under a name, in one step."""
    path = cache / "notes" / f"{name}.json"
    with usable_cache(cache):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{name}.{uuid.uuid4().hex}.tmp")
        try:
            temporary.write_text(json.dumps(note), encoding="utf-8")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
