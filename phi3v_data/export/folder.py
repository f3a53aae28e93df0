"""The folder of an export: which may be written, and the file by which it is known as one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from phi3v_data.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.reader import Dataset

__all__ = ["MARKER", "refuse_folder", "refuse_overlap", "write_marker"]

MARKER = ".phi3v-export.json"
"""Says what an export holds, and comes last: without it nothing is whole. Hidden, so that nobody takes it for rows."""


def refuse_overlap(dataset: Dataset, out_dir: Path) -> None:
    """Refuse to write onto a dataset, into it or around it.

    Raises:
        UsageError: The folders are not apart.
    """
    target = out_dir.resolve()
    for path in (dataset.path.resolve(), dataset.images.root.resolve()):
        if target == path or target in path.parents or path in target.parents:
            raise UsageError(f"{out_dir} and the dataset {dataset.path} are not apart: choose another --out_dir")


def refuse_folder(out_dir: Path, work: Path, *, overwrite: bool) -> None:
    """Refuse a folder that holds anything, unless it is an export that is to be replaced.

    Args:
        out_dir: The folder.
        work: The folder inside it where the new export is being made.
        overwrite: Whether an export may be replaced.

    Raises:
        UsageError: It holds an export, or something that no export has written.
    """
    there = {entry.name for entry in out_dir.iterdir()} - {work.relative_to(out_dir).parts[0]}
    if not there:
        return
    ours = _entries(out_dir / MARKER)
    if ours is None:
        raise UsageError(f"{out_dir} is not empty and holds no export: choose another --out_dir")
    if foreign := sorted(there - ours):
        raise UsageError(f"{out_dir} holds {foreign[0]!r} beside an export: move it away, or choose another --out_dir")
    if not overwrite:
        raise UsageError(f"{out_dir} holds an export: replace it with --overwrite, or choose another --out_dir")


def write_marker(folder: Path, document: dict[str, Any]) -> None:
    """Write what an export holds, and the names of its files and folders."""
    names = sorted(entry.name for entry in folder.iterdir())
    with (folder / MARKER).open("x", encoding="utf-8") as file:
        file.write(json.dumps({**document, "files": names}, indent=2, ensure_ascii=False) + "\n")


def _entries(marker: Path) -> set[str] | None:
    """Return the names that an export has written into its folder, or None where there is no export."""
    try:
        return {MARKER, *map(str, json.loads(marker.read_bytes())["files"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None
