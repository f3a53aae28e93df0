"""How far a reading of data has come: counted, and drawn on a terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

__all__ = ["Progress", "show_progress"]

_EVERY = 0.1  # seconds


@dataclass
class Progress:
    """How far a run has come.

    Args:
        tell: Told the bytes read so far, and `total`.
        total: The bytes there are; None for a pipe.
    """

    tell: Callable[[int, int | None], object] | None
    total: int | None
    done: int = 0

    def advance(self, size: int) -> None:
        """Note that so many bytes more were read."""
        self.done += size
        if self.tell is not None:
            self.tell(self.done, self.total)


@contextmanager
def show_progress(
    doing: str = "validating", *, of_bytes: bool = True, stream: TextIO | None = None
) -> Iterator[Callable[[int, int | None], None]]:
    """Yield what `validate` and its like take as `on_progress`: it draws one line, which is wiped away at the end.

    Args:
        doing: What is done, in a word.
        of_bytes: Whether it is bytes that are counted, not records.
        stream: Where to draw, which is done on a terminal only; standard error by default.
    """
    stream = sys.stderr if stream is None else stream
    if not stream.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar
    from rich.progress import TransferSpeedColumn as SpeedColumn

    columns = (
        TextColumn(doing),
        BarColumn(),
        TaskProgressColumn(),
        *((DownloadColumn(), SpeedColumn()) if of_bytes else (MofNCompleteColumn(),)),
        TimeRemainingColumn(),
    )
    # Drawn by the calls alone: a thread that draws would be half there in a forked worker.
    bar = Bar(*columns, console=Console(file=stream), transient=True, auto_refresh=False, redirect_stdout=False)
    with bar:
        task = bar.add_task("", total=None)
        drawn = 0.0

        def on_progress(done: int, total: int | None) -> None:
            nonlocal drawn
            if (now := monotonic()) - drawn >= _EVERY:
                drawn = now
                bar.update(task, completed=done, total=total, refresh=True)

        yield on_progress
