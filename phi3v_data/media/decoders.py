"""Three ways to decode a video, one signature: PyAV (the default), OpenCV (the fallback), decord (opt-in).

Each reads the file from its first frame on, in one thread, and never seeks: nothing else gives the right
frames in every container. `plan` turns the number of frames T into the wanted indices, in order; `take`
receives each wanted frame as it is decoded: its index, and (height, width, 3) uint8, upright, red first.
The result is T. A decoder raises SourceError; the facts it states begin with a small letter, for `video`
to complete.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from phi3v_data.errors import SourceError
from phi3v_data.extras import require
from phi3v_data.media.containers import container_kind
from phi3v_data.media.image import opencv
from phi3v_data.media.libav import MAX_PIXELS
from phi3v_data.media.pyav import decode_pyav

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Plan", "Take", "decode_decord", "decode_opencv", "decode_pyav"]

Plan = Callable[[int], list[int]]
Take = Callable[[int, "NDArray[np.uint8]"], None]

_DECORD_BYTES = 2 << 30  # decord's only frame-exact way in holds every frame up to the last one wanted


def decode_opencv(path: Path, plan: Plan, take: Take, *, tolerant: bool = False) -> int:
    """Decode a video's wanted frames with OpenCV: once through to count them, once more to take them.

    OpenCV passes over errors in silence, so that only the container tells of damage, and `tolerant` changes
    nothing.

    Raises:
        SourceError: "not_a_video", "no_video_stream", "no_frames", "unsupported", "damaged".
    """
    if opencv() is None:
        require("cv2", extra="video", purpose="Decoding video with OpenCV")
    _require_container(path)
    capture = _capture(path)
    total = 0
    while capture.grab():
        total += 1
    capture.release()
    if not total:
        raise SourceError("no_frames", "none of its frames decodes")
    indices = plan(total)
    seen = _retrieve(_capture(path), indices, take)
    if seen <= indices[-1]:
        raise SourceError("damaged", f"only {seen} of its {total} frames decode the second time")
    return total


def decode_decord(path: Path, plan: Plan, take: Take, *, tolerant: bool = False) -> int:
    """Decode a video's wanted frames with decord: everything up to the last one in one batch.

    Its access to single frames returns wrong ones, silently, in files with B-frames. `tolerant` changes
    nothing.

    Raises:
        SourceError: "not_a_video", "no_video_stream", "no_frames", "unsupported".
    """
    decord = require("decord", extra="decord", purpose="Decoding video with decord")
    decord.logging.set_level(decord.logging.QUIET)
    kind = _require_container(path)
    if kind == "mpegts":
        raise SourceError("unsupported", "decord gives wrong frames of an MPEG-TS file; use --decoder pyav")
    try:
        return _decord_batch(decord, path, plan, take)
    except (decord.DECORDError, RuntimeError) as error:
        if "video stream" in str(error):
            raise SourceError("no_video_stream", "it has no video stream that decord can read") from error
        raise SourceError("unsupported", "decord cannot decode it; try --decoder pyav") from error


def _decord_batch(decord: Any, path: Path, plan: Plan, take: Take) -> int:
    # an absolute path, because "a:b.avi" alone would name a protocol
    reader = decord.VideoReader(os.path.abspath(path), ctx=decord.cpu(0), num_threads=1)  # noqa: PTH100
    total = len(reader)
    if not total:
        raise SourceError("no_frames", "it holds no video frames")
    indices = plan(total)
    if indices[-1] * _first_frame_bytes(reader) > _DECORD_BYTES:
        raise SourceError("unsupported", "it is too long for decord, which holds every frame; use --decoder pyav")
    batch = reader.get_batch(range(indices[-1] + 1)).asnumpy()
    for index in dict.fromkeys(indices):
        take(index, batch[index])
    return total


def _first_frame_bytes(reader: Any) -> int:
    height, width, channels = reader[0].shape
    reader.seek(0)
    return int(height) * int(width) * int(channels)


def _capture(path: Path) -> Any:
    """Open a video with OpenCV's libav backend, one thread, silent."""
    cv2: Any = opencv()
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # quiet, for libav inside OpenCV; there is no call for it
    absolute = os.path.abspath(path)  # noqa: PTH100 - "a:b.avi" alone would name a protocol
    capture = cv2.VideoCapture(absolute, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    if not capture.isOpened():
        raise SourceError("no_video_stream", "it has no video stream that OpenCV can read")
    if capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT) > MAX_PIXELS:
        raise SourceError("unsupported", "its frames are over 100 megapixels; scale it down")
    return capture


def _retrieve(capture: Any, indices: list[int], take: Take) -> int:
    """Grab frame after frame, convert the wanted ones, and return how many were seen."""
    wanted, seen = set(indices), 0
    while seen <= indices[-1] and capture.grab():
        if seen in wanted:
            retrieved, pixels = capture.retrieve()
            if not retrieved:
                break
            take(seen, pixels[:, :, ::-1])
        seen += 1
    capture.release()
    return seen


def _require_container(path: Path) -> str:
    """Name the container, and let no other file through: these decoders would follow a playlist anywhere."""
    with path.open("rb") as file:
        kind = container_kind(file.read(512))
    if kind is None:
        raise SourceError("not_a_video", "no video can be read from it")
    return kind
