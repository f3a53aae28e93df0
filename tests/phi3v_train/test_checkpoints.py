"""Which checkpoint a run goes on from: the newest whole one, and only one of the same run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from phi3v_data.errors import CannotRun
from phi3v_train.checkpoints import (
    Checkpoint,
    checkpoint_folder,
    complete,
    find_checkpoint,
    newest,
    read_checkpoint,
    refuse_other_run,
    remove_checkpoint,
    remove_old,
)
from tests.helpers import snapshot

if TYPE_CHECKING:
    from pathlib import Path

LORA = {"method": "lora", "lora_rank": 8, "data": "abc"}


def write(output_dir: Path, step: int, *, mark: bool = True) -> Path:
    folder = checkpoint_folder(output_dir, step)
    (folder / "state").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights" * step)
    (folder / "state" / "rng.pth").write_bytes(b"random")
    if mark:
        complete(folder, step, LORA)
    return folder


def test_the_newest_whole_one_is_found(tmp_path: Path) -> None:
    assert newest(tmp_path / "nowhere") is None
    for step in (9, 10, 100):
        write(tmp_path, step)
    write(tmp_path, 200, mark=False)
    (tmp_path / "checkpoint-300").mkdir()
    (tmp_path / "checkpoint-best").mkdir()
    (tmp_path / "checkpoint-400").write_text("no folder")
    found = newest(tmp_path)
    assert found == Checkpoint(tmp_path / "checkpoint-100", 100, LORA)


@pytest.mark.parametrize("damage", ["cut", "gone", "mark cut", "mark of another kind"])
def test_one_that_lost_something_is_none(tmp_path: Path, damage: str) -> None:
    older, folder = write(tmp_path, 1), write(tmp_path, 2)
    if damage == "cut":
        (folder / "state" / "rng.pth").write_bytes(b"ran")
    elif damage == "gone":
        (folder / "model.safetensors").unlink()
    elif damage == "mark cut":
        (folder / "complete.json").write_text('{"step": 2')
    else:
        (folder / "complete.json").write_text('["step"]')
    assert read_checkpoint(folder) is None
    found = newest(tmp_path)
    assert found is not None and found.folder == older


def test_old_ones_and_parts_go_and_the_newest_whole_stay(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        write(tmp_path, step)
    write(tmp_path, 4, mark=False)
    (tmp_path / "final").mkdir()
    remove_old(tmp_path, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-2", "checkpoint-3", "final"]


def test_nothing_goes_while_none_is_whole(tmp_path: Path) -> None:
    write(tmp_path, 1, mark=False)
    before = snapshot(tmp_path)
    remove_old(tmp_path, keep=1)
    assert snapshot(tmp_path) == before


def test_removing_begins_with_the_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path, 1)
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)  # a kill that comes first
    remove_checkpoint(folder)
    assert (folder / "model.safetensors").exists() and newest(tmp_path) is None


def test_resume_by_name(tmp_path: Path) -> None:
    assert find_checkpoint("auto", tmp_path) is None and find_checkpoint("never", tmp_path) is None
    first, part = write(tmp_path, 1), write(tmp_path, 3, mark=False)
    write(tmp_path, 2)
    found = find_checkpoint(str(tmp_path / "checkpoint-2"), tmp_path)
    assert found is not None and found.step == 2
    found = find_checkpoint(str(first), tmp_path / "new")
    assert found is not None and found.step == 1
    further = write(tmp_path / "new", 5)
    found = find_checkpoint(str(first), tmp_path / "new")
    assert found is not None and found.folder == further
    with pytest.raises(CannotRun, match=r"checkpoint-2 is there, and going on from .*checkpoint-1 would mix two runs"):
        find_checkpoint(str(first), tmp_path)
    with pytest.raises(CannotRun, match="checkpoint-3 is no whole checkpoint: give a folder"):
        find_checkpoint(str(part), tmp_path)
    with pytest.raises(CannotRun, match=r"is of an earlier run, which --resume never would mix"):
        find_checkpoint("never", tmp_path)


@pytest.mark.parametrize(
    ("now", "says"),
    [
        ({**LORA, "method": "full"}, r"made with method lora \(now full\): give the same again"),
        ({**LORA, "lora_rank": 16, "data": "x"}, r"made with lora_rank 8 \(now 16\), data abc \(now x\): give"),
        ({**LORA, "deepspeed": "zero2"}, r"made with deepspeed None \(now zero2\)"),
    ],
)
def test_a_run_goes_on_with_the_same_settings_alone(tmp_path: Path, now: dict[str, object], says: str) -> None:
    found = read_checkpoint(write(tmp_path, 1))
    assert found is not None
    refuse_other_run(found, json.loads(json.dumps(LORA)))
    with pytest.raises(CannotRun, match=says):
        refuse_other_run(found, now)
