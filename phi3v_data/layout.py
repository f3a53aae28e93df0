"""What a dataset looks like on disk: the names of its files, and its manifest."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from phi3v_data.errors import DataError
from phi3v_data.paths import name_fault
from phi3v_schemas import SCHEMA_VERSION, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "IMAGES",
    "MANIFEST",
    "REJECTS",
    "SUFFIXES",
    "ManifestProblem",
    "NewerVersion",
    "SplitName",
    "data_files",
    "files_at_hand",
    "missing_shards",
    "parse_name",
    "read_manifest",
    "suffix_of",
]

IMAGES = "images"
MANIFEST = "manifest.json"
REJECTS = "rejects.jsonl"

SUFFIXES = (".jsonl", ".tar", ".parquet")
"""Of the files that hold records, as JSON lines, WebDataset or Parquet."""

_NAME = re.compile(
    r"(?:(?P<name>.+)_)?(?P<split>[^_]+?)(?:-(?P<shard>\d{5})-of-(?P<shards>\d{5}))?(?P<suffix>\.jsonl|\.tar|\.parquet)"
)


class SplitName(NamedTuple):
    """What a file's name says: `<name>_<split>.jsonl`, with `-00000-of-00008` where it is sharded; `.tar`, `.parquet`
    likewise."""

    name: str
    split: str
    shard: int = 0
    shards: int = 1


class ManifestProblem(DataError):
    """manifest.json is there but cannot be used; `fault` is the end of a sentence about it."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(f"{path} {fault}")
        self.fault = fault


class NewerVersion(ManifestProblem):
    """manifest.json was written by a newer version of the format."""


def parse_name(path: Path) -> SplitName:
    """Read a data file's name; a file named otherwise is a split of its own, called by its stem."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return SplitName("", path.stem)
    shard, shards = match["shard"], match["shards"]
    return SplitName(match["name"] or "", match["split"], int(shard or 0), int(shards or 1))


def data_files(folder: Path, suffix: str | None = None) -> list[Path]:
    """Return the files of records of a dataset folder in order of name, without rejects.jsonl and hidden files.

    A dataset has one format. In a folder of many kinds of files it is JSON lines where there are any, else WebDataset.

    Args:
        folder: The folder.
        suffix: That of the dataset's format, where it is known.

    Raises:
        OSError: The folder cannot be listed.
    """
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix in SUFFIXES and path.name != REJECTS and not path.name.startswith(".") and path.is_file()
    )
    kept = suffix or next((kind for kind in SUFFIXES if any(path.suffix == kind for path in files)), None)
    return [path for path in files if path.suffix == kept]


def files_at_hand(folder: Path, manifest: Manifest | None) -> list[Path]:
    """Return the files of records that are there: those the manifest lists, as it lists them, and the others by name.

    Raises:
        OSError: The folder cannot be listed.
    """
    listed = [folder / entry.path for entry in manifest.files] if manifest else []
    return list(dict.fromkeys([*filter(Path.is_file, listed), *data_files(folder, suffix_of(manifest))]))


def suffix_of(manifest: Manifest | None) -> str | None:
    """Return the suffix of a dataset's files; None where no manifest names any."""
    return Path(manifest.files[0].path).suffix if manifest and manifest.files else None


def missing_shards(paths: Iterable[Path]) -> list[str]:
    """Return the names of the shards that the names of the others promise and that are not there."""
    present = {path.name for path in paths}
    promised: dict[str, None] = {}
    for name in sorted(present):
        base, dash, _ = name.rpartition("-of-")
        shards = parse_name(Path(name)).shards if dash else 1
        if shards > 1:
            stem, suffix = base[: -len("00000")], Path(name).suffix
            promised.update(dict.fromkeys(f"{stem}{index:05d}-of-{shards:05d}{suffix}" for index in range(shards)))
    return [name for name in promised if name not in present]


def read_manifest(folder: Path) -> Manifest | None:
    """Read the manifest of a dataset folder.

    Returns:
        The manifest, or None where the folder has none.

    Raises:
        NewerVersion: It was written by a newer version of the format.
        ManifestProblem: It cannot be read, is not a manifest, or names a file outside the folder.
    """
    from pydantic import ValidationError

    path = folder / MANIFEST
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ManifestProblem(path, f"cannot be read: {error.strerror}") from None
    _refuse_newer(path, data)
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "/".join(("", *map(str, first["loc"])))
        raise ManifestProblem(path, f"is not a manifest: {where}: {first['msg']}") from None
    for file in manifest.files:
        if fault := name_fault(file.path):
            raise ManifestProblem(path, f"names a file whose path {fault}: {file.path!r}")
    return manifest


def _refuse_newer(path: Path, data: bytes) -> None:
    """Look at the version first: what a newer format means by its fields, this one cannot say."""
    try:
        version = json.loads(data)["schema_version"]
        newer = _numbers(version) > _numbers(SCHEMA_VERSION)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return  # the model says what is wrong with it
    if newer:
        raise NewerVersion(
            path, f"has schema version {version}, newer than {SCHEMA_VERSION}, the newest this program knows"
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
