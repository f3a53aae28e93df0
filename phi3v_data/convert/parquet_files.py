"""Which Parquet files a folder holds, what each one is called, and what split it is of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xxhash import xxh3_64_hexdigest

from phi3v_data.convert.patterns import choose_by_pattern, configurations, usable_names
from phi3v_data.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["by_split", "find_parquet", "fingerprint", "shard_name"]

_KNOWN = r"(?P<split>(?:train|validation|valid|val|dev|test)\w*)"
_NAMES = (  # of a path, in the order in which they are tried
    re.compile(rf".+/(?:partial-)?{_KNOWN}/\d{{4,}}\.parquet", re.ASCII | re.IGNORECASE),
    re.compile(rf"(?:.+/)?{_KNOWN}-\d{{5}}-of-\d{{5}}(?:-[0-9a-f]{{16}})?\.parquet", re.ASCII | re.IGNORECASE),
    re.compile(r".*(?<![a-z])(?P<split>train|validation|valid|val|dev|test)(?![a-z]).*", re.ASCII | re.IGNORECASE),
)
_SPLITS = {"validation": "val", "valid": "val", "dev": "val"}
_TAIL = 1 << 16


def find_parquet(root: Path, patterns: Sequence[str]) -> dict[str, list[str]]:
    """Return the Parquet files below a folder that the patterns choose, sorted, by the split each one's path names.

    Such paths are `data/train-00000-of-00002.parquet`, `default/test1/0000.parquet` and `default/nlvr2-dev.parquet`;
    `validation`, `valid` and `dev` become `val`, and a path that names no split is `train`.

    Raises:
        UsageError: They are of several configurations.
    """
    files = (path.relative_to(root).as_posix() for path in root.rglob("*.parquet") if path.is_file())
    pattern, chosen = choose_by_pattern(patterns, usable_names(files)) or ("", [])
    if len(several := configurations(pattern, chosen)) > 1:
        raise UsageError(f"{root} holds several datasets ({', '.join(several)[:200]}): give the folder of one of them")
    return by_split(chosen)


def by_split(files: Sequence[str]) -> dict[str, list[str]]:
    """Return files by the split that each one's path names: train, val, test, and then others."""
    order = {name: rank for rank, name in enumerate(("train", "val", "test"))}
    splits = sorted(set(map(_split_of, files)), key=lambda name: (order.get(name, len(order)), name))
    return {split: [file for file in files if _split_of(file) == split] for split in splits}


def _split_of(file: str) -> str:
    match = next(filter(None, (pattern.fullmatch(file) for pattern in _NAMES)), None)
    name = match["split"].lower().replace("_", "-") if match else "train"  # '_' parts the names of a dataset's files
    return _SPLITS.get(name, name)


def fingerprint(path: Path) -> str:
    """Return what tells a Parquet file from other versions of it: its size, and a hash of its end with the footer."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _TAIL))
        return f"{size}-{xxh3_64_hexdigest(file.read())}"


def shard_name(file: str) -> str:
    """Return a short name for a Parquet file: that of `nlvr2/train-00003-of-00017-4a7d4eddee81f7ac.parquet` is
    `train-00003`.
    """
    name = file.rpartition("/")[2].removesuffix(".parquet")
    return re.sub(r"(-of-\d{5})?(-[0-9a-f]{16})?$", "", name)
