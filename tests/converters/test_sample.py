"""`phi3v-data sample ucf101`: the same real AVI files every time, whose classes only motion tells apart."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from tests.helpers import convert, read_lines, run, snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MOTION = {"MoveDown": (1, 0), "MoveLeft": (0, -1), "MoveRight": (0, 1), "MoveUp": (-1, 0)}
"""Rows and columns from frame to frame, at half size."""


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "new" / "raw"
    done = run("sample", "ucf101", folder)
    assert f"phi3v-data convert ucf101 --source {folder} --out_dir" in done.stdout
    return folder


def shapes(path: Path) -> NDArray[np.bool_]:
    """Return where the shape is in each frame, (24, 60, 80), at half size: what is not dark."""
    with av.open(str(path)) as container:
        frames = np.stack([frame.to_ndarray(format="rgb24")[::2, ::2] for frame in container.decode(video=0)])
    return np.asarray((frames > 80).any(axis=-1))


def centre(shape: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return row and column of a shape's centre."""
    return np.argwhere(shape).mean(axis=0)


def test_it_is_a_small_ucf101_and_the_same_each_time(raw: Path, tmp_path: Path) -> None:
    files = snapshot(raw)
    assert len(files) == 120
    groups: dict[str, set[str]] = {"train": set(), "val": set(), "test": set()}
    for name, content in files.items():
        match = re.fullmatch(r"(train|val|test)/(Move\w+)/v_(Move\w+)_(g\d\d)_c0[12]\.avi", name)
        assert match and match[2] == match[3] and content[:4] == b"RIFF" and content[8:12] == b"AVI ", name
        groups[match[1]].add(f"{match[2]}/{match[4]}")
    assert {split: len(names) for split, names in groups.items()} == {"train": 32, "val": 8, "test": 20}
    assert len(groups["train"] | groups["val"] | groups["test"]) == 60
    run("sample", "ucf101", tmp_path / "again")
    assert snapshot(tmp_path / "again") == files


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = run("sample", "ucf101", tmp_path, code=2)
    assert done.stderr == f"Error: {tmp_path} is not empty: choose another folder for the sample\n"
    assert snapshot(tmp_path) == {"mine.txt": b"mine"}
    run("sample", "ucf101", tmp_path / "mine.txt", code=2)


def test_where_the_shape_begins_says_nothing_and_where_it_goes_says_all(raw: Path) -> None:
    begins: dict[str, list[NDArray[np.float64]]] = {label: [] for label in MOTION}
    for path in sorted(raw.glob("*/*/*.avi")):
        shape = shapes(path)
        assert shape.shape == (24, 60, 80)
        along, across = np.array(MOTION[path.parent.name]), np.array(MOTION[path.parent.name])[::-1]
        gone = centre(shape[-1]) - centre(shape[0])
        assert gone @ along > 12 and abs(gone @ across) < 4, path  # in part it may have left the picture
        begins[path.parent.name].append(centre(shape[0]))
    for label, places in begins.items():
        assert np.ptp(places, axis=0).min() > 4, label
        assert np.abs(np.mean(places, axis=0) - np.mean([*begins.values()], axis=(0, 1))).max() < 2, label


def test_it_converts_and_validates_clean(raw: Path, tmp_path: Path) -> None:
    convert(raw, tmp_path / "out", "--num_frames", "2")
    rows = {split: read_lines(tmp_path / "out" / f"ucf101_{split}.jsonl") for split in ("train", "val", "test")}
    assert {split: len(found) for split, found in rows.items()} == {"train": 64, "val": 16, "test": 40}
    assert rows["train"][0]["group"] == "MoveDown/g01"
    assert rows["test"][-1]["id"] == "test-0000000119"
    run("validate", tmp_path / "out", "--strict")
