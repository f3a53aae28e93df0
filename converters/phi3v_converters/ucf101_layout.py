"""The layouts in which folders of videos come, and which clip belongs to which split.

- splits: `{train,val,test}/<Class>/*.avi`, as the hub's subset has it;
- official: `UCF-101/<Class>/*.avi` beside `ucfTrainTestlist/`, the full UCF-101; val is carved from train;
- classes: `<Class>/*.mp4`, anyone's own folder; val and test are carved.

Carving takes whole groups of a class, in the order of a seeded hash: the same clips on every machine.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phi3v_converters.ucf101_clips import DEEPEST, Clip, clips_in, folders_in, holds_videos, strays_in, videos_in
from phi3v_data.convert.converter import Reject
from phi3v_data.errors import UsageError
from phi3v_data.paths import name_fault

if TYPE_CHECKING:
    from collections.abc import Container, Sequence
    from pathlib import Path

    from phi3v_converters.ucf101 import UCF101Options

__all__ = ["Layout", "Split", "find_layout"]

Split = list["Clip | Reject"]

_SPLITS = {"train": "train", "val": "val", "validation": "val", "valid": "val", "test": "test"}
_LISTS = "ucfTrainTestlist"


@dataclass(frozen=True, slots=True)
class Layout:
    """A source understood.

    Args:
        base: Folder of the clips, below the source's root.
        classes: The classes, in the order of the prompt.
        splits: Clips and rejects of each split.
    """

    base: str
    classes: list[str]
    splits: dict[str, Split]


def find_layout(root: Path, options: UCF101Options) -> Layout:
    """Recognise the layout of a folder and list its clips.

    Raises:
        UsageError: It holds no folder of class folders of videos, or lacks a class that was asked for.
    """
    top = _unwrap(root)
    lists = next((folder for folder in (top / _LISTS, top.parent / _LISTS) if folder.is_dir()), None)
    if any(folder.name.lower() in _SPLITS for folder in folders_in(top)):
        options.refuse("fold", "val_fraction", "test_fraction", "seed", why="it has its own splits")
        base, splits = top, _read_splits(top)
    elif lists is not None:
        options.refuse("test_fraction", why="the official lists say what is test")
        base = _clips_beside(lists, top)
        splits = _read_official(base, lists, options)
    else:
        options.refuse("fold", why=f"there is no {_LISTS}/ beside its clips")
        _refuse_nested_splits(top)
        base = top
        clips = [clip for folder in folders_in(top) for clip in clips_in(folder, folder.name, top)]
        train, test = _carve([*clips, *strays_in(top, top)], "test", options.test_fraction, options.seed)
        splits = _with_val(train, test, options)
    if not any(isinstance(clip, Clip) for split in splits.values() for clip in split):
        raise UsageError(
            f"no videos found in {root}: expected {{train,val,test}}/<Class>/*.avi, <Class>/*.mp4, or the full "
            f"UCF-101 (UCF-101/ beside {_LISTS}/)"
        )
    classes = _classes(splits, options.classes)
    if options.classes is not None:
        splits = {name: _only(split, classes) for name, split in splits.items()}
    return Layout(os.path.relpath(base, root), classes, splits)


def _refuse_nested_splits(top: Path) -> None:
    """Refuse to take folders that hold splits for classes."""
    for folder in folders_in(top):
        if any(inner.name.lower() in _SPLITS for inner in folders_in(folder)):
            raise UsageError(f"{folder} holds splits, and other videos lie beside it: give --source {folder}")


def _unwrap(root: Path) -> Path:
    """Step into the single folder that an archive often wraps around everything."""
    for _ in range(DEEPEST):
        inner = [folder for folder in folders_in(root) if any(videos_in(folder))]
        if len(inner) != 1 or inner[0].name.lower() in _SPLITS or holds_videos(inner[0]) or holds_videos(root):
            break
        root = inner[0]
    return root


def _read_splits(top: Path) -> dict[str, Split]:
    """Read `{train,val,test}/<Class>/…`; a video outside any split or class folder is rejected."""
    splits: dict[str, Split] = {name: [] for name in ("train", "val", "test")}
    outside = [stray.source for stray in strays_in(top, top)]
    for folder in folders_in(top):
        split = _SPLITS.get(folder.name.lower())
        if split is None:
            outside += [clip.path for clip in clips_in(folder, folder.name, top)]
            continue
        for inner in folders_in(folder):
            splits[split] += clips_in(inner, inner.name, top)
        splits[split] += strays_in(folder, top, split)
    message = "it lies in none of the folders train, val and test: move it into one of them, or out of the source"
    splits["train"] += [Reject(source=path, code="no_split", message=message) for path in outside]
    return {name: split for name, split in splits.items() if split}


def _clips_beside(lists: Path, top: Path) -> Path:
    """Return the folder of the class folders that belongs to the official lists."""
    if lists.parent != top:
        return top
    named = [folder for folder in folders_in(top) if folder != lists]
    if len(named) == 1:
        return _unwrap(named[0])
    return next((folder for folder in named if folder.name in ("UCF-101", "UCF101")), top)


def _read_official(base: Path, lists: Path, options: UCF101Options) -> dict[str, Split]:
    """Read the official lists of one fold, carve val from train, and account for every clip on disk."""
    names = {line.split()[-1].lower(): line.split()[-1] for line in _lines(lists / "classInd.txt")}
    on_disk = {
        clip.path: clip
        for folder in folders_in(base)
        if folder != lists
        for clip in clips_in(folder, names.get(folder.name.lower(), folder.name), base)
    }
    spelled = {path.lower(): path for path in on_disk}
    splits: dict[str, Split] = {}
    for split in ("train", "test"):
        entries = [line.split()[0] for line in _lines(lists / f"{split}list{options.fold:02d}.txt")]
        found = [(entry, entry if entry in on_disk else spelled.get(entry.lower(), "")) for entry in entries]
        splits[split] = [on_disk.pop(path) if path in on_disk else _missing(entry, split) for entry, path in found]
    unlisted: Split = [
        Reject(source=clip.path, code="unlisted", message=f"it is in neither list of fold {options.fold}")
        for clip in on_disk.values()
    ]
    return _with_val(splits["train"], [*splits["test"], *unlisted, *strays_in(base, base)], options)


def _lines(path: Path) -> list[str]:
    """Return the lines that hold something; the official lists come with CR at their ends."""
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; the official lists are needed beside the full UCF-101") from error


def _missing(entry: str, split: str) -> Reject:
    return Reject(source=entry, split=split, code="missing", message="the official list names it, but it is not there")


def _with_val(train: Split, test: Split, options: UCF101Options) -> dict[str, Split]:
    train, val = _carve(train, "val", options.val_fraction, options.seed)
    return {name: split for name, split in (("train", train), ("val", val), ("test", test)) if split}


def _carve(clips: Split, purpose: str, fraction: float, seed: int) -> tuple[Split, Split]:
    """Take a fraction of the groups of each class; return the clips that stay and those taken."""
    groups: dict[str, dict[str, str]] = {}
    for clip in clips:
        if isinstance(clip, Clip):
            key = clip.group or clip.path
            name = f"{seed}/{purpose}/{key}".encode("utf-8", "surrogateescape")
            groups.setdefault(clip.label, {})[key] = hashlib.sha256(name).hexdigest()
    taken = {key for of_class in groups.values() for key in _first(of_class, fraction)}
    parts: tuple[Split, Split] = ([], [])
    for clip in clips:
        parts[isinstance(clip, Clip) and (clip.group or clip.path) in taken].append(clip)
    return parts


def _first(groups: dict[str, str], fraction: float) -> Sequence[str]:
    """Choose a fraction of the groups, at least one where there are three, never all."""
    wanted = int(fraction * len(groups) + 0.5)
    if fraction > 0 and len(groups) >= 3:
        wanted = max(wanted, 1)
    return sorted(groups, key=groups.__getitem__)[: min(wanted, len(groups) - 1)]


def _classes(splits: dict[str, Split], wanted: Sequence[str] | None) -> list[str]:
    """Return the classes of the prompt: all there are, sorted, or those asked for, in that order."""
    labels = {clip.label for split in splits.values() for clip in split if isinstance(clip, Clip)}
    found = sorted(label for label in labels if not name_fault(label))  # the plan rejects the clips of the others
    if wanted is None:
        return found
    for name in wanted:
        if name not in found:
            near = difflib.get_close_matches(name, found, n=1)
            guess = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(found[:12])}"
            raise UsageError(f"--classes: no clip of class {name!r}; {guess}")
    if len(set(wanted)) != len(wanted):
        raise UsageError("--classes names a class twice")
    return list(wanted)


def _only(clips: Split, classes: Sequence[str]) -> Split:
    """Return the clips of some classes, and the rejects that are not known to be of another."""
    folders = {name.lower() for name in classes}
    return [
        clip
        for clip in clips
        if (clip.label in classes if isinstance(clip, Clip) else not _is_of_another(clip, folders))
    ]


def _is_of_another(reject: Reject, folders: Container[str]) -> bool:
    return reject.code in ("missing", "unlisted") and reject.source.partition("/")[0].lower() not in folders
