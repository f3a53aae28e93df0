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

__all__ = ["check_named", "find_rows", "is_parquet", "json_files", "refuse_both"]

_SUFFIXES = (".json", ".jsonl")
_NO_ROWS = frozenset(  # what datasets, models and this library write beside rows
    {
        "config.json",
        "dataset_dict.json",
        "dataset_info.json",
        "dataset_infos.json",
        "manifest.json",
        "package.json",
        "state.json",
    }
)


def find_rows(root: Path, wanted: Sequence[str] = ()) -> dict[str, str]:
    """Return the files of rows below a folder, sorted, and for each what the images of its rows are called.

    That is the file's path without its suffix, unless another file has the same.

    Args:
        root: The folder.
        wanted: Paths below it; without them `json_files`.

    Raises:
        UsageError: There is none.
    """
    files = sorted(set(wanted)) or json_files(root)
    if not files:
        raise UsageError(f"no rows found in {root}: expected *.parquet, *.json or *.jsonl")
    stems = Counter(map(_stem, files))
    return {file: _stem(file) if stems[_stem(file)] == 1 else file for file in files}


def json_files(root: Path) -> list[str]:
    """Return the JSON files below a folder that may hold rows, sorted: none that is hidden or known to hold others."""
    found = []
    for folder, _, names in os.walk(root):  # it may hold a million pictures too
        rows = (name for name in names if name.lower().endswith(_SUFFIXES) and name.lower() not in _NO_ROWS)
        found += [Path(folder, name).relative_to(root).as_posix() for name in rows]
    return usable_names(found)


def is_parquet(file: str) -> bool:
    """Return whether a file's name says that it is Parquet."""
    return file.lower().endswith(".parquet")


def check_named(root: Path, wanted: Sequence[str]) -> None:
    """Refuse files that are not there, or not below the folder.

    Raises:
        UsageError: One of them is not.
    """
    for file in wanted:
        if name_fault(file) or not (root / file).is_file():
            raise UsageError(f"--annotations {file} is no file below {root}")


def refuse_both(parquet: Sequence[str], others: Sequence[str]) -> None:
    """Refuse rows in Parquet and in JSON at once, of which only one kind would be read.

    Raises:
        UsageError: There are both.
    """
    if parquet and others:
        both = f"in Parquet ({parquet[0][:200]}) and in JSON ({others[0][:200]})"
        raise UsageError(f"rows are {both}: name files of one kind with --annotations")


def _stem(file: str) -> str:
    return str(Path(file).with_suffix(""))
