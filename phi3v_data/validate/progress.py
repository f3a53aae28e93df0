"""How far a validation has come, on a terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

__all__ = ["show_progress"]

_EVERY = 0.1  # seconds


@contextmanager
def show_progress(stream: TextIO | None = None) -> Iterator[Callable[[int, int | None], None]]:
    """Yield what `validate` reports to, as its `on_progress`; draws one line, and wipes it away at the end.

    Args:
        stream: Where to draw, which is done on a terminal only; standard error by default.
    """
    stream = sys.stderr if stream is None else stream
    if not stream.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import TransferSpeedColumn as SpeedColumn

    columns = (
        TextColumn("validating"),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),
        SpeedColumn(),
        TimeRemainingColumn(),
    )
    # Drawn by the calls alone: a thread that draws would be half there in a forked worker.
    bar = Progress(*columns, console=Console(file=stream), transient=True, auto_refresh=False, redirect_stdout=False)
    with bar:
        task = bar.add_task("", total=None)
        drawn = 0.0

        def on_progress(done: int, total: int | None) -> None:
            nonlocal drawn
            if (now := monotonic()) - drawn >= _EVERY:
                drawn = now
                bar.update(task, completed=done, total=total, refresh=True)

        yield on_progress
