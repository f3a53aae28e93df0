"""Which files below a folder hold rows of chats."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from phi3v_data.convert.patterns import usable_names
from phi3v_data.errors import UsageError
from phi3v_data.paths import name_fault

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["find_rows"]

_SUFFIXES = (".json", ".jsonl")


def find_rows(root: Path, wanted: Sequence[str] = ()) -> dict[str, str]:
    """Return the files of rows below a folder, sorted, and for each what the images of its rows are called.

    That is the file's path without its suffix, unless another file has the same.

    Args:
        root: The folder.
        wanted: Paths below it; without them all JSON files are taken that are not hidden.

    Raises:
        UsageError: A file that is wanted is not there, or there is none.
    """
    for file in wanted:
        if name_fault(file) or not (root / file).is_file():
            raise UsageError(f"--annotations {file} is no file below {root}")
    files = sorted(set(wanted)) or usable_names(_walk(root))
    if not files:
        raise UsageError(f"no rows found in {root}: expected *.parquet, *.json or *.jsonl")
    stems = Counter(map(_stem, files))
    return {file: _stem(file) if stems[_stem(file)] == 1 else file for file in files}


def _walk(root: Path) -> list[str]:
    """Return the JSON files below a folder; it may hold a million pictures too."""
    found = []
    for folder, _, names in os.walk(root):
        found += [Path(folder, name).relative_to(root).as_posix() for name in names if name.endswith(_SUFFIXES)]
    return found


def _stem(file: str) -> str:
    return str(Path(file).with_suffix(""))
