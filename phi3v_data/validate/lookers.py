"""How images are looked at, at each level: in files, and as the bytes that a shard holds."""

from __future__ import annotations

import os
from stat import S_ISREG
from typing import TYPE_CHECKING, Protocol

from phi3v_data.media.ends import END_MARKERS
from phi3v_data.media.header import HEAD, HeaderReader
from phi3v_data.media.header_facts import MAX_BYTES
from phi3v_data.validate.image_rules import EmptyImageFile, fault_of
from phi3v_data.validate.look import TAIL, UNSEEN, Look, fingerprint
from phi3v_data.validate.picture_checks import LONGEST_SUFFIX, check_header, check_pixels

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    from phi3v_data.media.header_facts import Header

__all__ = ["DecodeLooker", "ExistsLooker", "HeaderLooker", "Looker"]

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Links are left to whoever knows where they may lead, and a pipe is not waited for."""


class Looker(Protocol):
    """Looks at images at one level."""

    def glance(self, name: str, path: str) -> Look | None:
        """Look at a file that is plainly sound; None of any other, a link above all, which takes `study`.

        Args:
            name: The file.
            path: The image's path in the record.
        """
        ...

    def study(self, file: str, path: str) -> Look:
        """Look at any file; nothing makes it raise. Links are followed."""
        ...

    def hold(self, data: bytes, path: str) -> Look:
        """Look at the bytes of an image."""
        ...


class ExistsLooker:
    """Sees whether images are there, and hold something."""

    def glance(self, name: str, path: str) -> Look | None:
        """Look at a file that is plainly sound."""
        try:
            status = os.lstat(name)
        except OSError:
            return None
        return UNSEEN if S_ISREG(status.st_mode) and status.st_size else None

    def study(self, file: str, path: str) -> Look:
        """Look at any file."""
        from phi3v_data.media.checks import BadImage, check_exists

        try:
            check_exists(file)
        except BadImage as error:
            return Look((fault_of(error),))
        return UNSEEN

    def hold(self, data: bytes, path: str) -> Look:
        """Look at the bytes of an image."""
        return UNSEEN if data else Look(((EmptyImageFile, "is empty (0 bytes)"),))


class HeaderLooker:
    """Sees by the header and the end of images what they are, and that they were not cut short.

    Args:
        num_crops: The most crops the model's image processor makes of an image.
    """

    def __init__(self, num_crops: int) -> None:
        self._num_crops = num_crops
        self._headers = HeaderReader()

    def glance(self, name: str, path: str) -> Look | None:
        """Look at a file that is plainly sound."""
        try:
            descriptor = os.open(name, _FLAGS)
        except OSError:
            return None
        try:
            size = os.lseek(descriptor, 0, os.SEEK_END)  # a third of fstat's time; of a pipe it fails
            head = os.pread(descriptor, HEAD, 0)
            tail = head[-TAIL:] if size <= HEAD else os.pread(descriptor, TAIL, size - TAIL)
            header = self._headers.recall(head) or self._headers.read(
                head, size, lambda count: os.pread(descriptor, count, 0)
            )
        except OSError:  # of which `study` finds the reason
            return None
        finally:
            os.close(descriptor)
        if header is None or not _is_whole(header, tail, size):
            return None
        return self._seen(header, path, fingerprint(head, tail, size))

    def study(self, file: str, path: str) -> Look:
        """Look at any file, by Pillow's parsers."""
        from phi3v_data.media.checks import BadImage
        from phi3v_data.media.description import describe_image

        try:
            header = describe_image(file)
        except BadImage as error:
            return Look((fault_of(error),))
        return self._seen(header, path, _fingerprint_of(file))

    def hold(self, data: bytes, path: str) -> Look:
        """Look at the bytes of an image."""
        from phi3v_data.media.checks import BadImage
        from phi3v_data.media.description import describe_image_bytes

        head, tail, size = data[:HEAD], data[-TAIL:], len(data)
        header = self._headers.recall(head) or self._headers.read(head, size, lambda count: data[:count])
        if header is None or not _is_whole(header, tail, size):
            try:
                header = describe_image_bytes(data, path)
            except BadImage as error:
                return Look((fault_of(error),))
        return self._look(data, header, path, fingerprint(head, tail, size))

    def _look(self, data: bytes, header: Header, path: str, mark: int) -> Look:
        return self._seen(header, path, mark)

    def _seen(self, header: Header, path: str, mark: int) -> Look:
        faults = check_header(header, path[-LONGEST_SUFFIX:], self._num_crops)
        return Look(faults, header.width, header.height, mark)


class DecodeLooker(HeaderLooker):
    """Decodes images, besides.

    Args:
        num_crops: As of `HeaderLooker`.
        likeness: Returns 64 bits that say what an RGB image looks like.
    """

    def __init__(self, num_crops: int, likeness: Callable[[Image.Image], int | None] | None) -> None:
        super().__init__(num_crops)
        self._likeness = likeness

    def glance(self, name: str, path: str) -> Look | None:
        """Look at no file: beside decoding it, the way of `study` costs nothing."""
        return None

    def study(self, file: str, path: str) -> Look:
        """Look at any file."""
        from phi3v_data.media.checks import BadImage
        from phi3v_data.media.description import read_image

        try:
            data = read_image(file)
        except BadImage as error:
            return Look((fault_of(error),))
        return self.hold(data, path)

    def _look(self, data: bytes, header: Header, path: str, mark: int) -> Look:
        decoded = check_pixels(data, header, self._likeness)
        seen = self._seen(decoded.header, path, mark)
        return Look(seen.faults + decoded.faults, header.width, header.height, mark, decoded.likeness)


def _is_whole(header: Header, tail: bytes, size: int) -> bool:
    """Return whether an image plainly ends as it should; a WebP file's header says how long it is."""
    return tail.endswith(END_MARKERS.get(header.format, b"")) and size <= MAX_BYTES


def _fingerprint_of(file: str) -> int:
    try:
        with open(file, "rb") as stream:  # noqa: PTH123
            head = stream.read(HEAD)
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - TAIL))
            return fingerprint(head, stream.read(TAIL), size)
    except OSError:  # gone since
        return 0
