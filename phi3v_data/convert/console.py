"""What a conversion shows a person: the progress bar, the summary table, the estimate of a dry run."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

import click

from phi3v_data.convert.engine import Progress
from phi3v_data.convert.worker import PartDone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from phi3v_data.convert.dry_run import Estimate
    from phi3v_data.convert.worker import Message
    from phi3v_schemas import Manifest

__all__ = ["Counter", "ListingStatus", "estimate_lines", "print_summary", "show_progress"]


class Counter:
    """Counts what workers report, for the bar and for the sentence after an interruption."""

    def __init__(self) -> None:
        self.total = 0
        self.done = 0
        self.rejects = 0

    def planned(self, total: int, done: int) -> None:
        """Take note of the plan."""
        self.total, self.done = total, done

    def message(self, message: Message) -> None:
        """Take note of a worker's step."""
        if isinstance(message, PartDone):
            self.done += message.sources
            self.rejects += message.rejects


class ListingStatus:
    """Says on stderr how far a long listing has come, so that it is not taken for one that hangs.

    Args:
        every: Seconds between two lines, and before the first.
    """

    def __init__(self, every: float = 10.0) -> None:
        self._every = every
        self._count = 0
        self._next = monotonic() + every

    def __call__(self) -> None:
        """Take note of one source."""
        self._count += 1
        if (now := monotonic()) >= self._next:
            self._next = now + self._every
            click.echo(f"Listing the sources: {self._count:,} so far", err=True)


@contextmanager
def show_progress(counter: Counter) -> Iterator[Progress]:
    """Yield what the engine reports to; draws a bar with rate, time left and rejects when stderr is a terminal."""
    if not sys.stderr.isatty():
        yield Progress(counter.planned, counter.message)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("converting"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rejects]}"),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None, rate="", rejects="")

        def planned(total: int, done: int) -> None:
            counter.planned(total, done)
            bar.update(task, total=total, completed=done)

        def message(message: Message) -> None:
            counter.message(message)
            if isinstance(message, PartDone):
                speed = bar.tasks[0].speed
                bar.update(
                    task,
                    completed=counter.done,
                    rate=f"{speed:.0f}/s" if speed else "",
                    rejects=f"[red]{counter.rejects} rejects" if counter.rejects else "",
                )

        yield Progress(planned, message)


def print_summary(manifest: Manifest, out_dir: Path) -> None:
    """Print what the dataset holds, split by split."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(f"{manifest.converter.name} → {out_dir}"), title_justify="left")
    table.add_column("file")
    for name in ("records", "images", "MB", "classes"):
        table.add_column(name, justify="right")
    for file in manifest.files:
        classes = len(manifest.classes.get(file.split, {}))
        megabytes = f"{(file.bytes + (file.image_bytes or 0)) / 1e6:,.1f}"
        table.add_row(
            Text(file.path), f"{file.records:,}", f"{file.images:,}", megabytes, str(classes) if classes else "–"
        )
    Console(width=None if sys.stdout.isatty() else 100).print(table)


def estimate_lines(estimate: Estimate) -> list[str]:
    """Return a dry run's findings as lines of text."""
    splits = ", ".join(f"{name} {count:,}" for name, count in estimate.splits.items())
    lines = [
        f"sources: {splits}",
        f"estimate from {estimate.sampled} sources: {estimate.records:,} records, {estimate.images:,} images, "
        f"{estimate.image_bytes / 1e6:,.1f} MB of images",
    ]
    lines += [f"image tokens at num_crops {crops}: {count:,}" for crops, count in estimate.image_tokens.items()]
    if estimate.rejected or estimate.sample_rejects:
        lines.append(
            f"rejects: {estimate.rejected} by the listing, {estimate.sample_rejects} of {estimate.sampled} sampled"
        )
    if estimate.first_record:
        lines += ["first record:", estimate.first_record]
    return lines
