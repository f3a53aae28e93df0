"""The folder of a checkpoint: filled whole or not at all, and emptied only of a checkpoint."""

from __future__ import annotations

import json
import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING

from phi3v_data.errors import CannotRun, UsageError
from phi3v_data.fs import write_folder
from phi3v_train.write_errors import explain_write_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["how_to_load", "share_weights", "write_checkpoint"]

_CONFIG = "config.json"
_SUFFIXES = {".jinja", ".json", ".safetensors"}


@contextmanager
def write_checkpoint(directory: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a folder to save a checkpoint in; `directory` holds it when the block ends without an error.

    At any moment `directory` holds what it did, the new checkpoint, or no `config.json`: never one that is in part
    old. An error leaves what was there; after a kill that is put back by the next call.

    Args:
        directory: The folder to fill; it must be empty or not there.
        overwrite: Whether it may hold a Phi-3.5-vision checkpoint, which is replaced.

    Raises:
        UsageError: The folder holds something, or with `overwrite` something besides a checkpoint.
        CannotRun: The folder cannot be written, or another process is writing it.
    """
    from safetensors import SafetensorError

    before = _identity(directory)
    try:
        with write_folder(directory, last=_CONFIG) as folder:
            before = _identity(directory)  # what a killed run had moved is back
            _check_free(directory, set(directory.iterdir()) - set(folder.parents), overwrite)
            yield folder
            share_weights(folder)
    except (OSError, SafetensorError) as error:
        raise CannotRun(explain_write_error(error, directory)) from error
    except BaseException as error:
        if not isinstance(error, Exception):
            error.add_note(_how_to_go_on(directory, before))
        raise


def share_weights(folder: Path) -> None:
    """Let those read the weights in a folder who may read the folder; safetensors keeps them to their owner."""
    for file in folder.glob("*.safetensors"):
        file.chmod(folder.stat().st_mode & 0o666)


def how_to_load(directory: Path) -> str:
    """Return the command that loads a checkpoint in a fresh interpreter."""
    code = (
        "import phi3v_train.model, transformers; "
        f"print(transformers.AutoModelForCausalLM.from_pretrained({json.dumps(str(directory), ensure_ascii=False)}))"
    )
    return f"python -c {shlex.quote(code)}"


def _identity(directory: Path) -> int | None:
    """Return what tells one `config.json` from another that took its place."""
    config = directory / _CONFIG
    return config.stat().st_ino if config.exists() else None


def _how_to_go_on(directory: Path, before: int | None) -> str:
    if _identity(directory) in (before, None):
        return f"{directory} is as it was: run the same command again."
    return f"{directory} holds the new checkpoint: nothing is left to do."


def _check_free(directory: Path, entries: set[Path], overwrite: bool) -> None:
    if not entries:
        return
    if not overwrite:
        raise UsageError(f"{directory} is not empty: give another folder, or --overwrite to replace a checkpoint there")
    if not _is_checkpoint(directory, entries):
        raise UsageError(f"{directory} holds more or other than a Phi-3.5-vision checkpoint: it is not replaced")


def _is_checkpoint(directory: Path, entries: set[Path]) -> bool:
    """Tell whether a folder that holds these entries holds a checkpoint of this model and nothing else."""
    if any(entry.is_dir() or entry.suffix not in _SUFFIXES for entry in entries):
        return False
    try:
        config = json.loads((directory / _CONFIG).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("model_type") == "phi3_v"
