"""Spare the decoder frames that nobody wants and that no other frame is made from: MPEG-4's B-frames.

libav's decoder can pass over them (`skip_frame`), which leaves every other frame as it is; much of the time of
a clip such as UCF-101's goes into them. What must be known is which packet holds which frame. The stream itself
says so in every picture's header, by its type and again by its time, so nothing depends on the container. On any
doubt - the two disagree, an error, a frame that is not the one foretold - the caller decodes everything instead.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from phi3v_data.media.libav import libav
from phi3v_data.media.mpeg4 import B, order_of_showing, read_pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

__all__ = ["can_spare", "sample_sparing"]


class _Step(NamedTuple):
    """One packet to decode: it holds the frame at `place` in the order of showing, of coding type `kind`."""

    packet: Packet[VideoStream]
    place: int
    kind: int


def can_spare(stream: VideoStream) -> bool:
    """Return whether a stream may hold frames to spare."""
    return stream.codec_context.name == "mpeg4" and bool(stream.codec_context.has_b_frames)


def sample_sparing(
    stream: VideoStream,
    packets: Sequence[Packet[VideoStream]],
    indices: Sequence[int],
    take: Callable[[int, VideoFrame], None],
) -> bool:
    """Decode the wanted frames and what they are made from.

    Args:
        stream: A stream of which nothing was decoded yet.
        packets: All its packets, in order; they are used up.
        indices: Indices of the wanted frames, never falling.
        take: Receives each wanted frame, in order.

    Returns:
        Whether everything came as foretold; if not, what was taken may be wrong.
    """
    steps = _foretell(stream, packets)
    return steps is not None and _decode(stream, steps, set(indices), indices[-1], take)


def _foretell(stream: VideoStream, packets: Sequence[Packet[VideoStream]]) -> list[_Step] | None:
    """Return one step per frame, in coding order, or None where anything is uncertain."""
    pictures = read_pictures([bytes(packet) for packet in packets])
    order = order_of_showing(pictures) if pictures else None
    if pictures is None or order is None:
        return None
    if len(pictures) > len(packets):  # no packet is left to bring out the last B-picture, so it is never shown
        gone = order.pop()
        pictures.pop()
        order = [place - (place > gone) for place in order]
    single = _unpack(stream, packets)
    if [packet.size for packet in single] != [picture.size for picture in pictures]:
        return None
    return [_Step(packet, place, shown.kind) for packet, place, shown in zip(single, order, pictures, strict=True)]


def _unpack(stream: VideoStream, packets: Sequence[Packet[VideoStream]]) -> list[Packet[VideoStream]]:
    """Give every picture a packet of its own, as libav does it: its decoder then expects no packed ones."""
    av = libav()
    unpack = av.bitstream.BitStreamFilterContext("mpeg4_unpack_bframes", stream)
    try:
        return [single for packet in chain(packets, [None]) for single in unpack.filter(packet)]
    except av.FFmpegError:
        return []


def _decode(
    stream: VideoStream,
    steps: Sequence[_Step],
    wanted: set[int],
    last: int,
    take: Callable[[int, VideoFrame], None],
) -> bool:
    kinds = {step.place: step.kind for step in steps}
    context, before, sparing = stream.codec_context, -1, False
    try:
        for step in chain(steps, [None]):
            if step is not None:
                step.packet.pts = step.place
                spare = step.kind == B and step.place not in wanted
                if spare is not sparing:
                    context.skip_frame, sparing = "NONREF" if spare else "DEFAULT", spare
            for frame in context.decode(step and step.packet):
                if not _is_foretold(frame, before, kinds, wanted):
                    return False
                before = int(frame.pts or 0)
                if before in wanted:
                    take(before, frame)
            if before >= last:
                return True
    except libav().FFmpegError:
        return False
    return False


def _is_foretold(frame: VideoFrame, before: int, kinds: dict[int, int], wanted: set[int]) -> bool:
    """Return whether a frame is whole, in its place, of its type, and passes over no wanted one."""
    if frame.is_corrupt or frame.pts is None or frame.pts <= before or frame.pts not in kinds:
        return False
    passed = range(before + 1, frame.pts)
    return int(frame.pict_type) == kinds[frame.pts] + 1 and not any(index in wanted for index in passed)
