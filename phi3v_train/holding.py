"""One run at a time in a folder."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from phi3v_data.errors import CannotRun
from phi3v_data.fs import FolderHeld, hold_folder
from phi3v_train.write_errors import explain_write_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["hold_output"]


@contextmanager
def hold_output(output_dir: Path) -> Iterator[None]:
    """Make a folder and keep a second run out of it.

    Raises:
        CannotRun: There is one at work in it, or it cannot be made.
    """
    with ExitStack() as held:
        try:
            held.enter_context(hold_folder(output_dir, without_locks=True))
        except FolderHeld as error:
            raise CannotRun(
                f"another run is at work in {output_dir}: wait for it, or give another --output_dir"
            ) from error
        except OSError as error:
            raise CannotRun(explain_write_error(error, output_dir)) from error
        yield
