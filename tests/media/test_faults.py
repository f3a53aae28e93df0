"""Every fault a video can have becomes one SourceError with its code, and never a wrong or missing frame."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import re
import socket
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from phi3v_data.errors import SourceError
from phi3v_data.media.containers import container_kind, cut_short, matroska_duration
from phi3v_data.media.video import Clip, Decoder, frame_indices, sample_clip, write_video
from tests.media import clips

DECODERS: list[Decoder] = ["pyav", "opencv", "decord"]

# text that some decoder would follow to another file, a device or a host
PLAYLISTS = {
    "concat": "ffconcat version 1.0\nfile '{other}'\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{other}\n#EXT-X-ENDLIST\n",
    "hls_file": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{other}\n#EXT-X-ENDLIST\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period>'
    '<BaseURL>{other}</BaseURL><AdaptationSet mimeType="video/mp4"><Representation id="1"/>'
    "</AdaptationSet></Period></MPD>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "avisynth": 'DirectShowSource("{other}")\n',
}


def _refused(path: Path, decoder: Decoder = "pyav", *, allow_damaged: bool = False) -> str:
    """Return the code of the error, after a look at its message."""
    with pytest.raises(SourceError) as caught:
        sample_clip(path, 8, decoder=decoder, allow_damaged=allow_damaged)
    message = str(caught.value)
    assert re.fullmatch(r"[A-Z][^\n]+", message)
    assert str(path.parent) not in message
    if caught.value.code in ("truncated", "damaged"):
        way_out = "nothing of it decodes" if allow_damaged else "pass --allow_damaged to keep what decodes"
        assert message.endswith(f"; {way_out}")
    return caught.value.code


def _kept(path: Path, decoder: Decoder = "pyav") -> Clip:
    """Sample with damage allowed: eight readable frames in order, of those that decode."""
    clip = sample_clip(path, 8, decoder=decoder, allow_damaged=True)
    assert clip.damage
    assert len(clip.images) == 8
    for image in clip.images:
        Image.open(io.BytesIO(image)).load()
    return clip


def _numbers(clip: Clip) -> list[int]:
    return [clips.number(image) for image in clip.images]


@pytest.mark.parametrize("decoder", DECODERS)
def test_missing(tmp_path: Path, decoder: Decoder) -> None:
    assert _refused(tmp_path / "gone.avi", decoder) == "missing"


@pytest.mark.parametrize("decoder", DECODERS)
def test_empty(tmp_path: Path, decoder: Decoder) -> None:
    path = tmp_path / "empty.avi"
    path.touch()
    assert _refused(path, decoder) == "empty"


def test_folder_and_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.avi")
    assert _refused(tmp_path) == _refused(tmp_path / "pipe.avi") == "not_a_video"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_without_permission(tmp_path: Path) -> None:
    path = clips.make(tmp_path, "mpeg4.mkv")
    path.chmod(0)
    assert _refused(path) == "unreadable"


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("suffix", [".avi", ".mp4", ".mkv", ".ts", ".srt", ".m3u8"])
def test_text(tmp_path: Path, suffix: str, decoder: Decoder) -> None:
    path = tmp_path / f"text{suffix}"
    path.write_text("1\n00:00:01,000 --> 00:00:02,000\nThis is no video.\n" * 50)
    assert _refused(path, decoder) == "not_a_video"
    assert _refused(path, decoder, allow_damaged=True) == "not_a_video"


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_image(tmp_path: Path, form: str, decoder: Decoder) -> None:
    path = tmp_path / "image.avi"
    Image.new("RGB", (64, 64), "red").save(path, form)
    assert _refused(path, decoder) == "not_a_video"


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("seed", range(3))
def test_noise(tmp_path: Path, seed: int, decoder: Decoder) -> None:
    path = tmp_path / "noise.avi"
    path.write_bytes(np.random.default_rng(seed).bytes(20_000))
    assert _refused(path, decoder) == "not_a_video"


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_playlists_open_nothing(tmp_path: Path, kind: str, decoder: Decoder) -> None:
    other = clips.make(tmp_path, "xvid_b_frames.avi", count=10)
    path = tmp_path / "playlist.avi"
    path.write_text(PLAYLISTS[kind].format(other=other))
    past = (1, 1)
    os.utime(other, past)  # so that a read moves its access time, wherever the file system keeps one
    assert _refused(path, decoder, allow_damaged=True) == "not_a_video"
    assert other.stat().st_atime == 1


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("kind", ["concat", "hls", "dash"])
def test_playlists_call_nobody(tmp_path: Path, kind: str, decoder: Decoder) -> None:
    path = tmp_path / "playlist.avi"
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        host, port = server.getsockname()
        path.write_text(PLAYLISTS[kind].format(other=f"http://{host}:{port}/clip.ts"))
        assert _refused(path, decoder, allow_damaged=True) == "not_a_video"
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".mp4", ".ts"])
def test_audio_only(tmp_path: Path, suffix: str, decoder: Decoder) -> None:
    path = clips.audio_only(tmp_path / f"sound{suffix}")
    assert _refused(path, decoder) in {"no_video_stream"} | ({"unsupported"} if decoder == "decord" else set())


def test_audio_only_without_a_container(tmp_path: Path) -> None:
    assert _refused(clips.audio_only(tmp_path / "sound.wav")) == "no_video_stream"


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("name", ["xvid_b_frames.avi", "h264_faststart.mp4", "mpeg4.mkv", "vp9.webm"])
def test_cut_short(tmp_path: Path, name: str, share: float, decoder: Decoder) -> None:
    path = clips.cut(clips.make(tmp_path, name), share)
    assert _refused(path, decoder) == "truncated"


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("name", ["xvid_b_frames.avi", "h264_faststart.mp4", "mpeg4.mkv"])
def test_cut_short_and_kept(tmp_path: Path, name: str, decoder: Decoder) -> None:
    path = clips.make(tmp_path, name, options={"g": "4"})
    clip = _kept(clips.cut(path, 0.75), decoder)
    assert 16 < clip.total < 40  # so that the last frame, perhaps half of it, is not among the eight
    assert _numbers(clip) == frame_indices(clip.total, 8)


@pytest.mark.parametrize("missing", [1, 100])
@pytest.mark.parametrize("name", ["xvid_b_frames.avi", "h264_faststart.mp4", "mpeg4.mkv"])
def test_cut_by_a_few_bytes(tmp_path: Path, name: str, missing: int) -> None:
    path = clips.make(tmp_path, name)
    path.write_bytes(path.read_bytes()[:-missing])
    assert _refused(path) == "truncated"


def test_mp4_cut_before_its_index(tmp_path: Path) -> None:
    path = clips.cut(clips.make(tmp_path, "h264_b_frames.mp4"), 0.5)
    assert _refused(path) == "truncated"
    assert _refused(path, allow_damaged=True) == "truncated"


def test_mp4_with_something_appended(tmp_path: Path) -> None:
    path = clips.make(tmp_path, "h264_faststart.mp4")
    path.write_bytes(path.read_bytes() + b"\x7f\xff\xff\xffSEFT" + bytes(40))
    assert sample_clip(path, 8).damage is None


def test_mp4_whose_index_is_gone(tmp_path: Path) -> None:
    path = clips.make(tmp_path, "h264_b_frames.mp4")
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"moov") - 4])
    assert "'moov' box) is missing" in (cut_short(path) or "")
    assert _refused(path, allow_damaged=True) == "truncated"


def test_last_packet_cut_where_the_container_states_no_length(tmp_path: Path) -> None:
    path = clips.cut(clips.make(tmp_path, "clip.flv", codec="flv"), 0.6)
    assert cut_short(path) is None
    assert _refused(path) == "truncated"
    assert _kept(path).total < 40


def test_matroska_that_ends_before_its_duration(tmp_path: Path) -> None:
    path = clips.cut(clips.streamed_matroska(tmp_path / "stream.mkv", count=60), 0.55)
    assert cut_short(path) is None
    assert matroska_duration(path) == pytest.approx(60 / 25)
    assert _refused(path) in ("truncated", "damaged")
    clip = _kept(path)
    assert _numbers(clip) == frame_indices(clip.total, 8)


@pytest.mark.parametrize("count", [1, 2, 60])
def test_matroska_that_states_no_length_is_whole(tmp_path: Path, count: int) -> None:
    clip = sample_clip(clips.streamed_matroska(tmp_path / "stream.mkv", count=count), 8)
    assert (clip.total, clip.damage) == (count, None)


def test_matroska_with_longer_sound_is_whole(tmp_path: Path) -> None:
    path = clips.with_longer_sound(tmp_path / "sound.mkv", count=25, seconds=3)
    assert matroska_duration(path) == pytest.approx(3, abs=0.1)
    assert sample_clip(path, 8).damage is None


def test_transport_stream_cannot_be_judged(tmp_path: Path) -> None:
    path = clips.make(tmp_path, "mpeg2.ts")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10 // 188 * 188])
    assert cut_short(path) is None


@pytest.mark.parametrize("name", ["xvid_b_frames.avi", "h264_faststart.mp4", "mpeg2.mpg", "mpeg2.ts", "av1.mp4"])
def test_damaged_middle(tmp_path: Path, name: str) -> None:
    path = clips.damage_middle(clips.make(tmp_path, name))
    assert _refused(path) == "damaged"
    _kept(path)


@pytest.mark.parametrize("name", ["mpeg4.mkv", "vp9.webm"])
def test_damaged_middle_of_matroska_may_end_it(tmp_path: Path, name: str) -> None:
    path = clips.damage_middle(clips.make(tmp_path, name))
    assert _refused(path) in ("damaged", "truncated")
    _kept(path)


def test_enormous_frames_are_refused_before_decoding(tmp_path: Path) -> None:
    path = clips.make(tmp_path, "raw.avi", count=3, codec="rawvideo")
    content = bytearray(path.read_bytes())
    struct.pack_into("<ii", content, content.index(b"strf") + 12, 60_000, 60_000)
    path.write_bytes(content)
    assert _refused(path) in ("unsupported", "damaged")
    assert _refused(path, "opencv", allow_damaged=True) in ("unsupported", "no_video_stream", "no_frames")


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("name", ["av1.mp4"])
def test_av1_decodes_or_is_refused(tmp_path: Path, name: str, decoder: Decoder) -> None:
    path = clips.make(tmp_path, name)
    if decoder == "pyav":
        assert _numbers(sample_clip(path, 8)) == frame_indices(40, 8)
    else:
        assert _refused(path, decoder) in ("unsupported", "no_video_stream", "no_frames")


@pytest.mark.parametrize("name", ["xvid_b_frames.avi", "h264_faststart.mp4", "mpeg4.mkv", "vp9.webm", "h264.ts"])
def test_any_damage_ends_in_an_error_or_frames(tmp_path: Path, name: str) -> None:
    content = clips.make(tmp_path, name, count=12).read_bytes()
    random = np.random.default_rng(11)
    path = tmp_path / f"mutant{Path(name).suffix}"
    for _ in range(25):
        mutant = bytearray(content)
        for position in random.integers(0, len(content), size=4):
            mutant[position] = random.integers(256)
        path.write_bytes(mutant[: random.integers(len(content) // 2, len(content) + 1)])
        for allow_damaged in (False, True):
            try:
                assert len(sample_clip(path, 4, allow_damaged=allow_damaged).images) == 4
            except SourceError as error:
                assert error.code


@pytest.mark.parametrize(
    "content",
    [
        b"RIFF\xff\xff\xff\xffAVI " + bytes(100),
        b"RIFF\x00\x00\x00\x00AVI " + b"RIFF" * 50,
        (struct.pack(">I4s", 8, b"free") * 120_000),
        struct.pack(">I4sQ", 1, b"mdat", 2**64 - 1),
        struct.pack(">I4s", 0, b"mdat"),
        struct.pack(">I4s", 3, b"moov") + bytes(64),
        b"\x1a\x45\xdf\xa3" + b"\x01" + b"\xff" * 7 + bytes(64),
        b"\x1a\x45\xdf\xa3" + b"\x01" + b"\xfe" * 7 + bytes(64),
        b"\x1a\x45\xdf\xa3\x80" + b"\x18\x53\x80\x67\x08" + b"\xff" * 7,
        b"\x1a\x45\xdf\xa3\x80" * 1000,
        b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x90\x15\x49\xa9\x66\x81\x44",
    ],
)
def test_hostile_sizes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "hostile.bin"
    path.write_bytes(content)
    assert container_kind(content[:512])
    cut_short(path)
    matroska_duration(path)
    assert _refused(path) in ("not_a_video", "truncated", "no_frames", "no_video_stream", "damaged")


def test_open_dml_has_several_chunks(tmp_path: Path) -> None:
    path = clips.make(tmp_path, "xvid_b_frames.avi")
    whole = path.read_bytes() + b"RIFF" + struct.pack("<I", 12) + b"AVIX" + bytes(8)
    path.write_bytes(whole)
    assert cut_short(path) is None
    path.write_bytes(whole[:-1])
    assert "1 bytes beyond" in (cut_short(path) or "")


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    paths = [clips.damage_middle(clips.make(tmp_path, name)) for name in ("h264_faststart.mp4", "xvid_b_frames.avi")]
    capfd.readouterr()
    for path, decoder in itertools.product(paths, ("pyav", "opencv")):
        with contextlib.suppress(SourceError):
            sample_clip(path, 8, decoder=decoder, allow_damaged=True)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_damage_does_not_leak_into_the_next_clip(tmp_path: Path) -> None:
    sound = clips.make(tmp_path, "h264_faststart.mp4")
    before = sample_clip(sound, 8)
    _refused(clips.damage_middle(sound))
    assert sample_clip(sound, 8) == before


def test_write_refuses_an_unknown_container(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="output format"):
        write_video(tmp_path / "clip.unknown", clips.frames(1))
