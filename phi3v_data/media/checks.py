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

from phi3v_data.errors import DataError

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
    "check_exists",
    "check_image",
    "check_image_bytes",
]

MAX_PIXELS = 89_478_485
"""Pillow's own limit, above which it warns of a decompression bomb: a quarter of a gigabyte of RGB."""

_JPEG_END = b"\xff\xd9"
_MOST_FILL = 4096  # bytes of FF before markers: no camera writes more than a few, a bomb may
_JPEG_SCAN = 0xDA
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_BLOCK = 1 << 20


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
        with open(path, "rb") as file:  # noqa: PTH123
            return _check(path, file, size, max_pixels)
    except OSError as error:
        raise UnreadableImage(path, f"cannot be read: {error.strerror or error}") from None


def check_image_bytes(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> ImageHeader:
    """Check an image file's bytes, as `check_image` checks a file; `name` is what errors call it."""
    if not data:
        raise EmptyImage(name, "is empty (0 bytes)")
    return _check(name, io.BytesIO(data), len(data), max_pixels)


def _check(path: str, file: BinaryIO, size: int, max_pixels: int) -> ImageHeader:
    header = _read_header(path, file, size)
    if header.width * header.height > max_pixels:
        raise TooManyPixels(path, f"is {header.width}x{header.height} pixels, over the limit of {max_pixels:,}")
    if not _is_whole(file, header.format, size):
        raise TruncatedImage(path, f"is cut short: its {header.format} end marker is missing")
    return header


def _read_header(path: str, file: BinaryIO, size: int) -> ImageHeader:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of size, judged by our own limit, and of odd metadata
        try:
            image = Image.open(file)
        except Image.DecompressionBombError:
            raise TooManyPixels(path, f"is over Pillow's limit of {2 * MAX_PIXELS:,} pixels") from None
        except Exception:  # Pillow's parsers raise whatever the bytes make them raise
            raise _why_no_header(path, file, size) from None
        return ImageHeader(image.width, image.height, image.format or "unknown")


def _why_no_header(path: str, file: BinaryIO, size: int) -> BadImage:
    """Tell an image that was cut short from what never was one."""
    file.seek(0)
    head = file.read(512)
    if (image_format := _format_by_magic(head)) is None:
        return NotAnImage(path, f"is {_looks_like(head)}")
    if not _is_whole(file, image_format, size):
        return TruncatedImage(path, f"is cut short: its {image_format} end marker is missing")
    return NotAnImage(path, f"begins like a {image_format} file, but its header is broken")


def _format_by_magic(head: bytes) -> str | None:
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    return "WEBP" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else None


def _looks_like(head: bytes) -> str:
    """Return what a file that is no image seems to be: the end of a sentence."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head")):
        return "a web page, not an image: the download failed"
    if text.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the image itself"
    if head.isascii() and b"\0" not in head:
        return "text, not an image"
    return "not an image in a format Pillow knows"


def _is_whole(file: BinaryIO, image_format: str, size: int) -> bool:
    """Return whether the file reaches its format's end; formats without an end marker always do."""
    if image_format in ("JPEG", "MPO"):
        return _ends_with(file, _JPEG_END, size) or _jpeg_has_end(file)
    if image_format == "PNG":
        return _ends_with(file, _PNG_END, size) or _png_has_end(file, size)
    if image_format == "WEBP":
        file.seek(4)
        return int.from_bytes(file.read(4), "little") + 8 <= size
    return True


def _ends_with(file: BinaryIO, marker: bytes, size: int) -> bool:
    file.seek(max(0, size - len(marker)))
    return file.read() == marker


def _jpeg_has_end(file: BinaryIO) -> bool:
    """Look for the end marker behind the first scan: phones append videos, and thumbnails have ends too.

    Within a scan the byte FF is always stuffed (ITU-T T.81, B.1.1.5), so the two bytes mean the end there.
    """
    position, filled = 2, 0
    while True:
        file.seek(position)
        marker = file.read(4)
        if len(marker) < 4 or marker[0] != 0xFF:
            return False
        if marker[1] == 0xFF:  # a fill byte before a marker
            position, filled = position + 1, filled + 1
            if filled > _MOST_FILL:
                return False
            continue
        if marker[1] == _JPEG_SCAN:
            return _contains(file, _JPEG_END)
        position += 2 + int.from_bytes(marker[2:], "big")


def _contains(file: BinaryIO, wanted: bytes) -> bool:
    kept = b""
    while block := file.read(_BLOCK):
        if wanted in kept + block:
            return True
        kept = block[-(len(wanted) - 1) :]
    return False


def _png_has_end(file: BinaryIO, size: int) -> bool:
    """Walk the chunks (length, type, data, checksum; PNG 1.2, 3.2) to the last, whatever follows it."""
    position = 8
    while True:
        file.seek(position)
        head = file.read(8)
        position += 12 + int.from_bytes(head[:4], "big")
        if len(head) < 8 or position > size or not head[4:].isalpha():
            return False
        if head[4:] == b"IEND":
            return True
