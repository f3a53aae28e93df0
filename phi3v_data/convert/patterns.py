"""Patterns for paths of files, the preferred first: the first with any match takes all it matches."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from phi3v_data.paths import name_fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["choose_by_pattern", "usable_names"]


def usable_names(names: Iterable[str]) -> list[str]:
    """Return the names that are neither hidden nor lead out of a folder, each once, sorted."""
    return sorted({name for name in names if name_fault(name) is None and "/." not in f"/{name}"})


def choose_by_pattern(patterns: Sequence[str], names: Sequence[str]) -> tuple[str, list[str]] | None:
    """Return the first pattern that any name fits, with the names that fit it; in patterns `*` matches '/' too."""
    for pattern in patterns:
        if fitting := [name for name in names if fnmatchcase(name, pattern)]:
            return pattern, fitting
    return None
