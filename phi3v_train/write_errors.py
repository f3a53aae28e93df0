"""What went wrong while weights were written, in one sentence, whichever library met it."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from phi3v_data.fs import explain_os_error, is_disk_full

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["explain_write_error"]

_ENOUGH = 1 << 20


def explain_write_error(error: Exception, directory: Path) -> str:
    """Return one sentence for an error met while writing into a folder.

    safetensors tells the number of an operating-system error in its text alone, and torch that a write failed, not
    why: a disk without room is then asked.
    """
    if not isinstance(error, OSError) and (number := re.search(r"\(os error ([0-9]+)\)", str(error))):
        error = OSError(int(number[1]), str(error).partition(" (os error")[0])
    if isinstance(error, OSError):
        if is_disk_full(error):
            return explain_os_error(error, directory)
    elif _is_full(directory):
        return explain_os_error(OSError(28, ""), directory)
    return f"{directory} cannot be written: {getattr(error, 'strerror', None) or error}"


def _is_full(directory: Path) -> bool:
    existing = next((path for path in (directory, *directory.parents) if path.exists()), directory)
    return shutil.disk_usage(existing).free < _ENOUGH
