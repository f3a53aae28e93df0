"""The frames are those of the plain way, byte for byte: decode all, convert each alone, save with Pillow."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from phi3v_data.media import pyav
from phi3v_data.media.libav import reformatter
from phi3v_data.media.video import frame_indices, sample_clip
from tests.media import clips

REAL = Path(__file__).parents[3] / "shared" / "data" / "videos"
REAL_CLIPS = sorted(REAL.glob("*.avi")) + sorted(REAL.glob("*.mp4"))
# the decoded counts, by ffprobe -count_frames
TOTALS = {
    "v_ApplyEyeMakeup_g01_c01.avi": 164,
    "mmaction2_demo.mp4": 280,
    "mmaction2_part_0.mp4": 32,
    "bikes.mp4": 250,
    "ucf_like_xvid_packed_198f.avi": 198,
    "ucf_like_xvid_packed_3keys_122f.avi": 122,
}


@pytest.mark.parametrize("name", clips.SOUND)
def test_made_clips(tmp_path: Path, name: str) -> None:
    path = clips.make(tmp_path, name)
    clip = sample_clip(path, 8)
    assert clip.images == clips.recipe(path)
    assert [clips.number(image) for image in clip.images] == frame_indices(40, 8)


@pytest.mark.parametrize("path", REAL_CLIPS or [None], ids=lambda path: path.name if path else "none")
def test_real_clips(path: Path | None) -> None:
    if path is None:
        pytest.skip(f"no real clips at {REAL}: they are test data, not part of the repository")
    clip = sample_clip(path, 8)
    assert clip.images == clips.recipe(path)
    assert clip.total == TOTALS.get(path.name, clip.total)
    assert clip.damage is None


def test_more_packets_than_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clips.make(tmp_path, "xvid_b_frames.avi")
    monkeypatch.setattr("phi3v_data.media.pyav._HELD_BYTES", 1000)
    assert sample_clip(path, 8).images == clips.recipe(path)


@pytest.mark.parametrize("num_frames", [1, 3, 14, 40, 64])
def test_other_numbers_of_frames(tmp_path: Path, num_frames: int) -> None:
    path = clips.make(tmp_path, "h264_b_frames.mp4", count=30)
    assert sample_clip(path, num_frames).images == clips.recipe(path, num_frames)


def test_without_opencv_the_bytes_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clips.make(tmp_path, "xvid_b_frames.avi")
    monkeypatch.setattr("phi3v_data.media.image.opencv", lambda: None)
    assert sample_clip(path, 8).images == clips.recipe(path)


@pytest.mark.parametrize("pixel_format", sorted(pyav._SAME_EITHER_WAY))
def test_blue_first_gives_the_same_pixels(pixel_format: str) -> None:
    rng = np.random.default_rng(1)
    for width, height in ((320, 240), (161, 97), (2, 2), (17, 3), (350, 262), (33, 240), (99, 1)):
        frame = av.VideoFrame(width, height, pixel_format)
        for plane in frame.planes:
            plane.update(rng.bytes(plane.buffer_size))
        converted = (reformatter().reformat(frame, format=name, threads=1).to_ndarray() for name in ("rgb24", "bgr24"))
        red_first, blue_first = converted
        assert np.array_equal(red_first, blue_first[..., ::-1])
