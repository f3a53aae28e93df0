"""The sizes of images, by their headers alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from phi3v_data.image_folder import ImageFolder, UnsafePath
from phi3v_data.media.header import HEAD, HeaderReader

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.formats.images import ImageStore
    from phi3v_data.media.header import Header

__all__ = ["ImageMeter", "Measured"]

_REMEMBERED = 1 << 16
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Links are left to whoever knows where they may lead, and a pipe is not waited for."""


class Measured(NamedTuple):
    """An image: width and height in pixels, as stored; its format by Pillow's name; the bytes of its file."""

    width: int
    height: int
    format: str
    bytes: int


class ImageMeter:
    """Measures images, those of one images folder once each as long as they are remembered.

    Args:
        folder: The images folder.
    """

    def __init__(self, folder: Path) -> None:
        self._files = ImageFolder(folder)
        self._is_there = folder.is_dir()
        self._headers = HeaderReader()
        self._known: dict[str, Measured | None] = {}

    def measure(self, path: str, held: ImageStore | None = None) -> Measured | None:
        """Measure an image; nothing makes it raise.

        Args:
            path: Its path in the record.
            held: What hands it out, where it is in the shard beside its record; None where it is in the folder.

        Returns:
            What was measured; None where it is not there, is none or may not be opened.
        """
        if held is not None:
            return self._of_held(path, held)
        if path not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[path] = self._of_file(path) if self._is_there else None
        return self._known[path]

    def _of_file(self, path: str) -> Measured | None:
        from phi3v_data.media.checks import BadImage

        try:
            return self._glance(self._files.locate_name(path)) or _study(self._files.locate(path))
        except (UnsafePath, BadImage, OSError):
            return None

    def _glance(self, name: str) -> Measured | None:
        """Measure a file whose header is plainly sound; None of any other, of a link above all."""
        try:
            descriptor = os.open(name, _FLAGS)
        except OSError:
            return None
        try:
            size = os.lseek(descriptor, 0, os.SEEK_END)  # of a pipe it fails
            head = os.pread(descriptor, HEAD, 0)
            header = self._headers.recall(head) or self._headers.read(
                head, size, lambda count: os.pread(descriptor, count, 0)
            )
        except OSError:
            return None
        finally:
            os.close(descriptor)
        return header and _measured(header, size)

    def _of_held(self, path: str, held: ImageStore) -> Measured | None:
        from phi3v_data.media.checks import BadImage
        from phi3v_data.media.description import describe_image_bytes

        try:
            data = held.read(path)
            header = self._headers.read(data[:HEAD], len(data), lambda count: data[:count])
            return _measured(header or describe_image_bytes(data, path), len(data))
        except (UnsafePath, BadImage):
            return None


def _study(file: str) -> Measured:
    """Measure any file, by Pillow's parsers; links are followed."""
    from phi3v_data.media.description import describe_image

    return _measured(describe_image(file), os.stat(file).st_size)  # noqa: PTH116


def _measured(header: Header, size: int) -> Measured:
    return Measured(header.width, header.height, header.format, size)
