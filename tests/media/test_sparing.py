"""Passing over B-frames gives the frames that decoding everything gives, or a doubt that leads to just that."""

from __future__ import annotations

import random
from pathlib import Path

import av
import pytest

from phi3v_data.errors import SourceError
from phi3v_data.media import pyav
from phi3v_data.media.mpeg4 import Picture, order_of_showing, read_pictures
from phi3v_data.media.video import Clip, frame_indices, sample_clip
from tests.media import clips

REAL = Path(__file__).parents[3] / "shared" / "data" / "videos"


class Outcomes(list[bool]):
    """What `sample_sparing` returned, call by call."""


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> Outcomes:
    """Note whether frames were spared; the real thing runs."""
    found, real = Outcomes(), pyav.sample_sparing

    def noting(*arguments: object) -> bool:
        found.append(real(*arguments))
        return found[-1]

    monkeypatch.setattr(pyav, "sample_sparing", noting)
    return found


def plainly(path: Path, num_frames: int = 8) -> Clip | str:
    """Sample with every frame decoded; the code of the error where that fails."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyav, "can_spare", lambda stream: False)
        return either(path, num_frames)


def either(path: Path, num_frames: int = 8) -> Clip | str:
    try:
        return sample_clip(path, num_frames)
    except SourceError as error:
        return error.code


@pytest.mark.parametrize("b_frames", [1, 2, 4])
@pytest.mark.parametrize("num_frames", [1, 5, 8, 40, 100])
def test_the_same_frames(tmp_path: Path, outcomes: Outcomes, b_frames: int, num_frames: int) -> None:
    path = clips.make(tmp_path, "xvid_b_frames.avi", count=53, options={"bf": str(b_frames), "g": "12"})
    assert sample_clip(path, num_frames).images == clips.recipe(path, num_frames)
    assert outcomes == [True]


@pytest.mark.parametrize("num_frames", [1, 5, 8, 40])
def test_packed_pictures(tmp_path: Path, outcomes: Outcomes, num_frames: int) -> None:
    path = clips.packed(tmp_path / "packed.avi", count=41)
    with av.open(str(path)) as container:
        sizes = [packet.size for packet in container.demux(video=0) if packet.size]
    assert len(sizes) == 41 and min(sizes) == len(clips.NOT_CODED)
    clip = sample_clip(path, num_frames)
    assert clip.images == clips.recipe(path, num_frames)
    assert [clips.number(image) for image in clip.images] == frame_indices(41, num_frames)
    assert outcomes == [True]


@pytest.mark.parametrize("path", sorted(REAL.glob("*.avi")) or [None], ids=lambda path: path.name if path else "none")
def test_real_clips_are_spared(path: Path | None, outcomes: Outcomes) -> None:
    if path is None:
        pytest.skip(f"no real clips at {REAL}: they are test data, not part of the repository")
    for num_frames in (1, 8, 31):
        assert sample_clip(path, num_frames) == plainly(path, num_frames)
    assert outcomes == [True] * 3


def test_nothing_to_spare_is_not_tried(tmp_path: Path, outcomes: Outcomes) -> None:
    for name in ("mpeg4.mkv", "h264_b_frames.mp4", "mpeg2.mpg"):
        sample_clip(clips.make(tmp_path, name), 8)
    assert outcomes == []


def test_damaged_files_give_what_decoding_everything_gives(tmp_path: Path, outcomes: Outcomes) -> None:
    """Files with bytes overwritten at random: where both ways accept one, they agree on every frame."""
    sources = [clips.make(tmp_path, "xvid_b_frames.avi", count=40), clips.packed(tmp_path / "packed.avi")]
    sources += sorted(REAL.glob("*.avi"))[-1:]
    agreed = 0  # files that both accept
    for seed in range(90):
        rng = random.Random(seed)
        content = bytearray(sources[seed % len(sources)].read_bytes())
        for _ in range(rng.randint(1, 2)):
            start = rng.randrange(2048, len(content) - 64)
            content[start : start + 8] = rng.randbytes(8)
        path = tmp_path / "mutated.avi"
        path.write_bytes(content)
        ours, theirs = either(path), plainly(path)
        if isinstance(ours, Clip) and isinstance(theirs, Clip):
            agreed += 1
            assert ours.images == theirs.images, seed
        elif isinstance(theirs, Clip):
            pytest.fail(f"seed {seed}: decoding everything accepts what sparing refuses: {ours}")
    assert agreed >= 3
    assert {True, False} == set(outcomes)


def pictures(text: str) -> list[Picture]:
    """Read "I0 P3 B1": types and times."""
    return [Picture("IPBS".index(word[0]), int(word[1:]), True, 100) for word in text.split()]


def test_order_of_showing() -> None:
    assert order_of_showing(pictures("I0 P1 P2")) == [0, 1, 2]
    assert order_of_showing(pictures("I0 P3 B1 B2 P5 B4")) == [0, 3, 1, 2, 5, 4]
    assert order_of_showing(pictures("I0 B1 P2")) is None  # made from a picture that is not there
    assert order_of_showing(pictures("I0 P3 B1 B2 B4 B5 P9")) is None  # P6 is lost: its B-pictures are passed over
    assert order_of_showing(pictures("I0 P3 B1 P5 B4")) is None  # B2 is lost
    assert order_of_showing(pictures("I0 P1 P4 B2")) == [0, 1, 3, 2]  # cut where B3 would follow
    assert order_of_showing(pictures("I0 P3 B1 B1")) is None


def packets_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def test_pictures_are_read_with_their_times(tmp_path: Path) -> None:
    packets = packets_of(clips.packed(tmp_path / "packed.avi", count=41))
    found = read_pictures(packets)
    assert found is not None
    assert sorted(picture.time for picture in found) == list(range(41))  # ticks of 1/25 s
    assert read_pictures(packets[1:]) is None  # without the layer's header there is no time


def test_packing_that_does_not_add_up_is_a_doubt(tmp_path: Path) -> None:
    packets = packets_of(clips.packed(tmp_path / "packed.avi", count=41))
    pair = next(index for index, data in enumerate(packets) if data.count(clips.VOP) == 2)
    empty = packets.index(clips.NOT_CODED)
    assert read_pictures(packets[:empty] + packets[empty + 1 :]) is None
    assert read_pictures(packets[:pair] + packets[pair + 1 :]) is None
    assert read_pictures([*packets, clips.NOT_CODED]) is None
    assert read_pictures([*packets, b"no picture"]) is None
    assert read_pictures([*packets, packets[pair] + packets[pair]]) is None
    assert read_pictures([packets[0].replace(b"1393p", b"1393n"), *packets[1:]]) is None  # packed, and denies it


def test_a_last_picture_that_never_comes_out(tmp_path: Path, outcomes: Outcomes) -> None:
    path = clips.packed(tmp_path / "packed.avi", count=41, ends_owing=True)
    for num_frames in (8, 40):
        assert sample_clip(path, num_frames).images == clips.recipe(path, num_frames)
    assert sample_clip(path, 8).total == len(packets_of(path))
    assert outcomes == [True] * 3
