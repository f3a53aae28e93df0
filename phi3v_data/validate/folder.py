"""E4xx: the images folder itself: what no record names, and names that do not travel well."""

from __future__ import annotations

import heapq
import os
from array import array
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from xxhash import xxh3_64_intdigest

from phi3v_data.printable import counted, quote
from phi3v_data.validate.columns import NOTHING
from phi3v_data.validate.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from phi3v_data.validate.facts import DatasetFacts
    from phi3v_data.validate.result import Findings

__all__ = ["AppleDouble", "CaseCollision", "ImageUnreferenced", "check_folder_of_images"]

_NAMED = 3
_BATCH = 4096  # files
_APPLE_DOUBLE = "._"


class CaseCollision(Rule):
    """Names in one folder differ only in upper and lower case."""

    code = "W413"
    slug = "case-collision"
    message = "the folder holds {first} and {second}, whose names differ only in case{more}"
    hint = "On macOS and Windows one overwrites the other: rename one of the two, and in the records too."
    bad = "images/cat.jpg and images/Cat.jpg"
    good = "images/cat.jpg and images/cat-2.jpg"


class AppleDouble(Rule):
    """The images folder holds files in which macOS keeps its notes on others."""

    code = "W415"
    slug = "apple-double"
    message = "the images folder holds {count} called '._' and the name of another: {names}"
    hint = "They are notes of macOS and no images: delete them, or copy the folder again with COPYFILE_DISABLE=1 tar."
    bad = "images/._cat.jpg beside images/cat.jpg"
    good = "images/cat.jpg alone"


class ImageUnreferenced(Rule):
    """The images folder holds files that no record names."""

    code = "W417"
    slug = "image-unreferenced"
    message = "no record names {count} of the images folder: {names}"
    hint = "Delete them if they are not needed; else add the records that name them."
    bad = "images/dog.jpg, where the records name only cat.jpg"
    good = "images/cat.jpg, where a record names cat.jpg"


class _Told:
    """Counts names, and keeps the first few of them in order."""

    def __init__(self) -> None:
        self._number = 0
        self._names: list[str] = []

    def add(self, name: str) -> None:
        self._number += 1
        self._names = heapq.nsmallest(_NAMED, [*self._names, name])

    def report(self, findings: Findings, rule: type[Rule], folder: Path) -> None:
        """Report one finding, if anything was counted."""
        if self._number:
            names = ", ".join(map(quote, self._names)) + (", …" if self._number > _NAMED else "")
            findings.add(str(folder), None, rule.problem(count=counted(self._number, "file"), names=names))


def check_folder_of_images(facts: DatasetFacts, findings: Findings, folder: Path, *, all_splits: bool) -> None:
    """Report what is odd about an images folder, below which no link to a folder is followed.

    Hidden files are passed over, and so is what cannot be listed: records that name images there have findings.

    Args:
        facts: The dataset.
        findings: Where to report.
        folder: The images folder; it need not exist.
        all_splits: Whether every record that may name an image was read.
    """
    walk = _Walk(folder, facts.images.unique() if all_splits else None)
    waiting = [""]
    while waiting:
        parent = waiting.pop()
        with suppress(OSError):
            waiting += sorted(walk.look_into(parent), reverse=True)
            walk.report_case(parent, findings)
    walk.apple_doubles.report(findings, AppleDouble, folder)
    walk.unreferenced.report(findings, ImageUnreferenced, folder)


class _Walk:
    """Lists the folders of an images folder; of their files hashes are kept, and the names that are told.

    Args:
        root: The images folder.
        known: The hashes of the paths that records name, sorted; None where not all are known.
    """

    def __init__(self, root: Path, known: NDArray[np.uint64] | None) -> None:
        self.apple_doubles, self.unreferenced = _Told(), _Told()
        self._root = root
        self._known = known
        self._names = array("Q")  # of the folder listed last, as they are where case means nothing

    def look_into(self, parent: str) -> Iterator[str]:
        """Look at what a folder holds, and yield the folders in it; all are named from the images folder."""
        self._names = array("Q")
        files: list[str] = []
        with os.scandir(self._root / parent) as entries:
            for entry in entries:
                path = f"{parent}/{entry.name}" if parent else entry.name
                if entry.name.startswith("."):
                    if entry.name.startswith(_APPLE_DOUBLE) and entry.is_file():
                        self.apple_doubles.add(path)
                    continue
                self._names.append(_hash(entry.name.casefold()))
                if entry.is_dir(follow_symlinks=False):
                    yield path
                elif self._known is not None and entry.is_file():
                    files.append(path)
                    if len(files) == _BATCH:
                        self._hold(files)
                        files.clear()
        self._hold(files)

    def report_case(self, parent: str, findings: Findings) -> None:
        """Report the folder listed last if names in it differ only in case, with the first two that do."""
        names = np.sort(np.frombuffer(self._names, np.uint64))
        repeated = np.unique(names[1:][names[1:] == names[:-1]])
        if not len(repeated):
            return
        told = int(repeated[0])
        folder = self._root / parent
        with os.scandir(folder) as entries:
            alike = sorted(entry.name for entry in entries if _hash(entry.name.casefold()) == told)
        if len(alike) > 1:
            more = f"; there are {len(repeated):,} such names" if len(repeated) > 1 else ""
            problem = CaseCollision.problem(first=quote(alike[0]), second=quote(alike[1]), more=more)
            findings.add(str(folder), None, problem)

    def _hold(self, files: list[str]) -> None:
        """Hold files against the paths that records name."""
        if self._known is None or not files:
            return
        hashes = np.fromiter(map(_hash, files), np.uint64, len(files))
        slots = np.searchsorted(self._known, hashes)
        for number in np.flatnonzero(np.append(self._known, np.uint64(NOTHING))[slots] != hashes).tolist():
            self.unreferenced.add(files[number])


def _hash(name: str) -> int:
    """Return what `facts.hash_of` does, for names too that are not Unicode."""
    return xxh3_64_intdigest(name.encode(errors="surrogateescape")) or 1
