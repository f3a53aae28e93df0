"""Patterns for paths of files, the preferred first: the first with any match takes all it matches."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from phi3v_data.paths import name_fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["choose_by_pattern", "configurations", "usable_names"]

_NO_CONFIGURATION = re.compile(r"data|(partial-)?(train|validation|valid|val|dev|test)\w*")


def usable_names(names: Iterable[str]) -> list[str]:
    """Return the names that are neither hidden nor lead out of a folder, each once, sorted."""
    return sorted({name for name in names if name_fault(name) is None and "/." not in f"/{name}"})


def choose_by_pattern(patterns: Sequence[str], names: Sequence[str]) -> tuple[str, list[str]] | None:
    """Return the first pattern that any name fits, with the names that fit it; in patterns `*` matches '/' too."""
    for pattern in patterns:
        if fitting := [name for name in names if fnmatchcase(name, pattern)]:
            return pattern, fitting
    return None


def configurations(pattern: str, names: Sequence[str]) -> list[str]:
    """Return the configurations whose files a pattern took, by their folders; one where the pattern names its folder.

    Folders around all of them do not count. `data`, a split's folder and no folder at all are one configuration.
    """
    if not pattern.startswith("*"):
        return [pattern.partition("/")[0]]
    folders = [name.split("/")[:-1] for name in names]
    while all(len(folder) > 1 for folder in folders) and len({folder[0] for folder in folders}) == 1:
        folders = [folder[1:] for folder in folders]
    tops = (folder[0] if folder else "data" for folder in folders)
    return sorted({"data" if _NO_CONFIGURATION.fullmatch(top) else top for top in tops})
