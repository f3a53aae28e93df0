"""Writing the page: one HTML file that holds its data, its pictures, its style and its script."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from phi3v_data.errors import CannotRun, UsageError
from phi3v_data.fs import explain_os_error, write_atomic
from phi3v_data.preview.block import Setting, forget
from phi3v_data.preview.facts import facts_of, notes_of
from phi3v_data.preview.making import compose
from phi3v_data.preview.planning import choose_records
from phi3v_data.preview.sources import find_sources, refuse_pipes
from phi3v_data.preview.template import fill_template
from phi3v_data.printable import counted, printable, unicode_of
from phi3v_data.processes import available_cores
from phi3v_data.validate.checks import MODEL_LENGTH
from phi3v_data.validate.inputs import Inputs
from phi3v_data.validate.shown import write_lines
from phi3v_data.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TextIO

    from phi3v_data.preview.planning import Plan
    from phi3v_data.preview.sources import Sources
    from phi3v_data.validate.result import Result

__all__ = ["MAX_BYTES", "Written", "prepare", "render_text", "write_page"]

MAX_BYTES = 40_000_000
"""Of a page: what a browser opens at once, and a mail server may still take."""

_LEAST = 1000  # bytes of a page for each of its records
_WORTH_READING, _WORTH_MAKING = 1 << 23, 100  # bytes and records, for which a process pays for its start


@dataclass(frozen=True)
class Written:
    """A page that was written.

    Args:
        path: The file.
        bytes: Its size.
        records: Records of the dataset.
        shown: Those of them on the page.
        notes: What a person should know of it, a sentence each.
    """

    path: Path
    bytes: int
    records: int
    shown: int
    notes: list[str]


def prepare(paths: Sequence[Path | str], out: Path) -> None:
    """Refuse what no page can be made of, and what it must not replace, before anything is read.

    Args:
        paths: As `write_page`.
        out: The file to write.

    Raises:
        UsageError: `out` is no place for a page, or the data can be read only once.
        CannotRun: The folder of the page cannot be made or written into.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"a page is an HTML file, which {out} is not by its name: call it NAME.html")
    try:
        if out.is_dir() or (out.exists() and not out.is_file()):
            raise UsageError(f"{out} is there and is no file: name another place for the page")
        out.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(out.parent, os.W_OK):
            raise PermissionError(errno.EACCES, "Permission denied")
    except (OSError, ValueError) as error:
        raise CannotRun(f"the page cannot be written to {out}: {getattr(error, 'strerror', None) or error}") from None
    refuse_pipes(paths)


def write_page(
    paths: Sequence[Path | str],
    out: Path,
    *,
    result: Result | None,
    images_dir: Path | None = None,
    split: str | None = None,
    only_findings: bool = False,
    records: int = 10_000,
    seed: int = 0,
    tokenizer: Path | None = None,
    num_crops: int = 16,
    max_length: int = MODEL_LENGTH,
    workers: int | None = None,
    title: str | None = None,
    max_bytes: int = MAX_BYTES,
    on_progress: Callable[[int, int | None], object] | None = None,
) -> Written:
    """Write a page that shows what datasets hold; it is there whole or not at all.

    The page does not depend on the number of workers. Memory does not grow with the dataset.

    Args:
        paths: As `validate` was given them; not standard input.
        out: The file to write, NAME.html.
        result: What `validate` found in them; None where nothing was validated.
        images_dir: The images folder; by default `images` beside the JSONL files.
        split: The only split to show.
        only_findings: Whether the page begins with the records that have findings, which are then chosen first.
        records: The most records to show; of more, a sample.
        seed: Another seed gives another sample.
        tokenizer: The folder of the model's tokenizer, to count the tokens of texts; else they are estimated.
        num_crops: The most crops an image is scaled to in training.
        max_length: Tokens beyond which a record is too long.
        workers: Processes; None for one per core, where there is enough to do.
        title: The page's title; by default the name of the data.
        max_bytes: The most bytes of the page.
        on_progress: Told the records written so far, and how many there will be.

    Returns:
        What was written.

    Raises:
        UsageError: `out` is no place for a page, or the data can be read only once.
        DataError: There is no such split.
        CannotRun: There are no data, the page cannot be written or has no room for them, or a worker died.
    """
    out = Path(out)
    prepare(paths, out)
    name = unicode_of(title or _name(paths))
    template = fill_template(name)
    forget()
    try:
        with Inputs() as inputs:
            sources = find_sources(paths, images_dir, split, inputs)
            _refuse_images_folder(out, sources)
            most = max(1, min(records, max_bytes // _LEAST))
            size = sum(source.size for source in sources.files)
            with Workers(_useful_workers(workers, size, _WORTH_READING)) as pool:
                plan = choose_records(sources, result, most=most, seed=seed, only_findings=only_findings, pool=pool)
            _refuse_nothing(plan, paths, only_findings=only_findings)
            facts = facts_of(
                plan,
                result,
                title=name,
                data=unicode_of(" ".join(map(str, paths))),
                notes=notes_of(plan, result, seed=seed, only_findings=only_findings),
                filter="findings" if only_findings else "all",
                tokens="estimated" if tokenizer is None else "exact",
                max_length=max_length,
            )
            setting = Setting({answer: number for number, answer in enumerate(plan.classes)}, tokenizer, num_crops)
            with Workers(_useful_workers(workers, len(plan.places), _WORTH_MAKING)) as pool:
                _write(out, compose(plan, facts, setting, template, max_bytes, pool, on_progress))
    finally:
        forget()
    return Written(out, out.stat().st_size, plan.strata.records, len(plan.places), facts["notes"])


def render_text(written: Written, stream: TextIO | None = None) -> None:
    """Write the notes of a page, then where it is.

    Args:
        written: What `write_page` returned.
        stream: Where to write; standard output by default.
    """
    last = f"{written.path}: {counted(written.shown, 'record')}, {written.bytes / 1e6:.1f} MB"
    write_lines(map(printable, [*written.notes, last]), stream)


def _name(paths: Sequence[Path | str]) -> str:
    first = Path(paths[0]).absolute().name
    return first if len(paths) == 1 else f"{first} and {len(paths) - 1:,} more"


def _refuse_images_folder(out: Path, sources: Sources) -> None:
    """Refuse to write among images: what is in their folder and is none is a finding."""
    real = out.parent.resolve()
    for folder in {source.images.resolve() for source in sources.files if not source.is_shard}:
        if real.is_relative_to(folder):
            raise UsageError(f"{out} is in the images folder {folder}, which is for images alone: name another place")


def _refuse_nothing(plan: Plan, paths: Sequence[Path | str], *, only_findings: bool) -> None:
    """Refuse data that cannot be read at all; a page of findings says so by itself."""
    if not plan.strata.records and plan.faults and not only_findings:
        raise CannotRun(f"there is nothing to show: {plan.faults[0]}")
    if not plan.sources.files and not only_findings:
        raise CannotRun(f"there is nothing to show: {', '.join(map(str, paths))} holds no file of records")


def _useful_workers(asked: int | None, amount: int, worth_it: int) -> int:
    """Return how many processes are worth their start."""
    return asked or (available_cores() if amount > worth_it else 1)


def _write(out: Path, blocks: Iterable[bytes]) -> None:
    try:
        write_atomic(out, blocks)
    except OSError as error:
        raise CannotRun(f"the page cannot be written: {explain_os_error(error, out.parent)}") from None
