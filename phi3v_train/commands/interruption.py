"""What a command that writes a folder says when it is interrupted."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["nothing_written_if_interrupted"]


@contextmanager
def nothing_written_if_interrupted() -> Iterator[None]:
    """Say so on an interruption that came before any writing; the writing itself says how far it came."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and not getattr(error, "__notes__", None):
            error.add_note("Nothing was written: run the same command again.")
        raise
