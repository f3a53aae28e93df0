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

MOTION = {"MoveDown": (2, 0), "MoveLeft": (0, -2), "MoveRight": (0, 2), "MoveUp": (-2, 0)}
"""Rows and columns from frame to frame, at half size."""


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "new" / "raw"
    done = run("sample", "ucf101", folder)
    assert f"phi3v-data convert ucf101 --source {folder} --out_dir" in done.stdout
    return folder


def shapes(path: Path) -> NDArray[np.bool_]:
    """Return where the shape is in each frame, (24, 60, 80), at half size: what is not there most of the time."""
    with av.open(str(path)) as container:
        frames = np.stack([frame.to_ndarray(format="rgb24")[::2, ::2] for frame in container.decode(video=0)]).astype(
            np.int16
        )
    return (np.abs(frames - np.median(frames, axis=0)) > 30).any(axis=-1)


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


def test_where_the_shape_is_says_nothing_and_where_it_goes_says_all(raw: Path) -> None:
    first_seen: dict[str, list[tuple[int, int]]] = {label: [] for label in MOTION}
    for path in sorted(raw.glob("train/*/*.avi")):
        shape = shapes(path)
        assert shape.shape == (24, 60, 80)
        assert shape.any(axis=(1, 2)).all(), path
        overlap = {label: (np.roll(shape[:-1], step, axis=(1, 2)) & shape[1:]).sum() for label, step in MOTION.items()}
        assert max(overlap, key=overlap.__getitem__) == path.parent.name
        rows, columns = np.nonzero(shape[0])
        first_seen[path.parent.name].append((int(np.median(rows)), int(np.median(columns))))
    for label, places in first_seen.items():
        rows, columns = np.array(places).T
        assert np.ptp(rows) > 60 // 2, label
        assert np.ptp(columns) > 80 // 2, label


def test_it_converts_and_validates_clean(raw: Path, tmp_path: Path) -> None:
    convert(raw, tmp_path / "out", "--num_frames", "2")
    rows = {split: read_lines(tmp_path / "out" / f"ucf101_{split}.jsonl") for split in ("train", "val", "test")}
    assert {split: len(found) for split, found in rows.items()} == {"train": 64, "val": 16, "test": 40}
    assert rows["train"][0]["group"] == "MoveDown/g01"
    assert rows["test"][-1]["id"] == "test-0000000119"
    run("validate", tmp_path / "out", "--strict")
