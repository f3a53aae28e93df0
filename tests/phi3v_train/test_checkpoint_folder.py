"""A checkpoint's folder appears whole or not at all, and takes the place of a checkpoint only."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from safetensors import SafetensorError

from phi3v_data.errors import CannotRun, UsageError
from phi3v_train.checkpoint_folder import write_checkpoint
from tests.helpers import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KILLED = """
import os, signal, sys
from pathlib import Path
from phi3v_train.checkpoint_folder import write_checkpoint

with write_checkpoint(Path(sys.argv[1]), overwrite=True) as folder:
    (folder / "config.json").write_text("{}")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def fill(directory: Path, *, overwrite: bool = False, **fields: object) -> None:
    """Write a checkpoint that is a `config.json` alone."""
    with write_checkpoint(directory, overwrite=overwrite) as folder:
        (folder / "config.json").write_text(json.dumps({"model_type": "phi3_v", **fields}))


def interrupted_after(count: int, error: BaseException) -> Callable[[Path, Path], Path]:
    """Return a `Path.rename` whose call number `count` raises when it is done."""
    calls = iter(range(1, 100))

    def rename(path: Path, target: Path) -> Path:
        path.replace(target)
        if next(calls) == count:
            raise error
        return target

    return rename


def test_a_new_or_empty_folder_is_filled(tmp_path: Path) -> None:
    fill(tmp_path / "some" / "where" / "new")
    (tmp_path / "empty").mkdir()
    fill(tmp_path / "empty")
    assert set(snapshot(tmp_path)) == {"some/where/new/config.json", "empty/config.json"}


def test_whoever_may_read_the_folder_may_read_its_files(tmp_path: Path) -> None:
    with write_checkpoint(tmp_path / "c") as folder:
        (folder / "model.safetensors").touch(0o600)
    (tmp_path / "usual").touch()
    assert (tmp_path / "c" / "model.safetensors").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_checkpoint_is_replaced_when_told_to(tmp_path: Path) -> None:
    fill(tmp_path / "c", seed=1)
    (tmp_path / "c" / "model-00001-of-00002.safetensors").write_bytes(b"old")
    before = snapshot(tmp_path)
    with pytest.raises(UsageError, match="is not empty: give another folder, or --overwrite"):
        fill(tmp_path / "c", seed=2)
    assert snapshot(tmp_path) == before
    fill(tmp_path / "c", seed=2, overwrite=True)
    assert set(snapshot(tmp_path)) == {"c/config.json"}
    assert b'"seed": 2' in snapshot(tmp_path)["c/config.json"]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("notes.txt", ""),
        ("run/config.json", "{}"),
        ("config.json", '{"model_type": "llama"}'),
        ("config.json", "[]"),
        ("config.json", "no JSON"),
        ("adapter_config.json", None),
    ],
)
def test_anything_else_is_not_replaced(tmp_path: Path, path: str, content: str | None) -> None:
    if content is not None:
        fill(tmp_path)
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text(content or "{}")
    before = snapshot(tmp_path)
    with pytest.raises(UsageError, match="holds more or other than"):
        fill(tmp_path, overwrite=True)
    assert snapshot(tmp_path) == before


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    fill(tmp_path / "c")
    before = snapshot(tmp_path)
    with pytest.raises(KeyboardInterrupt), write_checkpoint(tmp_path / "c", overwrite=True) as folder:
        (folder / "half").write_text("written")
        raise KeyboardInterrupt
    assert snapshot(tmp_path) == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize("replaced", [False, True])
def test_a_kill_leaves_what_was_there(tmp_path: Path, replaced: bool) -> None:
    if replaced:
        fill(tmp_path / "c")
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "c"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "c" / "config.json").exists() == replaced
    fill(tmp_path / "c", overwrite=replaced, seed=3)
    assert set(snapshot(tmp_path)) == {"c/config.json"}
    assert b'"seed": 3' in snapshot(tmp_path)["c/config.json"]


@pytest.mark.parametrize(
    ("renames", "says"),
    [
        (None, "{} is as it was: run the same command again."),
        (1, "{} is as it was: run the same command again."),
        (2, "{} holds the new checkpoint: nothing is left to do."),
    ],
)
def test_an_interruption_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int | None, says: str
) -> None:
    fill(tmp_path / "c", seed=1)
    before = snapshot(tmp_path)
    error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt) as caught, write_checkpoint(tmp_path / "c", overwrite=True) as folder:
        (folder / "config.json").write_text("new")
        if renames is None:
            raise error
        monkeypatch.setattr("pathlib.Path.rename", interrupted_after(renames, error))
    assert caught.value.__notes__ == [says.format(tmp_path / "c")]
    assert (snapshot(tmp_path) == before) == ("as it was" in says)
    assert set(snapshot(tmp_path)) == {"c/config.json"}


def test_a_second_run_at_once_fails_and_disturbs_nothing(tmp_path: Path) -> None:
    with write_checkpoint(tmp_path / "c") as folder:
        (folder / "config.json").write_text("first")
        with pytest.raises(CannotRun, match="c cannot be written: another run is writing there, wait for it or"):
            fill(tmp_path / "c", overwrite=True)
    assert snapshot(tmp_path) == {"c/config.json": b"first"}


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            OSError(28, "No space left on device"),
            "no space left for {}: free some space and run the same command again",
        ),
        (
            SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
            "no space left for {}: free some space and run the same command again",
        ),
        (
            SafetensorError("Error while serializing: I/O error: Input/output error (os error 5)"),
            "{} cannot be written: Error while serializing: I/O error: Input/output error",
        ),
        (PermissionError(13, "Permission denied", "x"), "{} cannot be written: Permission denied"),
    ],
)
def test_what_went_wrong_is_one_sentence(tmp_path: Path, error: Exception, says: str) -> None:
    with pytest.raises(CannotRun) as caught, write_checkpoint(tmp_path / "c"):
        raise error
    assert str(caught.value) == says.format(tmp_path / "c")
    assert not list(tmp_path.iterdir())
