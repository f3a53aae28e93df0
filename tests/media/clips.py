"""Video files for the tests, made on the spot: sound ones of many kinds, and one for every fault."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
from PIL import Image

from phi3v_data.media.video import write_video

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

WIDTH, HEIGHT = 160, 96
_BITS = 6
VOP = b"\x00\x00\x01\xb6"
NOT_CODED = VOP + int("01010000010" + "01111", 2).to_bytes(2)

# what to write, by a name that says what is special about it
SOUND = {
    "xvid_b_frames.avi": {"codec": "mpeg4", "codec_tag": "XVID", "options": {"bf": "2", "g": "250"}},
    "h264_b_frames.mp4": {"codec": "libx264", "options": {"bf": "3", "g": "30"}},
    "h264_faststart.mp4": {"codec": "libx264", "container_options": {"movflags": "+faststart"}},
    "h264_fragmented.mp4": {
        "codec": "libx264",
        "container_options": {"movflags": "+frag_keyframe+empty_moov"},
    },
    "h264_444.mp4": {"codec": "libx264", "pixel_format": "yuv444p"},
    "h264_10_bit.mkv": {"codec": "libx264", "pixel_format": "yuv420p10le"},
    "h264.ts": {"codec": "libx264", "options": {"bf": "2"}},
    "mpeg4.mkv": {"codec": "mpeg4"},
    "mpeg2.mpg": {"codec": "mpeg2video", "options": {"bf": "2"}},
    "mpeg2.ts": {"codec": "mpeg2video", "options": {"bf": "2"}},
    "mjpeg.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    "vp8_hidden_frames.webm": {
        "codec": "libvpx",
        "options": {"auto-alt-ref": "1", "lag-in-frames": "16", "b": "200k", "deadline": "realtime"},
    },
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "av1.mp4": {"codec": "libsvtav1", "options": {"preset": "12", "svtav1-params": "lp=1"}},
    "hevc.mp4": {
        "codec": "libx265",
        "options": {"preset": "ultrafast", "x265-params": "log-level=none:pools=1"},
    },
}


def frames(count: int, width: int = WIDTH, height: int = HEIGHT) -> Iterator[NDArray[np.uint8]]:
    """Draw frames that tell which they are: bars for the bits of their number, above a moving square."""
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    ground = np.stack([across * 255 // width, down * 255 // height, np.full_like(across, 90)], axis=-1)
    for index in range(count):
        picture = ground.astype(np.uint8)
        for bit in range(_BITS):
            left = bit * width // _BITS
            picture[: height // 3, left : left + width // _BITS] = 235 if index >> bit & 1 else 20
        left = index * 3 % (width - 16)
        picture[height // 2 : height // 2 + 16, left : left + 16] = (240, 40, 60)
        yield picture


def number(jpeg: bytes) -> int:
    """Read a frame's number, modulo 64, back from its bars."""
    image = Image.open(io.BytesIO(jpeg)).convert("L")
    height = image.height // 6
    return sum(
        (image.getpixel(((2 * bit + 1) * image.width // (2 * _BITS), height)) > 127) << bit for bit in range(_BITS)
    )


def make(folder: Path, name: str, count: int = 40, **changes: object) -> Path:
    """Write one of the `SOUND` videos."""
    path = folder / name
    write_video(path, frames(count), **(SOUND.get(name, {}) | changes))
    return path


def recipe(path: Path, num_frames: int = 8) -> list[bytes]:
    """Sample as people do: decode up to the last index, convert each frame on its own, save with Pillow."""
    with av.open(str(path)) as container:
        total = sum(1 for _ in container.decode(video=0))
    indices = [k * total // num_frames for k in range(num_frames)]
    found = {}
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index in indices:
                buffer = io.BytesIO()
                Image.fromarray(frame.to_ndarray(format="rgb24")).save(buffer, "JPEG", quality=75)
                found[index] = buffer.getvalue()
            if index == indices[-1]:
                break
    return [found[index] for index in indices]


def cut(path: Path, share: float) -> Path:
    """Cut a file short; returns the path of the copy."""
    content = path.read_bytes()
    return _beside(path, "cut", content[: int(len(content) * share)])


def damage_middle(path: Path) -> Path:
    """Overwrite a fifth of a file, in its middle, with noise; returns the path of the copy."""
    content = bytearray(path.read_bytes())
    start, length = len(content) * 2 // 5, len(content) // 5
    content[start : start + length] = np.random.default_rng(3).bytes(length)
    return _beside(path, "damaged", bytes(content))


def wrong_counts(path: Path, count: int) -> Path:
    """Let an AVI's two headers claim another number of frames; returns the path of the copy."""
    content = bytearray(path.read_bytes())
    for chunk, field in ((b"avih", 16), (b"strh", 32)):
        start = content.index(chunk) + 8 + field
        content[start : start + 4] = struct.pack("<I", count)
    return _beside(path, f"count{count}", bytes(content))


def turned(path: Path, degrees: int) -> Path:
    """Set the matrix of an MP4's track header, as a phone held sideways does; returns the copy."""
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40
    cosine, sine = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    content[start : start + 36] = struct.pack(
        ">9i", cosine << 16, sine << 16, 0, -sine << 16, cosine << 16, 0, 0, 0, 1 << 30
    )
    return _beside(path, f"turned{degrees}", bytes(content))


def variable_rate(path: Path, count: int = 30) -> Path:
    """Write a video whose frames stand longer and longer."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, width=WIDTH, height=HEIGHT, pix_fmt="yuv420p")
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, pixels in enumerate(frames(count)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index * index * 7 + index, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def audio_only(path: Path) -> Path:
    """Write a second of silence."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mp2", rate=16000)
        silence = np.zeros((1, 16000), np.int16)
        frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="mono")
        frame.rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def header_count(path: Path) -> int:
    """Return the number of frames that the container's header claims."""
    with av.open(str(path)) as container:
        return container.streams.video[0].frames


def unchanged_frames(path: Path, coded: int, unchanged: int) -> Path:
    """Write an MPEG-4 AVI that ends in VOPs "not coded" (ISO/IEC 14496-2): no frames come of them."""
    first = make(path.parent, "coded.avi", coded, codec="mpeg4")
    with av.open(str(first)) as source, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                container.mux(packet)
        for index in range(coded, coded + unchanged):
            # start code; P, no whole second, marker, time in 25ths, marker, not coded, stuffing
            bits = f"0101{index % 25:05b}10" + "01111"
            packet = av.Packet(VOP + int(bits, 2).to_bytes(2))
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = index
            container.mux(packet)
    return path


def edited(path: Path, first: int, rate: int = 25) -> Path:
    """Let an MP4's edit list begin at a later frame; returns the path of the copy."""
    content = bytearray(path.read_bytes())
    scale = struct.unpack_from(">I", content, content.index(b"mdhd") + 4 + 12)[0]
    start = content.index(b"elst") + 4 + 8
    duration, media_time = struct.unpack_from(">Ii", content, start)
    movie = struct.unpack_from(">I", content, content.index(b"mvhd") + 4 + 12)[0]
    struct.pack_into(">Ii", content, start, duration - first * movie // rate, media_time + first * scale // rate)
    return _beside(path, "edited", bytes(content))


def streamed_matroska(path: Path, count: int) -> Path:
    """Write a Matroska file that states a duration, yet no lengths of Segment and Clusters."""
    write_video(
        path,
        frames(count),
        codec="mpeg4",
        options={"g": "10"},
        container_options={"cluster_time_limit": "200"},
    )
    content = bytearray(path.read_bytes())
    for identifier in (b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75"):
        start = content.find(identifier)
        while start >= 0:
            start += 4
            length = 9 - content[start].bit_length()
            content[start : start + length] = ((1 << 7 * length + 1) - 1).to_bytes(length)
            start = content.find(identifier, start)
    path.write_bytes(content)
    return path


def with_longer_sound(path: Path, count: int, seconds: int) -> Path:
    """Write a video whose sound goes on after the last frame."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25, width=WIDTH, height=HEIGHT, pix_fmt="yuv420p")
        audio = container.add_stream("mp2", rate=16000)
        for pixels in frames(count):
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode(None))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 16000 * seconds), np.int16), format="s16", layout="mono")
        silence.rate = 16000
        container.mux(audio.encode(silence))
        container.mux(audio.encode(None))
    return path


def _beside(path: Path, mark: str, content: bytes) -> Path:
    copy = path.with_name(f"{path.stem}-{mark}{path.suffix}")
    copy.write_bytes(content)
    return copy


def packed(path: Path, count: int = 40, *, ends_owing: bool = False) -> Path:
    """Write an MPEG-4 AVI packed as XviD and DivX do it: a B-picture rides behind the one it is shown before.

    The picture it displaces leaves an empty packet, "not coded", where the last B-picture of a run stood.
    """
    first = make(path.parent, "unpacked.avi", count, codec="mpeg4", codec_tag="XVID", options={"bf": "2", "g": "250"})
    with av.open(str(first)) as source:
        pictures = [bytes(packet) for packet in source.demux(video=0) if packet.size]
    packets: list[bytes] = []
    for picture in pictures:
        is_b = picture[picture.index(VOP) + 4] >> 6 == 2
        if is_b and packets[-1] != NOT_CODED:
            packets[-1:] = [packets[-1] + picture, NOT_CODED]
        elif is_b:
            packets[-1:] = [picture, NOT_CODED]
        else:
            packets.append(picture)
    if ends_owing:
        del packets[packets.index(NOT_CODED, -4) :]
    packets[0] = packets[0].replace(VOP, b"\x00\x00\x01\xb2DivX503b1393p" + VOP, 1)
    with av.open(str(first)) as source, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for index, data in enumerate(packets):
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = index
            packet.is_keyframe = index == 0
            container.mux(packet)
    return path
