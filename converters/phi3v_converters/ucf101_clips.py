"""The video files of class folders: what counts as one, what it is called, and which group it belongs to."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from phi3v_data.convert.converter import Reject
from phi3v_data.media.video import VIDEO_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DEEPEST", "Clip", "clips_in", "folders_in", "holds_videos", "strays_in", "videos_in"]

_GROUP = re.compile(r"_(g\d+)_c\d+$")
DEEPEST = 8
"""Folders below a class that are looked into."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One video file of a class.

    Args:
        path: Where it is below the layout's base.
        name: `<Class>/<file name without suffix>`.
        size: Bytes.
        label: Its class.
        group: `<Class>/gNN` from a file name that ends in `_gNN_cMM`, else None.
    """

    path: str
    name: str
    size: int
    label: str
    group: str | None


def holds_videos(folder: Path) -> bool:
    """Return whether videos lie directly in a folder."""
    return any(_is_video(path.name) for path in folder.iterdir() if path.is_file())


def _is_video(name: str) -> bool:
    return not _is_litter(name) and os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES  # noqa: PTH122 - once a clip


def folders_in(folder: Path) -> list[Path]:
    """Return the visible folders in a folder, sorted."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not _is_litter(path.name))


def _is_litter(name: str) -> bool:
    """Return whether a name is what operating systems leave behind: `.DS_Store`, `._clip.avi`, `__MACOSX`."""
    return name.startswith(".") or name == "__MACOSX"


def videos_in(folder: Path, depth: int = 0) -> Iterator[os.DirEntry[str]]:
    """Yield the video files of a folder and the folders in it."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():  # links are followed to files only: a link to a folder may lead around in circles
                if depth < DEEPEST and not entry.is_symlink() and not _is_litter(entry.name):
                    yield from videos_in(Path(entry.path), depth + 1)
            elif _is_video(entry.name):
                yield entry


def clips_in(folder: Path, label: str, base: Path) -> Iterator[Clip]:
    """Yield the clips of one class folder, which lies below base."""
    above, within = len(f"{base}/"), len(f"{folder}/")  # a slice: `relpath` would take most of the listing's time
    for entry in videos_in(folder):
        stem = entry.path[within:].rpartition(".")[0]
        try:
            size = entry.stat().st_size
        except OSError:  # a dangling link: it is a source all the same, and its reject says why
            size = 0
        group = _GROUP.search(stem)
        yield Clip(
            path=entry.path[above:],
            name=f"{label}/{stem}",
            size=size,
            label=label,
            group=f"{label}/{group[1]}" if group else None,
        )


def strays_in(folder: Path, base: Path, split: str | None = None) -> list[Reject]:
    """Reject the videos that lie directly in a folder of class folders."""
    message = "it lies in no class folder: move it into the folder of its class"
    videos = (path for path in folder.iterdir() if _is_video(path.name) and not path.is_dir())
    return [
        Reject(source=os.path.relpath(path, base), split=split, code="no_class", message=message) for path in videos
    ]
