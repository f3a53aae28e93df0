"""Real clips through the command: the frames are the recipe's, byte for byte."""

from __future__ import annotations

import importlib.util
import io
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers import convert, read_lines, run

REPOSITORY = Path(__file__).parents[2]
REAL = REPOSITORY.parent / "shared" / "data" / "videos"
PLACES = {
    "v_ApplyEyeMakeup_g01_c01.avi": "train/ApplyEyeMakeup",
    "bikes.mp4": "train/Biking",
    "mmaction2_demo.mp4": "val/ArmWrestling",
    "mmaction2_part_0.mp4": "test/ArmWrestling",
}


def recipe_frames(path: Path) -> list[bytes]:
    """Return the JPEG files that the recipe makes of a clip."""
    spec = importlib.util.spec_from_file_location("recipe_ucf101", REPOSITORY / "benchmarks" / "recipe_ucf101.py")
    assert spec and spec.loader
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    files = []
    for frame in recipe.sample(path):
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG")
        files.append(buffer.getvalue())
    return files


def test_real_clips_become_the_recipes_dataset(tmp_path: Path) -> None:
    clips = sorted(path for path in REAL.glob("*.*") if path.suffix in (".avi", ".mp4"))
    if not clips:
        pytest.skip(f"no real clips at {REAL}: they are test data, not part of the repository")
    raw, out = tmp_path / "raw", tmp_path / "out"
    originals = {}
    for clip in clips:
        place = PLACES.get(clip.name, "train/Other")
        (raw / place).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(clip, raw / place / clip.name)
        originals[f"{place}/{clip.stem}"] = clip
    done = convert(raw, out)
    assert done.stderr == ""
    assert not (out / "rejects.jsonl").exists()
    run("validate", out, "--strict")
    turns = [row["conversations"][0] for path in out.glob("ucf101_*.jsonl") for row in read_lines(path)]
    assert len(turns) == len(clips)
    for turn in turns:
        clip = originals.pop(turn["images"][0].removesuffix(".0.jpg"))
        assert [(out / "images" / name).read_bytes() for name in turn["images"]] == recipe_frames(clip), clip
    assert not originals
