"""Open a video with libav, through PyAV, and read its packets.

Files come from strangers: libav gets an open file and no protocol, so nothing in it can name another file or
a host, and only the demuxers of self-contained videos.
"""

from __future__ import annotations

import functools
import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from phi3v_data.errors import SourceError
from phi3v_data.extras import require
from phi3v_data.media.containers import container_kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from av.container.input import InputContainer
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

__all__ = ["MAX_PIXELS", "libav", "open_video", "read_packets", "reformatter"]

MAX_PIXELS = 100_000_000  # of one frame; 8K video has 33 million

_FORMATS = (
    "avi,mov,matroska,mpegts,mpeg,mpegvideo,asf,flv,live_flv,ogg,m4v,h264,hevc,ivf,obu,av1,vc1,mxf,dv,rm,nut,wtv,"
    "yuv4mpegpipe,mp3,wav,aac,flac"  # the last four only so that a sound file is told from rubbish
)
_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "none", "max_pixels": str(MAX_PIXELS)}


@functools.cache
def libav() -> ModuleType:
    """Return PyAV, or raise MissingExtra."""
    return require("av", extra="video", purpose="Decoding video with PyAV")


@functools.cache
def reformatter() -> VideoReformatter:
    """Return this process's pixel converter.

    A frame's own conversions set up a converter with threads each time. Callers pass `threads=1`: its threads
    would not survive a fork.
    """
    converter: VideoReformatter = libav().video.reformatter.VideoReformatter()
    return converter


class _File(io.FileIO):
    """A file to read, where a seek to nowhere fails as libav expects: damaged headers ask for it."""

    def seek(self, position: int, whence: int = io.SEEK_SET, /) -> int:
        """Return the new position, or a negative number."""
        try:
            return super().seek(position, whence)
        except (OSError, OverflowError):
            return -1


@contextmanager
def open_video(path: Path, *, others: bool = False) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and its first video stream that is no cover picture; the others are passed over unless wanted."""
    av = libav()
    with _File(path) as file:
        try:
            container = av.open(file, mode="r", options=_OPTIONS, metadata_errors="replace")
        except (av.FFmpegError, ValueError, LookupError, MemoryError) as error:
            raise _unopened(file) from error
        with container:
            stream = _video_stream(container)
            for other in container.streams:
                if other is not stream and not others:
                    other.discard = av.stream.Discard.all
            yield container, stream


def _unopened(file: _File) -> SourceError:
    """Tell a video whose headers are damaged from what never was one."""
    file.seek(0)
    kind = container_kind(file.read(512))
    if kind is None:
        return SourceError("not_a_video", "no video can be read from it")
    return SourceError("damaged", f"it starts like a video ({kind}), but its headers cannot be read")


def _video_stream(container: InputContainer) -> VideoStream:
    cover = libav().stream.Disposition.attached_pic
    stream = next((stream for stream in container.streams.video if not stream.disposition & cover), None)
    if stream is None:
        raise SourceError("no_video_stream", "it has no video stream")
    context = stream.codec_context
    if context is None:
        raise SourceError("unsupported", "no decoder is known for its video codec; convert it to H.264")
    if context.width * context.height > MAX_PIXELS:
        raise SourceError(
            "unsupported",
            f"its frames are {context.width}x{context.height}, over 100 megapixels; scale it down",
        )
    context.thread_count = 1
    context.options = {"max_pixels": str(MAX_PIXELS)}  # a frame may state another size than the container
    return stream


def read_packets(container: InputContainer, stream: VideoStream | None, *, tolerant: bool = False) -> Iterator[Any]:
    """Yield the packets that hold something, of one stream or all; to a decoder an empty one means flush."""
    try:
        for packet in container.demux(stream) if stream else container.demux():
            if packet.size:
                yield packet
    except libav().FFmpegError as error:
        if not tolerant:
            raise SourceError("damaged", "its container cannot be read to the end") from error
