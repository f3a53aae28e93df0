"""Decode with PyAV, the default: frame-exact in every container, and it says when a file is damaged.

The frames are counted by demuxing, never taken from the header (0 in MPEG-TS, often wrong in AVI), and
decoded in sequence up to the last one wanted.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from phi3v_data.errors import SourceError
from phi3v_data.media.containers import matroska_duration
from phi3v_data.media.libav import libav, open_video, read_packets, reformatter
from phi3v_data.media.sparing import can_spare, sample_sparing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy as np
    from av.container.input import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    from phi3v_data.media.decoders import Plan, Take

__all__ = ["decode_pyav"]

_HELD_BYTES = 16 << 20  # packets kept from the counting; a longer video is read a second time
_PACKET_BYTES = 1 << 10  # of each packet, besides its content
_NO_VOP = 19  # bytes; an MPEG-4 packet this small may say "nothing new", and no frame comes of it
_SAME_EITHER_WAY = {"yuv420p", "yuvj420p"}  # pixel formats from which rgb24 and bgr24 give the same pixels
_VP8_SHOWN = 0x10  # RFC 6386, 9.1: the bit of a frame's first byte that says it is shown


def decode_pyav(path: Path, plan: Plan, take: Take, *, tolerant: bool = False) -> int:
    """Decode a video's wanted frames; see `decoders` for `plan`, `take` and the result.

    Args:
        path: The file.
        plan: From T to the wanted indices.
        take: Receives each wanted frame.
        tolerant: Pass over errors; T is then the number of frames that decode.

    Raises:
        SourceError: "not_a_video", "no_video_stream", "no_frames", "unsupported"; unless tolerant also
            "truncated" and "damaged".
    """
    if tolerant:
        return _decode_what_there_is(path, plan, take)
    with open_video(path) as (container, stream):
        stored = _demux(path, container, stream)
        indices, held = plan(stored.total), stored.held

        def take_frame(index: int, frame: VideoFrame) -> None:
            take(index, _pixels(frame))

        if held is not None and can_spare(stream):
            if len(held) == stored.total and sample_sparing(stream, held, indices, take_frame):
                return stored.total
            held = None  # used up, on a doubt that decoding everything will settle
        if held is not None:
            seen = _sample(_frames(stream, held), indices, take)
    if held is None:
        with open_video(path) as (container, stream):
            seen = _sample(_frames(stream, read_packets(container, stream)), indices, take)
    if seen > indices[-1]:
        return stored.total
    if stored.total - seen > stored.silent:
        raise SourceError("damaged", f"only {seen} of its {stored.total} frames decode")
    return _decode_what_there_is(path, plan, take)


class _Stored(NamedTuple):
    """What demuxing tells: the frames to expect, how many of them may not show, and the packets if few."""

    total: int
    silent: int
    held: list[Packet[VideoStream]] | None


def _decode_what_there_is(path: Path, plan: Plan, take: Take) -> int:
    """Count what decodes, then decode the wanted frames of that."""
    with open_video(path) as (container, stream):
        total = sum(1 for _ in _frames(stream, read_packets(container, stream, tolerant=True), tolerant=True))
    if not total:
        raise SourceError("no_frames", "none of its frames decodes")
    with open_video(path) as (container, stream):
        _sample(_frames(stream, read_packets(container, stream, tolerant=True), tolerant=True), plan(total), take)
    return total


def _demux(path: Path, container: InputContainer, stream: VideoStream) -> _Stored:
    """Count the frames by their packets, and judge whether these are whole and reach the end."""
    codec, timed = stream.codec_context.name, container.format.name == "matroska,webm"
    total = silent = corrupt = size = 0
    held: list[Packet[VideoStream]] | None = []
    last, end = None, 0.0
    for packet in read_packets(container, stream):
        last = packet
        corrupt += packet.is_corrupt
        shown = not packet.is_discard and (codec != "vp8" or bool(memoryview(packet)[0] & _VP8_SHOWN))
        total += shown
        silent += shown and codec == "mpeg4" and packet.size <= _NO_VOP
        size += packet.size + _PACKET_BYTES
        if held is not None:
            held.append(packet)
            held = held if size <= _HELD_BYTES else None
        if timed:
            end = max(end, _end(packet))
    if not total or last is None:
        raise SourceError("no_frames", "it holds no video frames")
    if last.is_corrupt:
        raise SourceError("truncated", "the file is cut short: its last video packet is incomplete")
    if corrupt:
        raise SourceError("damaged", "some of its video packets are incomplete")
    if timed and last.duration:
        _compare_duration(path, end)
    return _Stored(total, silent, held)


def _end(packet: Packet[VideoStream]) -> float:
    """Return when a packet's frame stops being shown, in seconds."""
    start = packet.dts if packet.pts is None else packet.pts
    return float(((start or 0) + (packet.duration or 0)) * packet.time_base) if packet.time_base else 0.0


def _compare_duration(path: Path, end: float) -> None:
    """Refuse a Matroska file whose packets stop long before its stated duration, sound included."""
    duration = matroska_duration(path)
    if duration is None or duration <= 1.1 * end:
        return
    with open_video(path, others=True) as (container, _):
        end = max(map(_end, read_packets(container, None)))
    if duration > 1.1 * end:
        raise SourceError("truncated", f"the file is cut short: it ends at {end:.1f} of {duration:.1f} seconds")


def _frames(
    stream: VideoStream, packets: Iterable[Packet[VideoStream]], *, tolerant: bool = False
) -> Iterator[VideoFrame]:
    """Decode packets one after the other, then what the decoder still holds."""
    error_type = libav().FFmpegError
    context = stream.codec_context
    for packet in chain(packets, [None]):
        try:
            frames = context.decode(packet)
        except error_type as error:
            if tolerant:
                continue
            raise SourceError("damaged", "one of its frames does not decode") from error
        for frame in frames:
            if frame.is_corrupt and not tolerant:
                raise SourceError("damaged", "one of its frames decodes only in part")
            yield frame


def _sample(frames: Iterable[VideoFrame], indices: list[int], take: Take) -> int:
    """Hand over the wanted frames, stop after the last, and return how many frames were seen."""
    wanted, seen = set(indices), 0
    for index, frame in enumerate(frames):
        if index in wanted:
            take(index, _pixels(frame))
        seen = index + 1
        if seen > indices[-1]:
            break
    return seen


def _pixels(frame: VideoFrame) -> NDArray[np.uint8]:
    """Return a frame as (height, width, 3) uint8, red first, turned as its display matrix says.

    Blue first is what the encoder wants, so the commonest formats are converted to that and turned around in view
    only; from others, such as ten-bit ones, libav makes other pixels that way.
    """
    import numpy as np

    blue_first = frame.format.name in _SAME_EITHER_WAY
    try:
        stored = reformatter().reformat(frame, format="bgr24" if blue_first else "rgb24", threads=1)
    except libav().FFmpegError as error:
        raise SourceError("unsupported", "its colours cannot be converted; convert it to H.264") from error
    pixels: Any = stored.to_ndarray()[..., ::-1] if blue_first else stored.to_ndarray()
    quarters = round(frame.rotation / 90) % 4
    upright: NDArray[np.uint8] = np.ascontiguousarray(np.rot90(pixels, quarters)) if quarters else pixels
    return upright
