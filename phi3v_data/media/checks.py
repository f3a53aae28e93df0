"""What an image file is, from its header and its end; nothing is decoded.

The end marker tells that a file was not cut short. That every byte between is sound, only decoding can tell.
"""

from __future__ import annotations

import io
import os
import stat
import warnings
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image
from PIL.ImageFile import ImageFile, StubImageFile

from phi3v_data.errors import DataError
from phi3v_data.media.ends import is_whole
from phi3v_data.media.header_facts import MAX_BYTES, MAX_PIXELS
from phi3v_data.media.impostors import format_by_magic, looks_like

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = [
    "MAX_PIXELS",
    "BadImage",
    "DamagedImage",
    "EmptyImage",
    "ImageHeader",
    "MissingImage",
    "NotAnImage",
    "TooManyPixels",
    "TruncatedImage",
    "UnreadableImage",
    "check_bytes",
    "check_exists",
    "check_image",
    "check_image_bytes",
    "open_at_once",
    "open_checked",
]

_NO_PICTURES = {
    "EPS": "a PostScript program, which would have to be run",
    "MPEG": "a video (MPEG), not an image",
}
"""Formats that Pillow opens and either cannot decode or runs a program to do so."""


class ImageHeader(NamedTuple):
    """What the header says: size in pixels, and the format by Pillow's name, such as "JPEG"."""

    width: int
    height: int
    format: str


class BadImage(DataError):
    """An image file that cannot be used; `fault` is the end of a sentence about the file."""

    def __init__(self, path: str, fault: str) -> None:
        super().__init__(f"{path} {fault}")
        self.path = path
        self.fault = fault

    def __reduce__(self) -> tuple[type[BadImage], tuple[str, str]]:
        return type(self), (self.path, self.fault)


class MissingImage(BadImage):
    """There is no such file."""


class UnreadableImage(BadImage):
    """The file is there, and the operating system does not let it be read."""


class EmptyImage(BadImage):
    """The file holds no bytes."""


class NotAnImage(BadImage):
    """The file is something else: a folder, a web page, text, an unknown format."""


class TruncatedImage(BadImage):
    """The file ends before the image does."""


class TooManyPixels(BadImage):
    """Decoding it would take more memory than the limit allows."""


class DamagedImage(BadImage):
    """Header and end are sound, and what lies between does not decode."""


def check_exists(path: str) -> int:
    """Check that an image file is there and holds something, and return its size in bytes.

    Raises:
        MissingImage: There is no such file.
        UnreadableImage: The operating system refuses to say.
        NotAnImage: It is no regular file.
        EmptyImage: It holds no bytes.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 -- this runs for every image
    except (FileNotFoundError, NotADirectoryError):
        raise MissingImage(path, "does not exist") from None
    except OSError as error:
        raise UnreadableImage(path, f"cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(status.st_mode):
        raise NotAnImage(path, "is a folder" if stat.S_ISDIR(status.st_mode) else "is not a regular file")
    if status.st_size == 0:
        raise EmptyImage(path, "is empty (0 bytes)")
    return status.st_size


def check_image(path: str, *, max_pixels: int = MAX_PIXELS) -> ImageHeader:
    """Check an image file by its header and its end.

    Args:
        path: The file.
        max_pixels: Largest width times height that is accepted.

    Returns:
        Its size in pixels and its format.

    Raises:
        BadImage: One of its kinds: missing, unreadable, empty, not an image, truncated, too many pixels.
    """
    size = check_exists(path)
    try:
        with open_at_once(path) as file:
            return _check(path, file, size, max_pixels)
    except OSError as error:
        raise UnreadableImage(path, f"cannot be read: {error.strerror or error}") from None


def check_image_bytes(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> ImageHeader:
    """Check an image file's bytes, as `check_image` checks a file; `name` is what errors call it."""
    if not data:
        raise EmptyImage(name, "is empty (0 bytes)")
    return _check(name, io.BytesIO(data), len(data), max_pixels)


def open_checked(path: str, file: BinaryIO, size: int, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Open an image of so many bytes whose header and end are sound; `path` is what errors call it.

    Raises:
        BadImage: As `check_image`.
    """
    check_bytes(path, size)
    image = _open_any(path, file, size)
    if (fault := _NO_PICTURES.get(image.format or "")) is not None:
        raise NotAnImage(path, f"is {fault}")
    if image.format == "PNG" and not image.tile:
        raise NotAnImage(path, "begins like a PNG file, but no pixels follow its header")
    if isinstance(image, StubImageFile):
        raise NotAnImage(path, f"is a {image.format} file, which Pillow recognises and cannot decode")
    if image.width * image.height > max_pixels:
        raise TooManyPixels(path, f"is {image.width}x{image.height} pixels, over the limit of {max_pixels:,}")
    position = file.tell()
    if not is_whole(file, image.format or "", size):
        raise TruncatedImage(path, f"is cut short: its {image.format} end marker is missing")
    file.seek(position)  # where Pillow left it
    return image


def check_bytes(path: str, size: int) -> None:
    """Check that an image file has no more bytes than any image has.

    Raises:
        TooManyPixels: It has.
    """
    if size > MAX_BYTES:
        raise TooManyPixels(path, f"has {size:,} bytes, over the limit of {MAX_BYTES:,}")


def open_at_once(path: str) -> BinaryIO:
    """Open a file for reading; should it have become a pipe, nobody is waited for."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def _check(path: str, file: BinaryIO, size: int, max_pixels: int) -> ImageHeader:
    image = open_checked(path, file, size, max_pixels)
    return ImageHeader(image.width, image.height, image.format or "unknown")


def _open_any(path: str, file: BinaryIO, size: int) -> ImageFile:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of size, judged by our own limit, and of odd metadata
        try:
            return Image.open(file)
        except Image.DecompressionBombError:
            raise TooManyPixels(path, f"is over Pillow's limit of {2 * MAX_PIXELS:,} pixels") from None
        except Exception:  # Pillow's parsers raise whatever the bytes make them raise
            raise _why_no_header(path, file, size) from None


def _why_no_header(path: str, file: BinaryIO, size: int) -> BadImage:
    """Tell an image that was cut short from what never was one."""
    file.seek(0)
    head = file.read(512)
    if (image_format := format_by_magic(head)) is None:
        return NotAnImage(path, f"is {looks_like(head)}")
    if not is_whole(file, image_format, size):
        return TruncatedImage(path, f"is cut short: its {image_format} end marker is missing")
    return NotAnImage(path, f"begins like a {image_format} file, but its header is broken")
