"""The images of a record, wherever they are kept: in a folder, or in the shard that holds the record."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Protocol

from pydantic_core import from_json

from phi3v_data.image_folder import UnsafePath, path_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PIL import Image

    from phi3v_data.media.checks import ImageHeader

__all__ = ["HeldImages", "ImageStore", "named_images"]


class ImageStore(Protocol):
    """Hands out images by the paths that a record gives them.

    Every method raises `UnsafePath` for a path that is refused for its text, and `BadImage` for an image that is not
    there or is none.
    """

    def read(self, relative: str) -> bytes:
        """Return the bytes of an image; that they are an image is not looked at."""
        ...

    def header(self, relative: str) -> ImageHeader:
        """Return size and format of an image, which is looked at by its header and its end."""
        ...

    def open(self, relative: str) -> Image.Image:
        """Open an image whose header and end are sound; the caller closes it."""
        ...


class HeldImages:
    """The images that a shard holds beside a record.

    Args:
        paths: Their paths, in the order in which the shard holds them.
        load: Reads the bytes of the image of a place in that order; None where the shard holds fewer.
    """

    def __init__(self, paths: Sequence[str], load: Callable[[int], bytes | None]) -> None:
        self._paths = paths
        self._load = load

    def read(self, relative: str) -> bytes:
        """Return the bytes of an image; that they are an image is not looked at."""
        if (fault := path_fault(relative)) is not None:
            raise UnsafePath(relative, fault)
        data = self._load(self._paths.index(relative)) if relative in self._paths else None
        if data is None:
            from phi3v_data.media.checks import MissingImage

            raise MissingImage(relative, "is not in the shard, beside its record")
        if self._load(len(self._paths)) is not None:
            from phi3v_data.media.checks import UnreadableImage

            raise UnreadableImage(
                relative, "cannot be told from the others: the shard holds more than the record names"
            )
        return data

    def header(self, relative: str) -> ImageHeader:
        """Return size and format of an image, which is looked at by its header and its end."""
        from phi3v_data.media.checks import check_image_bytes

        return check_image_bytes(self.read(relative), relative)

    def open(self, relative: str) -> Image.Image:
        """Open an image whose header and end are sound; the caller closes it."""
        from PIL import Image

        from phi3v_data.media.checks import check_image_bytes

        data = self.read(relative)
        check_image_bytes(data, relative)
        return Image.open(io.BytesIO(data))


def named_images(data: bytes) -> list[str]:
    """Return the image paths of a record's JSON, each once, in order; none where it is no record."""
    try:
        turns = from_json(data)["conversations"]
        return list(dict.fromkeys(path for turn in turns for path in turn.get("images") or () if isinstance(path, str)))
    except (ValueError, KeyError, TypeError, AttributeError):
        return []  # whoever decodes the record says what is wrong with it
