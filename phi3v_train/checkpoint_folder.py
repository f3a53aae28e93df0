"""The folder of a checkpoint: written whole or not at all, and replaced only if it holds a checkpoint."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from phi3v_data.errors import CannotRun, UsageError
from phi3v_data.fs import explain_os_error, is_disk_full, write_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["write_checkpoint"]

_SUFFIXES = {".jinja", ".json", ".safetensors"}


@contextmanager
def write_checkpoint(directory: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a folder to save a checkpoint in; it becomes `directory` when the block ends without an error.

    Args:
        directory: The folder to make; it must be empty or not there.
        overwrite: Whether it may hold a Phi-3.5-vision checkpoint, which is replaced.

    Raises:
        UsageError: The folder holds something, or with `overwrite` something besides a checkpoint.
        CannotRun: The folder cannot be written.
    """
    from safetensors import SafetensorError

    try:
        _check_free(directory, overwrite)
        with write_folder(directory) as folder:
            yield folder
            for file in folder.glob("*.safetensors"):  # made so that nobody else may read them
                file.chmod(folder.stat().st_mode & 0o666)
    except (OSError, SafetensorError) as error:
        raise CannotRun(_explain(error, directory)) from error


def _check_free(directory: Path, overwrite: bool) -> None:
    if not directory.exists() or not any(directory.iterdir()):
        return
    if not overwrite:
        raise UsageError(f"{directory} is not empty: give another folder, or --overwrite to replace a checkpoint there")
    if not _is_checkpoint(directory):
        raise UsageError(f"{directory} holds more or other than a Phi-3.5-vision checkpoint: it is not replaced")


def _is_checkpoint(directory: Path) -> bool:
    """Tell whether a folder holds a checkpoint of this model and nothing else."""
    if any(entry.is_dir() or entry.suffix not in _SUFFIXES for entry in directory.iterdir()):
        return False
    try:
        config = json.loads((directory / "config.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("model_type") == "phi3_v"


def _explain(error: Exception, directory: Path) -> str:
    """Return one sentence; safetensors tells the number of an operating-system error in its text alone."""
    if not isinstance(error, OSError) and (number := re.search(r"\(os error ([0-9]+)\)", str(error))):
        error = OSError(int(number[1]), str(error).partition(" (os error")[0])
    if isinstance(error, OSError) and is_disk_full(error):
        return explain_os_error(error, directory)
    return f"{directory} cannot be written: {getattr(error, 'strerror', None) or error}"
