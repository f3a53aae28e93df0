"""The images folder of a dataset: a record's path becomes a file inside it, or is refused."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from phi3v_data.errors import DataError
from phi3v_data.paths import name_fault

if TYPE_CHECKING:
    from PIL import Image

    from phi3v_data.media.checks import ImageHeader

__all__ = ["ImageFolder", "LeadsOut", "UnsafePath", "are_plain", "path_fault"]

_CACHED_PARENTS = 4096
_is_plain_name = re.compile("[0-9A-Za-z_][0-9A-Za-z_.-]{0,99}").fullmatch
_PLAIN_BYTES = bytes(byte for byte in range(0x20, 0x7F) if byte not in b":\\")


class UnsafePath(DataError):
    """An image path that must not be opened; `fault` is the end of a sentence about it."""

    def __init__(self, path: str, fault: str) -> None:
        super().__init__(f"the image path {path!r} {fault}")
        self.path = path
        self.fault = fault


class LeadsOut(UnsafePath):
    """An image path that leaves the folder through a link."""

    def __init__(self, path: str) -> None:
        super().__init__(path, "leaves the folder through a link")


def path_fault(path: str) -> str | None:
    """Return why an image path is refused for its text alone (the end of a sentence), or None."""
    if are_plain([path]):
        return None
    if path.startswith("data:"):
        return "holds the image itself; write it to a file and name that"
    if "://" in path:
        return "is a URL; images are files below the images folder"
    return name_fault(path)


def are_plain(paths: list[str]) -> bool:
    """Return whether image paths are surely above suspicion, as nearly all are; `path_fault` judges the rest."""
    joined = f"/{'/'.join(paths)}/"
    return (
        "//" not in joined  # no empty part, so none absolute either
        and "/." not in joined  # neither '.' nor '..'
        and not joined.encode(errors="surrogatepass").translate(None, _PLAIN_BYTES)
    )


class ImageFolder:
    """Finds images below one folder and never leaves it, by '..' or by a link.

    Args:
        root: The folder. It need not exist.
        follow_links: Whether links may lead out of it all the same.
    """

    def __init__(self, root: Path, *, follow_links: bool = False) -> None:
        self.root = root
        self._follow_links = follow_links
        self._real_root = os.path.realpath(root)
        self._real_parents: dict[str, str] = {}

    def locate(self, relative: str) -> str:
        """Return the file that a record's image path names; it need not exist.

        Raises:
            UnsafePath: The path is absolute, leaves the folder, or is otherwise refused.
        """
        full = self.locate_name(relative)
        if not self._follow_links and os.path.islink(full):  # noqa: PTH114 -- this runs for every image
            full = os.path.realpath(full)
            self._check_inside(os.path.dirname(full), relative)  # noqa: PTH120
        return full

    def locate_name(self, relative: str) -> str:
        """Return `locate` for whoever opens the file only if it is no link: it has not been looked whether it is one.

        Raises:
            UnsafePath: As `locate`.
        """
        parent, _, name = relative.rpartition("/")
        real_parent = self._real_parents.get(parent)
        if real_parent is None or _is_plain_name(name) is None or relative.startswith("/"):
            if (fault := path_fault(relative)) is not None:
                raise UnsafePath(relative, fault)
            real_parent = self._find_parent(parent, relative)
        return f"{real_parent}/{name}"

    def open(self, relative: str) -> Image.Image:
        """Open an image; its pixels are read when they are first used, and the caller closes it.

        Raises:
            UnsafePath: As `locate`.
            BadImage: There is no such image, or it cannot be read as one.
        """
        from PIL import Image

        from phi3v_data.media.checks import check_image

        path = self.locate(relative)
        check_image(path)
        return Image.open(path)

    def read(self, relative: str) -> bytes:
        """Return the bytes of an image; that they are an image is not looked at.

        Raises:
            UnsafePath: As `locate`.
            BadImage: There is no such image, or it cannot be read.
        """
        from phi3v_data.media.checks import UnreadableImage, check_exists

        path = self.locate(relative)
        check_exists(path)
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise UnreadableImage(path, f"cannot be read: {error.strerror or error}") from None

    def header(self, relative: str) -> ImageHeader:
        """Return size and format of an image, which is looked at by its header and its end.

        Raises:
            UnsafePath: As `locate`.
            BadImage: There is no such image, or it cannot be read as one.
        """
        from phi3v_data.media.checks import check_image

        return check_image(self.locate(relative))

    def path(self, relative: str) -> Path:
        """Return `locate` as a Path."""
        return Path(self.locate(relative))

    def _find_parent(self, parent: str, relative: str) -> str:
        if parent in self._real_parents:
            return self._real_parents[parent]
        real = os.path.realpath(f"{self._real_root}/{parent}" if parent else self._real_root)
        if not self._follow_links:
            self._check_inside(real, relative)
        if len(self._real_parents) >= _CACHED_PARENTS:
            self._real_parents.clear()
        self._real_parents[parent] = real
        return real

    def _check_inside(self, real_parent: str, relative: str) -> None:
        if real_parent != self._real_root and not real_parent.startswith(self._real_root.rstrip("/") + "/"):
            raise LeadsOut(relative)
