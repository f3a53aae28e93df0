"""What can be mended: the JSONL files of one dataset, and a place for the copy that is apart from it."""

from __future__ import annotations

import glob
import os
import shlex
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, NamedTuple

from phi3v_data.errors import CannotRun, DataError, UsageError
from phi3v_data.formats.kinds import format_of
from phi3v_data.layout import IMAGES, MANIFEST, REJECTS, ManifestProblem, files_at_hand, read_manifest
from phi3v_data.validate.framing import file_fault
from phi3v_data.validate.inputs import Input
from phi3v_data.validate.unpack import packing_of

if TYPE_CHECKING:
    from phi3v_schemas import Manifest

__all__ = ["CHANGES", "Source", "SourceFile", "find_source", "refuse_place", "refuse_unless_lines"]

CHANGES = "changes.ndjson"
"""The list of all changes, JSON lines by a name that nobody takes for records."""

_HEAD = 1 << 16


class SourceFile(NamedTuple):
    """A file to mend."""

    path: Path
    name: str
    """Its path within the dataset."""
    input: Input
    """Knows whether it was changed since."""


@dataclass(frozen=True)
class Source:
    """A dataset to mend.

    Args:
        path: Its folder, or its file.
        files: Its files in order.
        images: Its images folder.
        owns_images: Whether that is the folder `images` beside its files.
        manifest: Its manifest.
    """

    path: Path
    files: list[SourceFile]
    images: Path
    owns_images: bool
    manifest: Manifest | None

    @property
    def folder(self) -> Path:
        """The folder of its files."""
        return self.path if self.path.is_dir() else self.path.parent

    @property
    def last(self) -> str:
        """The name in the folder of the copy without which its others are no whole dataset."""
        return MANIFEST if self.manifest is not None else PurePath(self.files[-1].name).parts[0]


def find_source(path: Path, images_dir: Path | None) -> Source:
    """Look at what is to be mended.

    Raises:
        UsageError: It is no JSON lines file and no folder of them, so that there are no lines to mend.
        DataError: The manifest cannot be used.
        CannotRun: There is nothing at the path, or no file of records.
    """
    if str(path) == "-":
        raise UsageError("standard input cannot be mended: write it to a file, and give that")
    if not path.exists():
        if glob.has_magic(str(path)):
            raise UsageError(f"{path} is a pattern, and one dataset is mended at a time: give its folder or one file")
        raise CannotRun(f"there is no dataset at {path}: give a JSONL file or the folder of a dataset")
    folder = path if path.is_dir() else path.parent
    manifest = _manifest(folder) if path.is_dir() else None
    paths = files_at_hand(folder, manifest) if path.is_dir() else [path]
    if not paths:
        raise CannotRun(f"{path} holds no file of records: give a JSONL file or the folder of a dataset")
    files = [SourceFile(file, file.relative_to(folder).as_posix(), _input(file, path)) for file in paths]
    return Source(path, files, images_dir or folder / IMAGES, images_dir is None, manifest)


def refuse_place(source: Source, out_dir: Path) -> Path:
    """Refuse to write a copy onto a dataset, into it or around it, or where a file is.

    Returns:
        The folder, with no links on the way.

    Raises:
        UsageError: The folder cannot be that of the copy.
    """
    target = Path(os.path.realpath(out_dir))
    for path in (source.path, source.images, *(file.path for file in source.files)):
        if _touch(target, Path(os.path.realpath(path))):
            raise UsageError(f"{out_dir} and {path} lie in each other: choose another folder for the copy")
    if os.path.lexists(target) and not target.is_dir():
        raise UsageError(f"{out_dir} is no folder: choose another one for the copy")
    return target


def _touch(one: Path, other: Path) -> bool:
    """Whether of two paths one is the other, or lies in it, under whatever name."""
    return any(_is_same(path, other) for path in (one, *one.parents)) or any(
        _is_same(path, one) for path in other.parents
    )


def _is_same(one: Path, other: Path) -> bool:
    if one == other:
        return True
    try:
        return one.samefile(other)  # mounted twice, or in a file system without upper and lower case
    except OSError:
        return False


def _manifest(folder: Path) -> Manifest | None:
    try:
        return read_manifest(folder)
    except ManifestProblem as error:
        raise DataError(f"{error}: restore it, or delete it to mend the files without it") from None


def _input(path: Path, data: Path) -> Input:
    """Look at the first bytes of a file of a dataset.

    Raises:
        UsageError: It holds no lines that could be mended one by one.
    """
    if path.name in (REJECTS, CHANGES, MANIFEST, IMAGES):
        raise UsageError(f"{path} has a name that the copy needs for something else: rename the file")
    if (kind := format_of(path)) != "jsonl":
        raise UsageError(
            f"{path} is a shard of {kind}, and only JSON lines are mended: write them with phi3v-data reshard "
            f"{shlex.quote(str(data))} --output jsonl --out_dir OUT, and mend OUT"
        )
    if not path.is_file():
        raise UsageError(f"{path} is no regular file: write what it yields to a file, and give that")
    found = Input(path)
    head = _head(path)
    if (packing := packing_of(head)) is not None:
        raise UsageError(
            f"{path} is compressed with {packing.kind}, and only plain files are mended: "
            f"unpack it with {packing.command}"
        )
    refuse_unless_lines(path, path)
    return found


def refuse_unless_lines(path: Path, original: Path) -> None:
    """Refuse a file without lines of its own; what is said names the original.

    Raises:
        UsageError: It is none that could be mended line by line.
    """
    head = _head(path)
    if (problem := file_fault(head, whole=path.stat().st_size <= len(head))) is not None:
        raise UsageError(f"{original} cannot be mended line by line ({problem.message}): {problem.hint}")


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)
