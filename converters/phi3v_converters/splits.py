"""Names of splits as people write them, in the names of folders and files and in the cells of a table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["in_order", "known_split", "split_in_path", "split_named"]

_KNOWN = {
    "train": "train",
    "training": "train",
    "val": "val",
    "validation": "val",
    "valid": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
_ORDER = ("train", "val", "test")
_IN_PATH = re.compile(rf"(?<![a-z])({'|'.join(sorted(_KNOWN, key=len, reverse=True))})(?![a-z])")
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")


def known_split(name: str) -> str | None:
    """Return the split that a folder's name means, such as val of `Validation`, or None."""
    return _KNOWN.get(name.lower())


def split_in_path(path: str) -> str:
    """Return the split that the path of a file names, such as val of `animals_dev.csv`; train where it names none."""
    found = _IN_PATH.findall(path.lower())
    return _KNOWN[found[-1]] if found else "train"


def split_named(text: str) -> str | None:
    """Return the split that a text names, a known one or one of its own, or None where it cannot be a split's name."""
    name = text.lower().replace("_", "-")  # '_' parts the names of a dataset's files
    return known_split(name) or (name if _NAME.fullmatch(name) else None)


def in_order(splits: Iterable[str]) -> list[str]:
    """Return splits without repetition: train, val, test, and the others by name."""
    rank = {name: position for position, name in enumerate(_ORDER)}
    return sorted(set(splits), key=lambda name: (rank.get(name, len(rank)), name))
