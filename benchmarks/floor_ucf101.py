"""The limit for benchmarks/convert.py: decode reference frames only, convert, encode and write eight; no checks.

What it writes is not frame-exact: it measures what the work costs at the least, with one decoder thread.

    python benchmarks/floor_ucf101.py SOURCE OUT
"""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import av
import cv2
from av.video.reformatter import VideoReformatter

FRAMES = 8


def convert(source: Path, out: Path) -> None:
    """Write eight JPEG files per clip."""
    reformatter = VideoReformatter()
    out.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(sorted(source.glob("*/*/*"))):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            stream.codec_context.skip_frame = "NONREF"
            packets = [packet for packet in container.demux(stream) if packet.size]
            decoded = [frame for packet in packets[: len(packets) * 7 // 8 + 1] for frame in packet.decode()]
            step = max(1, len(decoded) // FRAMES)
            for k, frame in enumerate(islice(decoded, 0, step * FRAMES, step)):
                pixels = reformatter.reformat(frame, format="bgr24", threads=1).to_ndarray()
                data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 75])[1]
                (out / f"{number}.{k}.jpg").write_bytes(data)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
