"""The manifest that fits a dataset's files as they are now, whatever was edited since the last one was written."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from phi3v_data.errors import CannotRun, DataError
from phi3v_data.layout import MANIFEST, REJECTS, files_at_hand, parse_name
from phi3v_data.lines import read_lines
from phi3v_data.manifest.measure import measure_file
from phi3v_data.paths import name_fault
from phi3v_schemas import SCHEMA_VERSION, ConverterInfo, DataFile, Manifest, SourceInfo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from phi3v_schemas import Record

__all__ = ["describe", "find_splits"]


def find_splits(folder: Path, before: Manifest | None) -> dict[str, list[str]]:
    """Find the JSONL files of each split: what the old manifest lists and is still there, and then the rest.

    Args:
        folder: The dataset's folder.
        before: Its manifest as it was; None where it has none.

    Returns:
        Paths within the folder.

    Raises:
        CannotRun: There is no file of records.
        DataError: A file has a name that no manifest may hold.
    """
    listed = {entry.path: entry.split for entry in before.files} if before else {}
    splits: dict[str, list[str]] = {}
    for path in files_at_hand(folder, before):
        name = path.relative_to(folder).as_posix()
        if fault := name_fault(name):
            raise DataError(f"the name of {name!r} in {folder} {fault}: rename the file")
        splits.setdefault(listed.get(name, parse_name(path).split), []).append(name)
    if not splits:
        raise CannotRun(f"{folder} holds no JSONL file and no shard: give the folder of a dataset")
    return splits


def describe(
    folder: Path, splits: Mapping[str, Sequence[str]], before: Manifest | None, images: Path | None
) -> Manifest:
    """Return the manifest that fits the files of a dataset; the old one where it does.

    Args:
        folder: The dataset's folder.
        splits: Its files, as `find_splits` returns them; they hold no errors.
        before: Its manifest as it was; None where it has none.
        images: The images folder; None leaves the images alone.
    """
    files: list[DataFile] = []
    classes: dict[str, dict[str, int]] = {}
    for split, names in splits.items():
        tally = _ClassTally(before)
        entries = [_measure(folder, name, split, before, images, tally) for name in names]
        if counts := tally.counts(split, entries):
            classes[split] = counts
        files += entries
    found = {"files": files, "classes": classes, "rejects": _count_rejects(folder)}
    if before is None:
        return _first(found)
    if before.model_copy(update=found) == before:
        return before
    edited_from = before.edited_from or hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    return before.model_copy(update={**found, "schema_version": SCHEMA_VERSION, "edited_from": edited_from})


def _measure(
    folder: Path, name: str, split: str, before: Manifest | None, images: Path | None, tally: _ClassTally
) -> DataFile:
    """Measure a file; where nobody looks at images, their bytes stay known of a file that is as it was."""
    entry = DataFile(path=name, split=split, **measure_file(folder / name, images, on_record=tally.add)._asdict())
    for old in before.files if before and images is None else ():
        if (old.path, old.sha256) == (entry.path, entry.sha256):
            return entry.model_copy(update={"image_bytes": old.image_bytes})
    return entry


class _ClassTally:
    """Counts the records of a split by class, as far as records can tell.

    A record does not say its class. Where every answer of the split is the name of a class in the old manifest, the
    answers are the classes; else the old counts hold as long as the split's files are as they were, and no longer.
    """

    def __init__(self, before: Manifest | None) -> None:
        self._before = before
        self._classes = {name for counts in before.classes.values() for name in counts} if before else set[str]()
        self._counts: Counter[str] = Counter()
        self._are_answers = True

    def add(self, record: Record) -> None:
        """Count a record."""
        answer = record.conversations[-1].assistant
        if answer is not None and answer in self._classes:
            self._counts[answer] += 1
        else:
            self._are_answers = False

    def counts(self, split: str, entries: list[DataFile]) -> dict[str, int]:
        """Return the records per class; empty where they are not known."""
        if self._before is None:
            return {}
        was = [(entry.path, entry.sha256) for entry in self._before.files if entry.split == split]
        if was == [(entry.path, entry.sha256) for entry in entries]:
            return self._before.classes.get(split, {})
        return dict(sorted(self._counts.items())) if self._are_answers else {}


def _count_rejects(folder: Path) -> int:
    try:
        with (folder / REJECTS).open("rb") as file:
            return sum(not line.is_blank for line in read_lines(file))
    except FileNotFoundError:
        return 0


def _first(found: dict[str, Any]) -> Manifest:
    """Return the manifest of files of which nothing is known but what they hold."""
    listing = json.dumps([[file.path, file.sha256] for file in found["files"]])
    digest = hashlib.sha256(listing.encode()).hexdigest()
    return Manifest(
        schema_version=SCHEMA_VERSION,
        converter=ConverterInfo(name="manifest", version="1", options={}),
        source=SourceInfo(kind="jsonl", listing_sha256=digest, sources=len(found["files"])),
        plan_sha256=digest,
        **found,
    )
