"""Files that go with the run: what is too long for memory waits there."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, cast

from phi3v_data.errors import CannotRun

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["temporary_file", "temporary_space"]


def temporary_file(in_memory: int = 0) -> IO[bytes]:
    """Return a file that has no name and vanishes when it is closed.

    Args:
        in_memory: Bytes up to which nothing is written to disk.
    """
    with temporary_space():
        return cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=in_memory or 1, prefix="phi3v-"))


@contextmanager
def temporary_space() -> Iterator[None]:
    """Say where the room ran out, when writing a temporary file fails.

    Raises:
        CannotRun: The system refused to write.
    """
    try:
        yield
    except OSError as error:
        raise CannotRun(
            f"cannot keep what was found in {tempfile.gettempdir()} ({error.strerror or error}): "
            "let TMPDIR name a folder on a disk with more room"
        ) from None
