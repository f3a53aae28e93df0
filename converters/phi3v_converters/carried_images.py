"""Images as rows of chats carry them: named by a path, or inside the row as bytes or base64."""

from __future__ import annotations

import base64
import binascii
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from xxhash import xxh3_128_hexdigest

from phi3v_converters.local_folders import path_advice
from phi3v_data.convert.pictures import MOST_BYTES, read_picture
from phi3v_data.errors import SourceError
from phi3v_data.image_folder import ImageFolder, UnsafePath

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["IMAGE_KEYS", "CarriedImage", "CarriedImages", "carried_image", "images_of"]

IMAGE_KEYS = ("image", "images")
"""Columns of a row that hold its images; a row has one of them."""

_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_SPACE = b" \t\r\n"
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_LONGEST_NAME = 255  # of a file; base64 of a picture is longer
_FILE_URL = re.compile(r"file://(?:localhost)?(?=/)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CarriedImage:
    """An image of a row: a path as the row has it, or base64, or the bytes that only Parquet can hold; one of these."""

    path: str | None = None
    base64: str | None = None
    data: bytes | None = None


def images_of(row: Mapping[str, Any]) -> list[CarriedImage]:
    """Return the images of a row's `image` or `images`, one or a list, in order.

    Raises:
        SourceError: One of them is no image, or both columns hold some.
    """
    held = [row[column] for column in IMAGE_KEYS if row.get(column) not in (None, "", [])]
    if len(held) > 1:
        raise SourceError("bad_image", "the row has both 'image' and 'images', so the order of its images is unknown")
    values = held[0] if held and isinstance(held[0], list) else held
    return [carried_image(value) for value in values]


def carried_image(value: object) -> CarriedImage:
    """Return the image that a value stands for: a path, a file or data URL, base64, or a dict with `bytes` or `path`.

    Raises:
        SourceError: It is something else, or on the network.
    """
    if isinstance(value, dict):
        data = value.get("bytes") or value.get("base64")
        if isinstance(data, bytes):
            return CarriedImage(data=data)
        if isinstance(data, str):
            return CarriedImage(base64=data)
        value = value.get("path") or value.get("url")
    if not isinstance(value, str) or not value:
        raise SourceError("bad_image", f"an image of the row is {str(value)[:100]!r}, neither a path nor base64")
    if value[:5].lower() == "data:":
        return CarriedImage(base64=_payload(value))
    if _is_base64(value):
        return CarriedImage(base64=value)
    if _URL.match(value) is None:
        return CarriedImage(path=value)
    if (file := _FILE_URL.match(value)) is None:
        message = f"the image {value[:200]} is on the network: download it first, and name the file"
        raise SourceError("image_is_url", message)
    return CarriedImage(path=unquote(value[file.end() :]))


def _is_base64(text: str) -> bool:
    return len(text) > _LONGEST_NAME and text.isascii() and not text.encode().translate(None, _ALPHABET + _SPACE)


def _payload(url: str) -> str:
    head = _DATA_URL.match(url)
    if head is None:
        raise SourceError("bad_base64", f"the image {url[:50]!r} is a data URL without base64")
    return url[head.end() :]


class CarriedImages:
    """Finds the images that rows name and reads those they hold; leaves its folders by no '..' and no link.

    Args:
        folders: Where the paths begin; of several, the first that has the file.
        follow_links: Whether links may lead out of them all the same.
    """

    def __init__(self, folders: Sequence[Path], *, follow_links: bool = False) -> None:
        self._folders = [ImageFolder(folder, follow_links=follow_links) for folder in folders]

    def identity(self, image: CarriedImage) -> str:
        """Return what is the same for the same image: its path below the folder, or a hash of its bytes or base64.

        Raises:
            SourceError: It must not be opened.
        """
        if image.data is not None:
            return f"bytes-{xxh3_128_hexdigest(image.data)}"
        if image.path is None:
            return f"base64-{xxh3_128_hexdigest((image.base64 or '').encode().translate(None, _SPACE))}"
        return self._find(image.path)[0]

    def size(self, image: CarriedImage) -> int:
        """Return the bytes of an image's file; 0 where there is none, which `read` says.

        Raises:
            SourceError: It must not be opened.
        """
        try:
            return Path(self._find(image.path)[1]).stat().st_size if image.path is not None else 0
        except OSError:
            return 0

    def read(self, image: CarriedImage) -> bytes:
        """Return the bytes of an image.

        Raises:
            SourceError: It is not there, must not be opened, is too large, or is no base64.
        """
        if image.data is not None:
            return image.data
        if image.path is None:
            return _decode(image.base64 or "")
        return read_picture(Path(self._find(image.path)[1]), image.path[:200])

    def _find(self, path: str) -> tuple[str, str]:
        """Return an image's path below its folder, and its file; where no folder has it, those of the first."""
        found = []
        for folder in self._folders:
            if (relative := _below(path, folder.root)) is None:
                continue
            try:
                found.append((relative, folder.locate(relative)))
            except UnsafePath as error:
                raise SourceError("unsafe_path", f"its image's path {path[:200]!r} {path_advice(error)}") from None
        if not found:
            message = (
                f"its image's path {path[:200]!r} is absolute, and not below the folder of images: see --image_dir"
            )
            raise SourceError("unsafe_path", message)
        return next((pair for pair in found if os.path.exists(pair[1])), found[0])  # noqa: PTH110 -- for every image


def _below(path: str, folder: Path) -> str | None:
    """Return a path as it reads from a folder on, or None where it is absolute and elsewhere; '..' stays in it."""
    pure = PurePosixPath(path)
    if not pure.is_absolute():
        return str(pure)
    above = next((base for base in (folder, folder.resolve()) if pure.is_relative_to(base)), None)
    return None if above is None else str(pure.relative_to(above))


def _decode(text: str) -> bytes:
    if len(text) // 4 * 3 > MOST_BYTES:
        raise SourceError(
            "too_large", f"an image of the row has more than {MOST_BYTES:,} bytes, which no picture should"
        )
    try:
        return base64.b64decode(text.encode("ascii").translate(None, _SPACE), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SourceError("bad_base64", f"an image of the row is no base64: {str(error).lower()}") from None
