"""Spare the decoder frames that nobody wants and that no other frame is made from: MPEG-4's B-frames.

libav's decoder can pass over them (`skip_frame`), which leaves every other frame as it is; about half the time of
a clip such as UCF-101's goes into them. What must be known is which packet holds which frame. The stream itself
says so: each picture's header states its type, and B-pictures are shown when they are decoded, all others when
the next of their kind arrives (ISO/IEC 14496-2, 7.6.7). So nothing depends on time stamps, and on any doubt -
an unusual order, an error, a frame that is not the one foretold - the caller decodes everything instead.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from phi3v_data.media.libav import libav

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

__all__ = ["can_spare", "sample_sparing"]

_VOP = b"\x00\x00\x01\xb6"  # the start code of a picture
_B = 2  # its coding type: 0 I, 1 P, 2 B, 3 S
_SMALLEST = 20  # bytes; a smaller packet may say "nothing new", and no frame comes of it


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
    """Return the one frame that each packet holds, or None where that is not certain."""
    single = _unpack(stream, packets)
    kinds = [_kind(packet) for packet in single]
    order = _order_of_showing(kinds)
    if order is None or len(single) != len(packets):
        return None
    return [_Step(*step) for step in zip(single, order, kinds, strict=True)]


def _unpack(stream: VideoStream, packets: Sequence[Packet[VideoStream]]) -> list[Packet[VideoStream]]:
    """Give every picture a packet of its own; XviD and DivX pack a B-picture behind the one it is shown before."""
    av = libav()
    unpack = av.bitstream.BitStreamFilterContext("mpeg4_unpack_bframes", stream)
    try:
        return [single for packet in chain(packets, [None]) for single in unpack.filter(packet)]
    except av.FFmpegError:
        return []


def _kind(packet: Packet[VideoStream]) -> int:
    """Return the coding type of the one picture in a packet, or -1 where there is not exactly one."""
    data = bytes(packet)
    start = data.find(_VOP)
    if start < 0 or len(data) < _SMALLEST or len(data) < start + 5 or data.find(_VOP, start + 4) >= 0:
        return -1
    return data[start + 4] >> 6


def _order_of_showing(kinds: Sequence[int]) -> list[int] | None:
    """Return each picture's place in the order of showing; None unless every B-picture follows two others."""
    order = [-1] * len(kinds)
    shown, held, others = 0, None, 0
    for position, kind in enumerate(kinds):
        if kind < 0 or (kind == _B and others < 2):
            return None
        now = position if kind == _B else held
        if kind != _B:
            held, others = position, others + 1
        if now is not None:
            order[now] = shown
            shown += 1
    if held is not None:
        order[held] = shown
    return order


def _decode(
    stream: VideoStream,
    steps: Sequence[_Step],
    wanted: set[int],
    last: int,
    take: Callable[[int, VideoFrame], None],
) -> bool:
    kinds = {step.place: step.kind for step in steps}
    context, before = stream.codec_context, -1
    try:
        for step in chain(steps, [None]):
            if step is not None:
                step.packet.pts = step.place
                context.skip_frame = "NONREF" if step.kind == _B and step.place not in wanted else "DEFAULT"
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
