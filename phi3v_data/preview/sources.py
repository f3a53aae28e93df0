"""The files of a dataset whose records a page may show."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from phi3v_data.errors import CannotRun, DataError, UsageError
from phi3v_data.formats.kinds import format_of
from phi3v_data.printable import unicode_of
from phi3v_data.validate.lines import FileUnreadable
from phi3v_data.validate.targets import find_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phi3v_data.validate.inputs import Inputs
    from phi3v_data.validate.targets import Target

__all__ = ["Source", "Sources", "find_sources", "refuse_pipes"]


@dataclass(frozen=True)
class Source:
    """A file of records.

    Args:
        name: Its name in findings.
        path: Where its bytes can be read; of a compressed file, the copy that was unpacked.
        split: The place of its split among the splits.
        images: The folder of its images, unless it is a shard, which holds them.
        is_shard: Whether it holds images beside its records.
        size: Its size in bytes.
    """

    name: str
    path: Path
    split: int
    images: Path
    is_shard: bool
    size: int


@dataclass
class Sources:
    """All files of a dataset.

    Args:
        files: Those that can be read, in order.
        splits: The names of the splits, in the order of their first files.
        faults: What cannot be read, a sentence each.
        passed_over: The names in findings of the files of splits that are not asked for.
    """

    files: list[Source] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    passed_over: set[str] = field(default_factory=set)


def find_sources(paths: Sequence[Path | str], images_dir: Path | None, split: str | None, inputs: Inputs) -> Sources:
    """Find the files of datasets; a compressed one is unpacked.

    Args:
        paths: As `validate` takes them, except standard input and pipes.
        images_dir: The images folder; by default `images` beside the files.
        split: The only split wanted.
        inputs: Opens the files, and holds the copies of compressed ones.

    Raises:
        DataError: There is no such split.
    """
    targets = find_targets(paths, images_dir)
    sources = Sources()
    known: dict[str, None] = {}
    for target in targets:
        for path in target.files:
            known[name := unicode_of(target.split_of(path))] = None
            if split in (None, name):
                _add(sources, target, path, name, inputs)
            else:
                sources.passed_over.add(unicode_of(str(path)))
        if not target.files:
            sources.faults += [
                unicode_of(f"{file}: {problem.message}")
                for file, problem in target.problems
                if problem.rule is FileUnreadable
            ]
    if split is not None and known and split not in known:
        raise DataError(f"there is no split {split!r} in {_list(paths)}: name one of {_list(list(known))}")
    return sources


def refuse_pipes(paths: Sequence[Path | str]) -> None:
    """Refuse data that can be read only once.

    Raises:
        UsageError: A path is standard input or a pipe.
    """
    for path in paths:
        try:
            mode = Path(path).stat().st_mode if str(path) != "-" else stat.S_IFIFO
        except (OSError, ValueError):  # it is not there, or a pattern
            continue
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise UsageError(f"a page reads its data several times, and {path} is a pipe: write it to a file first")


def _add(sources: Sources, target: Target, path: Path | None, split: str, inputs: Inputs) -> None:
    if split not in sources.splits:
        sources.splits.append(split)
    assert path is not None  # standard input was refused
    name = unicode_of(str(path))
    try:
        opened = inputs.open(path)
    except (OSError, CannotRun) as error:
        sources.faults.append(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}")
        return
    if not opened.is_readable:
        sources.faults += [f"{name}: {unicode_of(problem.message)}" for problem in opened.problems]
        return
    is_shard = format_of(opened.path) != "jsonl"
    sources.files.append(Source(name, opened.path, sources.splits.index(split), target.images, is_shard, opened.size))


def _list(names: Sequence[Path | str]) -> str:
    return ", ".join(map(str, names[:20])) + ("" if len(names) <= 20 else ", …")
