"""Mend a dataset: a corrected copy, every change in it listed, and what cannot be mended set apart as it was."""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from phi3v_data.errors import CannotRun, UsageError
from phi3v_data.fs import FolderHeld, explain_os_error, write_folder
from phi3v_data.layout import REJECTS
from phi3v_data.lines import MAX_LINE
from phi3v_data.mend.making import make_copy
from phi3v_data.mend.source import CHANGES, find_source, refuse_place
from phi3v_data.validate.allowed import read_allowed
from phi3v_data.validate.runner import validate
from phi3v_data.validate.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from phi3v_data.mend.images import ImageLinks
    from phi3v_data.mend.source import Source
    from phi3v_data.mend.stage import Tally
    from phi3v_data.validate.images import ImageLevel
    from phi3v_data.validate.result import Result

__all__ = ["Mended", "exit_code", "mend"]


@dataclass(frozen=True)
class Mended:
    """A copy of a dataset, and what it came to.

    Args:
        source: The dataset.
        out_dir: The folder of the copy.
        tally: What became of the lines.
        images: How many images the copy has; None where they stay in a folder that was given.
        images_left_out: How often a kept record names an image that is not there.
        result: What the validator finds in the copy.
    """

    source: Path
    out_dir: Path
    tally: Tally
    images: int | None
    images_left_out: int
    result: Result

    @property
    def changes_path(self) -> Path | None:
        """The list of all changes; None where there are none."""
        return self.out_dir / CHANGES if self.tally.changes else None

    @property
    def rejects_path(self) -> Path | None:
        """The lines that could not be mended; None where there are none."""
        return self.out_dir / REJECTS if self.tally.rejects else None


def exit_code(mended: Mended, *, strict: bool = False) -> int:
    """Return what the process should exit with: 1 for rejects and errors, and for warnings where `strict`, else 0."""
    result = mended.result
    return int(bool(mended.tally.rejects) or result.errors > 0 or (strict and result.warnings > 0))


def mend(
    path: Path,
    out_dir: Path,
    *,
    images: ImageLevel = "header",
    images_dir: Path | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    allow_leaks: Path | None = None,
    max_findings: int = 1000,
    max_line: int = MAX_LINE,
    on_progress: Callable[[int, int | None], object] | None = None,
    **checks: Any,
) -> Mended:
    """Write a corrected copy of a dataset and validate it; the dataset itself is only read.

    Only what loses nothing is changed: a byte order mark, carriage returns before newlines, blank lines, ids that are
    not in Unicode's form NFC, keys that stand more than once with the same value, and a missing last newline. Lines
    with errors are set apart in rejects.jsonl as they were. The copy appears whole or not at all.

    Args:
        path: A JSONL file, or the folder of a dataset.
        out_dir: The folder of the copy. It must not exist or be empty.
        images: How closely to look at images, as in `validate`.
        images_dir: The images folder, which then stays where it is; by default `images` beside the files, of which the
            copy gets what its records name: the same files under a second name where the file system has links, else
            copies.
        select: Codes of the rules wanted in the result; what is set apart does not depend on it.
        ignore: Codes of the rules that are not wanted; only what is no record at all is set apart all the same.
        allow_leaks: As in `validate`.
        max_findings: As in `validate`, for the result.
        max_line: Longest line in bytes that is read.
        on_progress: As in `validate`; told of each pass anew.
        **checks: `tokenizer`, `max_length`, `num_crops` and `workers`, as in `validate`.

    Raises:
        UsageError: The dataset is not JSON lines, the copy has no place there, or as `validate`.
        DataError: The manifest cannot be used, or one that fits the copy cannot be written.
        CannotRun: There is no dataset, it was changed meanwhile, another run is at work there, or the system refuses
            to read or write.
    """
    Selection(select, ignore)  # refuses what is no rule before anything is done
    if allow_leaks is not None and not allow_leaks.is_fifo():  # a pipe can be read only once
        read_allowed(allow_leaks)
    source = find_source(path, images_dir)
    target = refuse_place(source, out_dir)
    each: dict[str, Any] = {**checks, "images": images, "max_line": max_line, "on_progress": on_progress}
    with _saying("Nothing was written: run the same command again."):
        tally, links = _write(source, target, out_dir, ignore, each)
    copy = out_dir if path.is_dir() else out_dir / path.name
    with _saying(f"The copy is whole: go on with phi3v-data validate {shlex.quote(str(copy))}"):
        result = validate(
            [copy],
            images_dir=images_dir,
            select=select,
            ignore=ignore,
            allow_leaks=allow_leaks,
            max_findings=max_findings,
            **each,
        )
    brought, left_out = (links.images, links.left_out) if links else (None, 0)
    return Mended(path, out_dir, tally, brought, left_out, result)


def _write(
    source: Source, target: Path, out_dir: Path, ignore: Sequence[str], checks: dict[str, Any]
) -> tuple[Tally, ImageLinks | None]:
    """Write the copy into its folder, which errors name as the user did."""
    try:
        with write_folder(target, last=source.last) as new:
            if any(entry != new.parent for entry in target.iterdir()):
                raise UsageError(f"{out_dir} is not empty: choose another folder for the copy")
            return make_copy(source, new, new.with_name("stage"), ignore, checks)
    except FolderHeld:
        raise CannotRun(f"another run is writing {out_dir}: wait for it or choose another folder") from None
    except OSError as error:
        raise CannotRun(explain_os_error(error, out_dir)) from error


@contextmanager
def _saying(note: str) -> Iterator[None]:
    """Leave a note on what interrupts the block."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception):
            error.add_note(note)
        raise
