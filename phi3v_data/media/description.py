"""What Pillow knows of an image without decoding it, and where needed after."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from PIL import Image

from phi3v_data.media.checks import (
    EmptyImage,
    UnreadableImage,
    check_bytes,
    check_exists,
    open_at_once,
    open_checked,
)
from phi3v_data.media.header_facts import Header

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["describe", "describe_image", "describe_image_bytes", "read_image"]

_MANY_VIEWS = ("MPO", "PSD")  # what follows the first picture is another view of it, or its layers
_ORIENTATION = 0x0112  # Exif


def describe_image(path: str) -> Header:
    """Check an image file as `check_image` does, and return all that its header says."""
    size = check_exists(path)
    try:
        with open_at_once(path) as file:
            return describe(open_checked(path, file, size))
    except OSError as error:
        raise UnreadableImage(path, f"cannot be read: {error.strerror or error}") from None


def describe_image_bytes(data: bytes, name: str) -> Header:
    """Check an image file's bytes as `check_image_bytes` does, and return all that its header says."""
    if not data:
        raise EmptyImage(name, "is empty (0 bytes)")
    return describe(open_checked(name, io.BytesIO(data), len(data)))


def read_image(path: str) -> bytes:
    """Return the bytes of an image file; that they are an image is not looked at.

    Raises:
        BadImage: One of its kinds: missing, unreadable, empty, no regular file, too large to be an image.
    """
    size = check_exists(path)
    check_bytes(path, size)
    try:
        with open_at_once(path) as file:
            return file.read(size)
    except OSError as error:
        raise UnreadableImage(path, f"cannot be read: {error.strerror or error}") from None


def describe(image: Image.Image) -> Header:
    """Return what Pillow knows of an image it has opened, or decoded, which may tell it more.

    TIFF files have no orientation: Pillow turns them itself.
    """
    return Header(
        image.width,
        image.height,
        image.format or "unknown",
        image.mode,
        image.has_transparency_data,
        image.format not in _MANY_VIEWS and bool(_asked(lambda: getattr(image, "is_animated", False))),
        # not of the PNG class, whose own would decode the image to look behind its pixels
        0 if image.format == "TIFF" else int(_asked(lambda: Image.Image.getexif(image).get(_ORIENTATION, 0))),
    )


def _asked(question: Callable[[], Any]) -> Any:
    """Return Pillow's answer; 0 where it stumbles over odd metadata, which a trainer does not look at either."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return question()
        except Exception:  # Pillow's parsers raise whatever the bytes make them raise
            return 0
