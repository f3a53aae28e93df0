"""Where class folders of pictures lie below a folder, and what files are in them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from phi3v_converters.splits import in_order, known_split
from phi3v_data.convert.annotations import bases
from phi3v_data.errors import UsageError
from phi3v_data.paths import name_fault

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Layout", "class_folders", "files_below", "find_layout", "loose_in"]

_PICTURES = frozenset(
    (".avif", ".bmp", ".gif", ".heic", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
)
"""Suffixes that make a folder one of pictures."""

_NOTES = frozenset(
    (".csv", ".db", ".htm", ".html", ".ini", ".json", ".jsonl", ".log", ".md", ".tsv", ".txt", ".xml", ".yaml", ".yml")
)
"""Suffixes of what people keep beside pictures: captions, lists, licences."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A source understood.

    Args:
        top: Folder of the splits, or of the class folders.
        tops: For each split the folders that hold its class folders.
        classes: The classes, sorted: train's, or without a train all there are.
    """

    top: Path
    tops: dict[str, list[Path]]
    classes: list[str]


def find_layout(root: Path) -> Layout:
    """Recognise `{train,val,test}/<class>/*.jpg` or `<class>/*.jpg`, perhaps wrapped in single folders.

    Raises:
        UsageError: There is neither, or there are other folders of pictures beside train.
    """
    for base in bases(root):
        top = root / base
        if base and top.is_symlink():
            break
        folders = class_folders(top)
        splits = {folder: known_split(folder.name) for folder in folders}
        named = in_order(filter(None, splits.values()))
        if folders and all(splits.values()):
            return _layout(top, {split: [one for one in folders if splits[one] == split] for split in named})
        if "train" in named:
            others = ", ".join(folder.name for folder in folders if not splits[folder])
            raise UsageError(f"{top} holds pictures in train, and in {others[:200]} besides: keep only splits there")
        if len(folders) > 1 or any(loose_in(folder) for folder in folders):
            return _layout(top, {"train": [top]})
    raise UsageError(
        f"no class folders of pictures found in {root}: expected <class>/*.jpg, or {{train,val,test}}/<class>/*.jpg"
    )


def _layout(top: Path, tops: dict[str, list[Path]]) -> Layout:
    those = tops.get("train") or [one for several in tops.values() for one in several]
    found = {folder.name for one in those for folder in class_folders(one)}
    # Of a class whose name cannot be used, the plan rejects every picture.
    return Layout(top, tops, sorted(name for name in found if not name_fault(name)))


def class_folders(top: Path) -> list[Path]:
    """Return the folders in a folder that hold pictures at any depth, sorted; a link to a folder is none."""
    folders = [Path(entry.path) for entry in _entries(top) if entry.is_dir(follow_symlinks=False)]
    return [folder for folder in folders if any(_is_picture(one.name) for some in files_below(folder) for one in some)]


def loose_in(folder: Path) -> list[os.DirEntry[str]]:
    """Return the pictures that lie directly in a folder, and what may be some: links to folders; sorted."""
    entries = [entry for entry in _entries(folder) if not entry.is_dir(follow_symlinks=False)]
    return [entry for entry in entries if _is_picture(entry.name) or os.path.isdir(entry.path)]  # noqa: PTH112


def files_below(folder: Path) -> Iterator[list[os.DirEntry[str]]]:
    """Yield what lies in a folder and may be a picture, sorted, then that of every folder below it.

    That is all but folders and notes; links to folders are there to be refused.
    """
    waiting = [folder]  # no recursion: how deep folders are nested is not ours to decide
    while waiting:
        files = []
        for entry in _entries(waiting.pop()):
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
            elif _suffix(entry.name) not in _NOTES:
                files.append(entry)
        yield files


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what lies in a folder, sorted, without what operating systems leave behind: `.DS_Store`, `._cat.jpg`."""
    with os.scandir(folder) as entries:
        kept = [entry for entry in entries if not entry.name.startswith((".", "__MACOSX"))]
    return sorted(kept, key=lambda entry: entry.name)


def _is_picture(name: str) -> bool:
    return _suffix(name) in _PICTURES


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 -- once a file
