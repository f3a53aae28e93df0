"""The images of a mended copy, byte for byte: the same files under a second name where the file system can do that."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from phi3v_data.image_folder import ImageFolder, UnsafePath
from phi3v_data.layout import IMAGES
from phi3v_data.media.checks import BadImage, check_exists

__all__ = ["ImageLinks"]


class ImageLinks:
    """Brings the images that records name into the folder `images` of a copy.

    Args:
        source: The images folder of the dataset.
        folder: The copy.

    Attributes:
        images: How many were brought.
        left_out: How often a record named an image that is not there, or that its path may not reach.
    """

    def __init__(self, source: Path, folder: Path) -> None:
        self._source = ImageFolder(source)
        self._folder = folder / IMAGES
        self._parents: set[Path] = set()
        self._may_link = True
        self.images = 0
        self.left_out = 0

    def bring(self, paths: list[str]) -> None:
        """Bring the images of a record.

        Raises:
            OSError: One cannot be read or written.
        """
        for path in dict.fromkeys(paths):
            try:
                found = self._source.locate(path)
                check_exists(found)
            except (UnsafePath, BadImage):
                self.left_out += 1
                continue
            target = self._folder / path
            if target.parent not in self._parents:
                target.parent.mkdir(parents=True, exist_ok=True)
                self._parents.add(target.parent)
            self.images += self._write(Path(os.path.realpath(found)), target)

    def _write(self, found: Path, target: Path) -> bool:
        """Write an image unless another record has had it written; return whether it was."""
        if self._may_link:
            try:
                target.hardlink_to(found)
            except FileExistsError:
                return False
            except OSError:  # another disk, a file system without links, or too many of them
                self._may_link = False
            else:
                return True
        if target.exists():
            return False
        shutil.copy2(found, target)
        return True
