"""Sampling frames from sound videos, whatever decodes them."""

from __future__ import annotations

import io
import subprocess
import sys
from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from phi3v_data.errors import MissingExtra, UsageError
from phi3v_data.media.video import (
    VIDEO_SUFFIXES,
    Decoder,
    frame_indices,
    resolve_decoder,
    sample_clip,
    write_video,
)
from tests.media import clips

DECODERS: list[Decoder] = ["pyav", "opencv", "decord"]
REPOSITORY = Path(__file__).parents[2]


def _numbers(images: list[bytes]) -> list[int]:
    return [clips.number(image) for image in images]


def _sizes(images: list[bytes]) -> set[tuple[int, int]]:
    return {Image.open(io.BytesIO(image)).size for image in images}


@pytest.mark.parametrize("num_frames", range(1, 41))
def test_indices_are_the_exact_floor(num_frames: int) -> None:
    for total in (1, 2, 5, 7, 8, 25, 164, 1001, 10**9 + 7):
        exact = [floor(k * Fraction(total, num_frames)) for k in range(num_frames)]
        assert frame_indices(total, num_frames) == exact


def test_eight_indices_are_those_of_a_float_range() -> None:
    for total in range(1, 5000):
        assert frame_indices(total, 8) == np.arange(0, total, total / 8).astype(int).tolist()


@pytest.mark.parametrize(("total", "num_frames"), [(0, 8), (8, 0), (-1, 8)])
def test_indices_of_nothing(total: int, num_frames: int) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        frame_indices(total, num_frames)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("name", ["xvid_b_frames.avi", "h264_b_frames.mp4", "mpeg4.mkv", "vp9.webm"])
def test_every_decoder_takes_the_same_frames(tmp_path: Path, name: str, decoder: Decoder) -> None:
    clip = sample_clip(clips.make(tmp_path, name), 8, decoder=decoder)
    assert _numbers(clip.images) == frame_indices(40, 8)
    assert (clip.total, clip.width, clip.height, clip.damage) == (40, clips.WIDTH, clips.HEIGHT, None)


@pytest.mark.parametrize("name", ["mpeg2.ts", "h264.ts", "h264_fragmented.mp4", "vp8_hidden_frames.webm"])
def test_opencv_in_difficult_containers(tmp_path: Path, name: str) -> None:
    assert _numbers(sample_clip(clips.make(tmp_path, name), 8, decoder="opencv").images) == frame_indices(40, 8)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("count", [1, 5])
def test_fewer_frames_than_asked_repeat(tmp_path: Path, decoder: Decoder, count: int) -> None:
    path = clips.make(tmp_path, "xvid_b_frames.avi", count=count, options={})
    clip = sample_clip(path, 8, decoder=decoder)
    assert _numbers(clip.images) == frame_indices(count, 8)
    assert clip.total == count


@pytest.mark.parametrize("name", ["mpeg4.mkv", "vp9.webm", "h264.ts"])
def test_headers_without_a_count(tmp_path: Path, name: str) -> None:
    path = clips.make(tmp_path, name)
    assert clips.header_count(path) == 0
    assert sample_clip(path, 8).total == 40


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("claimed", [0, 7, 400_000])
def test_headers_with_a_wrong_count(tmp_path: Path, claimed: int, decoder: Decoder) -> None:
    path = clips.wrong_counts(clips.make(tmp_path, "xvid_b_frames.avi"), claimed)
    assert clips.header_count(path) == claimed
    assert _numbers(sample_clip(path, 8, decoder=decoder).images) == frame_indices(40, 8)


@pytest.mark.parametrize("decoder", DECODERS)
def test_variable_frame_rate_counts_frames_not_seconds(tmp_path: Path, decoder: Decoder) -> None:
    clip = sample_clip(clips.variable_rate(tmp_path / "slow.mp4", 30), 8, decoder=decoder)
    assert _numbers(clip.images) == frame_indices(30, 8)


def test_frames_that_repeat_the_last_are_not_damage(tmp_path: Path) -> None:
    path = clips.unchanged_frames(tmp_path / "still.avi", coded=10, unchanged=10)
    clip = sample_clip(path, 8)
    assert clip.total < 20  # packets
    assert clip.images == clips.recipe(path)
    assert clip.damage is None


def test_frames_an_edit_list_hides_are_not_counted(tmp_path: Path) -> None:
    path = clips.edited(clips.make(tmp_path, "mpeg4.mp4", codec="mpeg4", options={"g": "1"}), first=10)
    clip = sample_clip(path, 8)
    assert clip.total == 30
    assert _numbers(clip.images) == [10 + index for index in frame_indices(30, 8)]


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_is_the_same_for_all(tmp_path: Path, degrees: int) -> None:
    path = clips.turned(clips.make(tmp_path, "h264_b_frames.mp4", count=4), degrees)
    upright = next(clips.frames(1))
    expected = np.rot90(upright, -degrees // 90)
    for decoder in DECODERS:
        clip = sample_clip(path, 1, decoder=decoder)
        pixels = np.asarray(Image.open(io.BytesIO(clip.images[0])), np.int16)
        assert (clip.height, clip.width) == pixels.shape[:2] == expected.shape[:2], decoder
        assert np.abs(pixels - expected).mean() < 8, decoder


@pytest.mark.parametrize(
    ("image_size", "size"),
    [(80, (80, 48)), (160, (160, 96)), (4000, (160, 96)), (1, (1, 1)), (None, (160, 96))],
)
def test_image_size_only_shrinks(tmp_path: Path, image_size: int | None, size: tuple[int, int]) -> None:
    clip = sample_clip(clips.make(tmp_path, "xvid_b_frames.avi"), 4, image_size=image_size)
    assert _sizes(clip.images) == {size} == {(clip.width, clip.height)}


def test_shrunk_frames_are_still_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clips.make(tmp_path, "xvid_b_frames.avi")
    with_opencv = sample_clip(path, 8, image_size=80)
    monkeypatch.setattr("phi3v_data.media.image.opencv", lambda: None)
    with_pillow = sample_clip(path, 8, image_size=80)
    assert _numbers(with_opencv.images) == _numbers(with_pillow.images) == frame_indices(40, 8)
    assert _sizes(with_pillow.images) == {(80, 48)}


def test_quality_reaches_the_encoder(tmp_path: Path) -> None:
    path = clips.make(tmp_path, "xvid_b_frames.avi")
    assert len(sample_clip(path, 1, quality=95).images[0]) > len(sample_clip(path, 1, quality=40).images[0])


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("name", ["a:b.avi", "%03d.avi", "http:x.avi", "no suffix", "ünï cödé.avi"])
def test_names_are_only_names(tmp_path: Path, name: str, decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    clips.make(tmp_path, "xvid_b_frames.avi").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert sample_clip(Path(name), 8, decoder=decoder).total == 40


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for name in ("xvid_b_frames.avi", "h264_b_frames.mp4", "mpeg4.mkv"):
            clips.make(tmp_path / folder, name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_written_video_has_rate_and_colours(tmp_path: Path) -> None:
    path = tmp_path / "red.avi"
    write_video(path, (np.full((64, 64, 3), (200, 30, 40), np.uint8) for _ in range(3)), fps=10)
    pixels = np.asarray(Image.open(io.BytesIO(sample_clip(path, 1).images[0])), np.int16)
    assert np.abs(pixels - (200, 30, 40)).max() < 12


def test_decoder_is_the_first_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_decoder("auto") == "pyav"
    assert [resolve_decoder(decoder) for decoder in DECODERS] == DECODERS
    monkeypatch.setitem(sys.modules, "av", None)
    assert resolve_decoder("auto") == "opencv"
    with pytest.raises(MissingExtra, match=r"'av'.*pip install .*video"):
        resolve_decoder("pyav")
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingExtra, match="pip install"):
        resolve_decoder("auto")
    monkeypatch.setitem(sys.modules, "decord", None)
    with pytest.raises(MissingExtra, match=r"pip install .*decord"):
        resolve_decoder("decord")


def test_suffixes() -> None:
    assert {".avi", ".mp4", ".mov", ".mkv", ".webm", ".ts", ".mpg", ".wmv", ".3gp"} <= VIDEO_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in VIDEO_SUFFIXES)


def test_importing_loads_no_decoder() -> None:
    loaded = _python("import sys, phi3v_data.media.video; print(*sys.modules)").split()
    assert not {"av", "cv2", "decord", "numpy", "PIL"} & set(loaded)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_memory_does_not_grow_with_the_clips(tmp_path: Path) -> None:
    for name in ("h264_b_frames.mp4", "xvid_b_frames.avi"):
        path = clips.make(tmp_path, name)
        write_video(path, clips.frames(16, 1280, 720), **clips.SOUND[name])
    code = f"""
from pathlib import Path
from phi3v_data.media.video import sample_clip
def peak_after(times):
    for _ in range(times):
        for path in sorted(Path({str(tmp_path)!r}).iterdir()):
            sample_clip(path, 8)
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024
print(peak_after(2), peak_after(8))
"""
    few, many = map(int, _python(code).split())
    assert many <= few + 4  # MB
    assert many <= 120


def _python(code: str) -> str:
    path = f"import sys; sys.path[:0] = {[str(REPOSITORY), str(REPOSITORY / 'schemas')]!r}\n"
    return subprocess.run(
        [sys.executable, "-c", path + code], capture_output=True, text=True, check=True, timeout=120
    ).stdout
