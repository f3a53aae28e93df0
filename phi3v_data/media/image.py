"""Pixels to JPEG bytes: scale down, encode; OpenCV where it is installed, else Pillow."""

from __future__ import annotations

import functools
import importlib
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["encode_jpeg", "opencv", "resize"]


def encode_jpeg(pixels: NDArray[np.uint8], quality: int = 75) -> bytes:
    """Encode an image as JPEG; both encoders give the bytes of Pillow's save with the same quality.

    Args:
        pixels: (height, width, 3) uint8, in the order red, green, blue.
        quality: 1 (small) to 100 (good).

    Returns:
        The bytes of a JPEG file, 4:2:0, in YCbCr.
    """
    cv2 = opencv()
    if cv2 is None:
        return _pillow_jpeg(pixels, quality)
    blue_first = pixels[..., ::-1]
    if not blue_first.flags.c_contiguous:  # it is where the pixels were stored blue first all along
        blue_first = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, quality])
    encoded: bytes = data.tobytes()
    return encoded


def resize(pixels: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """Scale an image down so that its longest side fits; a smaller one comes back as it is.

    Args:
        pixels: (height, width, 3) uint8.
        longest: Most pixels of the longest side.

    Returns:
        (height, width, 3) uint8, each pixel the mean of the area it covers.
    """
    height, width = pixels.shape[:2]
    side = max(height, width)
    if side <= longest:
        return pixels
    import numpy as np

    # integers, so that no platform rounds otherwise
    size = tuple(max(1, (2 * length * longest + side) // (2 * side)) for length in (width, height))
    cv2 = opencv()
    scaled: Any = (
        cv2.resize(np.ascontiguousarray(pixels), size, interpolation=cv2.INTER_AREA)
        if cv2
        else _pillow_resize(pixels, size)
    )
    result: NDArray[np.uint8] = scaled
    return result


@functools.cache
def opencv() -> ModuleType | None:
    """Return OpenCV, kept to one thread and silent, or None where it is not installed."""
    try:
        cv2 = importlib.import_module("cv2")
    except ModuleNotFoundError:
        return None
    cv2.setNumThreads(1)  # a worker is one core's worth; a second thread only contends
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2


def _pillow_jpeg(pixels: NDArray[np.uint8], quality: int) -> bytes:
    import numpy as np
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _pillow_resize(pixels: NDArray[np.uint8], size: tuple[int, ...]) -> NDArray[np.uint8]:
    import numpy as np
    from PIL import Image

    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize((size[0], size[1]), Image.Resampling.BOX))
