"""The layout of the original NLVR2: a file of JSON lines for each split, and pictures that are found by their names."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from phi3v_data.convert.annotations import bases
from phi3v_data.errors import SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["SPLITS", "find_annotations", "find_pictures", "identify", "set_of"]

SPLITS = {"train": "train", "dev": "val", "test1": "test", "test2": "test2"}
"""The splits as the original names them, and as they are called here."""

_IDENTIFIER = re.compile(r"(?P<pair>(?P<split>train|dev|test1|test2)-\d+-\d+)-\d+", re.ASCII)
_PICTURE = re.compile(r"(?P<stem>(train|dev|test1|test2)-\d+-\d+-img[01])\.(png|jpe?g)", re.ASCII | re.IGNORECASE)
_FOLDERS = ("", "data", "nlvr2/data")


def find_annotations(root: Path) -> dict[str, Path]:
    """Return the file of each split that is there, by the original's name of the split.

    Raises:
        UsageError: There is none.
    """
    folders = [root / base / folder for base in bases(root) for folder in _FOLDERS]
    folders += sorted(root.glob("*/nlvr2/data"))  # a clone of its repository, beside the pictures
    places = {name: [folder / f"{name}.json" for folder in folders] for name in SPLITS}
    found = {name: next((path for path in paths if path.is_file()), None) for name, paths in places.items()}
    if not any(found.values()):
        raise UsageError(
            f"no NLVR2 found in {root}: expected train.json, dev.json or test1.json, there or in nlvr2/data, with the "
            "pictures anywhere below, or Parquet files"
        )
    return {name: path for name, path in found.items() if path is not None}


def find_pictures(root: Path) -> dict[str, str]:
    """Return where each picture lies below a folder, by its name without suffix; of two, the first in sorted order."""
    found: dict[str, str] = {}
    for folder, files in _walk(root):
        base = os.path.relpath(folder, root)
        for name in files:
            if match := _PICTURE.fullmatch(name):
                found.setdefault(match["stem"], name if base == "." else f"{base}/{name}")
    return found


def _walk(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield every folder below one with its files, sorted; links to folders are followed, but never in circles."""
    seen: set[str] = set()
    for folder, below, files in os.walk(root, followlinks=True):
        seen.add(os.path.realpath(folder))
        below[:] = sorted(name for name in below if os.path.realpath(f"{folder}/{name}") not in seen)
        yield folder, sorted(files)


def identify(value: object, split: str | None = None) -> tuple[str, str]:
    """Return an identifier, `<split>-<image set>-<pair>-<sentence>`, and its pair, which is all but the sentence.

    Args:
        value: What stands in the data.
        split: The original's name of the split it has to be of, where that is known.

    Raises:
        SourceError: It is no identifier, or of another split.
    """
    match = _IDENTIFIER.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise SourceError("bad_id", f"the identifier is {value!r}, expected one like dev-850-0-0")
    if split is not None and match["split"] != split:
        raise SourceError("unknown_split", f"the identifier {match[0]} is not of the split {split}, whose file this is")
    return match[0], match["pair"]


def set_of(pair: str) -> str:
    """Return the image set of a pair."""
    return pair.rpartition("-")[0]
