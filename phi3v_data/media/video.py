"""Sample frames from a video as JPEG, and write small videos.

    clip = sample_clip(Path("juggling.avi"), num_frames=8)
    clip.images[0]      # the bytes of a JPEG file

Frame k of n is frame floor(k * T / n) of the T there are, in integers. Damage is an error, not fewer frames.
"""

from __future__ import annotations

import functools
import importlib.util
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from phi3v_data.errors import SourceError, UsageError
from phi3v_data.extras import require
from phi3v_data.media.containers import cut_short
from phi3v_data.media.decoders import decode_decord, decode_opencv, decode_pyav
from phi3v_data.media.image import encode_jpeg, resize
from phi3v_data.media.write import write_video

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from phi3v_data.media.decoders import Plan, Take

__all__ = [
    "VIDEO_SUFFIXES",
    "Clip",
    "Decoder",
    "frame_indices",
    "resolve_decoder",
    "sample_clip",
    "write_video",
]

Decoder = Literal["pyav", "opencv", "decord"]

VIDEO_SUFFIXES = frozenset(
    {".3g2", ".3gp", ".asf", ".avi", ".divx", ".f4v", ".flv", ".ivf", ".m2t", ".m2ts", ".m2v", ".m4v", ".mkv"}
    | {".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".ts"}
    | {".vob", ".webm", ".wmv"}
)
"""Suffixes taken for videos, in small letters with their dot."""

_MODULES: dict[Decoder, tuple[str, str]] = {
    "pyav": ("av", "video"),
    "opencv": ("cv2", "video"),
    "decord": ("decord", "decord"),
}
_FORGIVABLE = frozenset({"truncated", "damaged"})
_KEEP = "; pass --allow_damaged to keep what decodes"
_HINTS = {
    "truncated": _KEEP,
    "damaged": _KEEP,
    "empty": "; copy it again, or remove it",
    "missing": "; was it moved?",
    "unreadable": "; check its permissions and the disk",
    "not_a_video": "; remove it, or convert it to MP4 if a player shows it",
    "no_video_stream": "; remove it",
    "no_frames": "; copy it again, or remove it",
}


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames sampled from one video.

    Args:
        images: JPEG files, one per index, in order; an index that repeats repeats its image.
        total: T, the number of frames the indices were computed from.
        width: Of the first image, in pixels: upright, and after scaling down.
        height: Likewise.
        damage: What is wrong with the file, where damage was allowed; else None.
    """

    images: list[bytes]
    total: int
    width: int
    height: int
    damage: str | None


def resolve_decoder(name: Literal["auto", "pyav", "opencv", "decord"]) -> Decoder:
    """Choose a decoder that is installed: "auto" takes PyAV, else OpenCV.

    Raises:
        MissingExtra: The one named, or both, are not installed.
    """
    if name == "auto":
        return next((found for found in ("pyav", "opencv") if _installed(found)), None) or resolve_decoder("pyav")
    if not _installed(name):
        module, extra = _MODULES[name]
        require(module, extra=extra, purpose=f"Decoding video with {name}")
    return name


def frame_indices(total: int, num_frames: int) -> list[int]:
    """Spread frames evenly over a video: floor(k * total / num_frames) for k = 0 .. num_frames - 1.

    Args:
        total: Frames in the video, at least 1.
        num_frames: Frames wanted, at least 1; more than there are repeat some.

    Returns:
        num_frames indices, never falling, the first 0.

    Raises:
        UsageError: A number is below 1.
    """
    if total < 1 or num_frames < 1:
        raise UsageError(f"cannot take {num_frames} frames of {total}: both numbers must be at least 1")
    return [k * total // num_frames for k in range(num_frames)]


def sample_clip(
    path: Path,
    num_frames: int,
    *,
    decoder: Decoder = "pyav",
    image_size: int | None = None,
    quality: int = 75,
    allow_damaged: bool = False,
) -> Clip:
    """Decode the frames at `frame_indices` and encode them as JPEG.

    Args:
        path: A video file; what it is called does not matter.
        num_frames: Frames wanted, at least 1.
        decoder: Who decodes. The pixels of different decoders differ slightly, the choice of frames does not.
        image_size: Most pixels of an image's longest side; None keeps the video's size.
        quality: Of the JPEG files, 1 to 100.
        allow_damaged: Take what decodes of a damaged file, and say so in `Clip.damage`.

    Raises:
        SourceError: "missing", "unreadable", "empty", "not_a_video", "no_video_stream", "no_frames",
            "unsupported" (no decoder for it, or enormous); unless allow_damaged "truncated", "damaged".
        MissingExtra: The decoder is not installed.
    """
    plan = functools.partial(frame_indices, num_frames=num_frames)
    encoder = _Encoder(image_size, quality)
    try:
        total, damage = _decode(path, decoder, plan, encoder, allow_damaged)
    except SourceError as error:
        hint = "; nothing of it decodes" if allow_damaged and error.code in _FORGIVABLE else _HINTS.get(error.code, "")
        raise SourceError(error.code, _sentence(error.message) + hint) from error.__cause__
    except OSError as error:
        code = "missing" if isinstance(error, FileNotFoundError) else "unreadable"
        fact = f"The file cannot be read ({error.strerror or error})"
        raise SourceError(code, fact + _HINTS[code]) from error
    images = [encoder.images[index] for index in plan(total)]
    return Clip(images, total, encoder.width, encoder.height, damage and _sentence(damage))


class _Encoder:
    """Receives decoded frames and keeps their JPEG files, which are far smaller."""

    def __init__(self, image_size: int | None, quality: int) -> None:
        self.images: dict[int, bytes] = {}
        self.width = self.height = 0
        self._image_size, self._quality = image_size, quality

    def __call__(self, index: int, pixels: NDArray[np.uint8]) -> None:
        """Encode frame `index`; (height, width, 3) uint8, red first."""
        if self._image_size:
            pixels = resize(pixels, self._image_size)
        if index == 0:
            self.height, self.width = pixels.shape[:2]
        self.images[index] = encode_jpeg(pixels, self._quality)


def _decode(path: Path, decoder: Decoder, plan: Plan, take: Take, allow_damaged: bool) -> tuple[int, str | None]:
    """Decode strictly, and with patience where damage is found and allowed; return T and the damage."""
    decode = {"pyav": decode_pyav, "opencv": decode_opencv, "decord": decode_decord}[decoder]
    damage = _inspect(path)
    if damage is None:
        try:
            return decode(path, plan, take, tolerant=False), None
        except SourceError as error:
            if error.code not in _FORGIVABLE:
                raise
            damage = error
    if not allow_damaged:
        raise damage
    try:
        return decode(path, plan, take, tolerant=True), damage.message
    except SourceError:
        raise damage from None  # nothing is left: say why


def _inspect(path: Path) -> SourceError | None:
    """Look at the file without decoding: return what damages it, raise what makes it no video at all."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise SourceError("not_a_video", "this is no regular file")
    if not status.st_size:
        raise SourceError("empty", "the file is empty")
    fact = cut_short(path)
    return SourceError("truncated", fact) if fact else None


def _sentence(fact: str) -> str:
    return fact[:1].upper() + fact[1:]


def _installed(decoder: Decoder) -> bool:
    return importlib.util.find_spec(_MODULES[decoder][0]) is not None
