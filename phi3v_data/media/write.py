"""Write small videos: the embedded sample, and the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3v_data.media.libav import libav, reformatter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["write_video"]


def write_video(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    *,
    fps: int = 25,
    codec: str = "mpeg4",
    codec_tag: str | None = None,
    pixel_format: str = "yuv420p",
    options: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
) -> None:
    """Write a video; the same frames and versions give the same bytes.

    Args:
        path: The file; its suffix names the container.
        frames: (height, width, 3) uint8 each, red first, all of one size, both sides even.
        fps: Frames per second.
        codec: libav's name of an encoder.
        codec_tag: Four characters for the container, such as "XVID"; None for the container's own.
        pixel_format: libav's name of the stored pixels' layout.
        options: Of the encoder, such as {"bf": "2", "g": "250"}.
        container_options: Of the muxer, such as {"movflags": "+faststart"}.
    """
    av = libav()
    with av.open(f"file:{path}", "w", container_options=dict(container_options or {})) as container:
        container.flags |= av.container.Flags.bitexact.value
        stream = container.add_stream(codec, rate=fps)
        context = stream.codec_context
        context.flags |= av.codec.context.Flags.bitexact.value
        context.options = dict(options or {})
        context.thread_count = 1
        context.pix_fmt = pixel_format
        if codec_tag:
            context.codec_tag = codec_tag
        for index, pixels in enumerate(frames):
            if not index:
                context.height, context.width = pixels.shape[:2]
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(stream.encode(reformatter().reformat(frame, format=pixel_format, threads=1)))
        container.mux(stream.encode(None))
