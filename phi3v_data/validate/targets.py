"""What a PATH of the command line means: datasets, each with its files, its images and its manifest."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from phi3v_data.errors import UsageError
from phi3v_data.layout import IMAGES, MANIFEST, data_files, files_at_hand, parse_name, suffix_of
from phi3v_data.printable import quote
from phi3v_data.validate.lines import FileUnreadable
from phi3v_data.validate.manifest import NoManifest, check_structure, load

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from phi3v_data.validate.rule import Problem
    from phi3v_schemas import DataFile

__all__ = ["STDIN", "Target", "find_targets"]

STDIN = "<stdin>"

_NO_MATCH = "Look at the pattern, and at the folder from which it is searched: phi3v-data itself finds what it matches."
_NO_RECORDS = "Name the folder in which the files of records lie; folders within it are not searched."


@dataclass
class Target:
    """One dataset: files whose ids must differ.

    Args:
        images: The images folder.
        files: The JSONL files in order; None stands for standard input.
        owns_images: Whether nothing but the images of its records should be in the images folder.
        entries: What the manifest says of each file, by its path.
        problems: What is wrong before a line is read: the file it is about, and the problem.
    """

    images: Path
    files: list[Path | None] = field(default_factory=list)
    owns_images: bool = False
    entries: dict[Path, DataFile] = field(default_factory=dict)
    problems: list[tuple[str, Problem]] = field(default_factory=list)

    def split_of(self, path: Path | None) -> str:
        """Return the split that a file belongs to, by the manifest or by its name."""
        if path is None:
            return STDIN
        return self.entries[path].split if path in self.entries else parse_name(path).split


def find_targets(
    paths: Sequence[Path | str], images_dir: Path | None, *, against_manifest: bool = True
) -> list[Target]:
    """Resolve the paths given: a file, a dataset folder, a glob, or "-" for standard input.

    Files of one folder whose names differ only in split and shard are one dataset. A file named twice is
    read once.

    Args:
        paths: As on the command line.
        images_dir: The images folder of all of them; by default `images` beside the JSONL files.
        against_manifest: Whether folders are held against their manifests.

    Raises:
        UsageError: A path is empty.
    """
    targets: list[Target] = []
    loose: dict[tuple[Path, str], Target] = {}
    seen: set[Path] = set()
    for path in _expand(paths):
        if str(path) == "-":
            if path not in seen:
                targets.append(Target(images_dir or Path(IMAGES), files=[None]))
            seen.add(path)
            continue
        if (problem := _problem(path)) is not None:
            targets.append(Target(path.parent, problems=[(str(path), problem)]))
            continue
        real = _real(path)
        if real in seen:
            continue
        seen.add(real)
        if _is_folder(path):
            target = _folder(path, images_dir, against_manifest)
            unseen = {_real(file): file for file in reversed(target.files) if file is not None}
            target.files = [file for real, file in reversed(unseen.items()) if real not in seen]
            seen.update(unseen)
            targets.append(target)
            continue
        key = (real.parent, parse_name(path).name)
        if key not in loose:
            loose[key] = Target(images_dir or path.parent / IMAGES)
            targets.append(loose[key])
        loose[key].files.append(path)
    return targets


def _real(path: Path) -> Path:
    """Return where a path leads; unlike `Path.resolve` this bears links that go round in a circle."""
    return Path(os.path.realpath(path))


def _problem(path: Path) -> Problem | None:
    """Return why a path can be no file's or folder's, or None where opening it will tell."""
    if "\0" in str(path):
        return FileUnreadable.problem(fault="cannot be read: no name of a file holds a NUL")
    if not _is_pattern(path):
        return None
    parent = next(parent for parent in path.parents if not glob.has_magic(str(parent)))
    try:
        os.scandir(parent).close()
    except PermissionError as error:
        return FileUnreadable.problem(fault=f"cannot be searched: {quote(str(parent))}: {error.strerror}")
    except OSError:  # it is not there, or no folder
        pass
    return FileUnreadable.problem(fault="no file matches this pattern", hint=_NO_MATCH)


def _is_pattern(path: Path | str) -> bool:
    """Whether a path is a pattern; what is there under its very name is none."""
    return glob.has_magic(str(path)) and not os.path.lexists(path)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # no permission to ask: opening it will say so
        return False


def _expand(paths: Sequence[Path | str]) -> Iterator[Path]:
    for path in paths:
        if not str(path):
            raise UsageError("a PATH is empty: give a file, a folder, a pattern, or - for standard input")
        if _is_pattern(path) and "\0" not in str(path):
            matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 -- it may be absolute
            yield from map(Path, matches or [str(path)])
        else:
            yield Path(path)


def _folder(folder: Path, images_dir: Path | None, against_manifest: bool) -> Target:
    target = Target(images_dir or folder / IMAGES, owns_images=images_dir is None)
    manifest, problem = load(folder)
    try:
        present = data_files(folder, suffix_of(manifest))
    except OSError as error:
        target.problems.append((str(folder), FileUnreadable.because(error)))
        return target
    if not against_manifest:
        target.files += files_at_hand(folder, manifest)
        target.problems += check_structure(folder, None)
        return target
    if problem and (present or problem.rule is not NoManifest):
        target.problems.append((str(folder / MANIFEST), problem))
    target.problems += check_structure(folder, manifest)
    if manifest is None:
        target.files += present
    else:
        target.entries = {folder / entry.path: entry for entry in manifest.files}
        target.files += [path for path in target.entries if path.is_file()]
    if not target.files:
        fault = "the folder holds no file of records (.jsonl, .tar or .parquet)"
        target.problems.append((str(folder), FileUnreadable.problem(fault=fault, hint=_NO_RECORDS)))
    return target
