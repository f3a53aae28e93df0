"""The checkpoints of a run: which are whole, which is the newest, and whether a run may go on from one."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phi3v_data.errors import CannotRun
from phi3v_data.fs import sync_folder, write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "FINAL",
    "Checkpoint",
    "checkpoint_folder",
    "complete",
    "find_checkpoint",
    "newest",
    "read_checkpoint",
    "refuse_other_run",
    "remove_checkpoint",
    "remove_old",
    "trainer_state",
]

FINAL = "final"
"""Folder of the trained model inside a run's folder."""

_MARK = "complete.json"
_STATE = "trainer_state.json"
_NAME = re.compile(r"checkpoint-([0-9]+)")


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint.

    Attributes:
        folder: Where it is.
        step: Optimizer steps done.
        identity: The settings that shape the losses, by name; a run goes on only with equal ones.
    """

    folder: Path
    step: int
    identity: Mapping[str, Any]


def checkpoint_folder(output_dir: Path, step: int) -> Path:
    """Return the folder of a step's checkpoint."""
    return output_dir / f"checkpoint-{step}"


def complete(folder: Path, step: int, identity: Mapping[str, Any]) -> None:
    """Mark a checkpoint as whole, once everything in it is on the disk.

    The mark holds the size of each file. A checkpoint without it, or whose files are not of those sizes, is none.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for path in (*files, *{path.parent for path in files}):
        sync_folder(path)
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    mark = {"step": step, "identity": dict(identity), "files": sizes}
    write_atomic(folder / _MARK, json.dumps(mark, indent=2).encode() + b"\n")
    sync_folder(folder.parent)


def remove_checkpoint(folder: Path) -> None:
    """Remove what a folder holds, its mark first, so that at no moment a part of it is taken for whole."""
    (folder / _MARK).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Read a checkpoint's mark and hold its files against it.

    Returns:
        The checkpoint, or None where it is not whole.
    """
    try:
        mark = json.loads((folder / _MARK).read_bytes())
        whole = all((folder / name).stat().st_size == size for name, size in mark["files"].items())
        return Checkpoint(folder, int(mark["step"]), mark["identity"]) if whole else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def newest(output_dir: Path) -> Checkpoint | None:
    """Return the newest whole checkpoint of a run's folder; None where there is none."""
    return next(_newest_first(output_dir), None)


def find_checkpoint(resume: str, output_dir: Path) -> Checkpoint | None:
    """Find what `--resume` names.

    Raises:
        CannotRun: There are checkpoints though none is wanted, or the named folder holds no whole one.
    """
    if resume == "auto":
        return newest(output_dir)
    if resume == "never":
        earlier = [folder for _, folder in _folders(output_dir)] + list(output_dir.glob(FINAL))
        if earlier:
            raise CannotRun(
                f"{earlier[0]} is of an earlier run, which --resume never would mix with a new one: give another "
                "--output_dir, or remove it"
            )
        return None
    found = read_checkpoint(Path(resume))
    if found is None:
        raise CannotRun(f"--resume {resume} is no whole checkpoint: give a folder checkpoint-N that holds {_MARK}")
    latest = newest(output_dir)
    if latest is None or latest.folder.resolve() == found.folder.resolve():
        return found
    if found.folder.resolve().parent == output_dir.resolve() or latest.step <= found.step:
        raise CannotRun(
            f"{latest.folder} is there, and going on from {resume} would mix two runs: give another --output_dir"
        )
    return latest  # the same command has come further than what it began with


def trainer_state(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what the loop has noted of a run: `log_history`, and `max_steps` as the run was planned then."""
    state: dict[str, Any] = json.loads((checkpoint.folder / _STATE).read_bytes())
    return state


def refuse_other_run(checkpoint: Checkpoint, identity: Mapping[str, Any]) -> None:
    """Refuse to go on with settings under which the checkpoint was not made.

    Raises:
        CannotRun: Something differs; the sentence names it.
    """
    before = checkpoint.identity
    if before.get("method") != identity["method"]:
        changes = [f"method {before.get('method')} (now {identity['method']})"]
    else:
        names = dict.fromkeys((*before, *identity))
        changes = [
            f"{name} {before.get(name)} (now {identity.get(name)})"
            for name in names
            if before.get(name) != identity.get(name)
        ]
    if changes:
        raise CannotRun(
            f"{checkpoint.folder} was made with {', '.join(changes)}: give the same again to go on, or another "
            "--output_dir to start anew"
        )


def remove_old(output_dir: Path, keep: int) -> None:
    """Keep the newest whole checkpoints; remove older ones, and parts that killed runs left."""
    kept = [checkpoint.folder for checkpoint, _ in zip(_newest_first(output_dir), range(keep), strict=False)]
    for _, folder in _folders(output_dir):
        if kept and folder not in kept:
            remove_checkpoint(folder)


def _newest_first(output_dir: Path) -> Iterator[Checkpoint]:
    for _, folder in sorted(_folders(output_dir), reverse=True):
        if (checkpoint := read_checkpoint(folder)) is not None:
            yield checkpoint


def _folders(output_dir: Path) -> list[tuple[int, Path]]:
    """Return the folders that are named like checkpoints, each with its step."""
    if not output_dir.is_dir():
        return []
    named = [(_NAME.fullmatch(path.name), path) for path in output_dir.iterdir() if path.is_dir()]
    return [(int(match[1]), path) for match, path in named if match]
