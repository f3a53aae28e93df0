"""The images of an export, byte for byte in a folder of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3v_data.errors import DataError
from phi3v_data.layout import IMAGES

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.export.target import Example

__all__ = ["ImageCopies"]


class ImageCopies:
    """Copies images into the folder `images` of an export, under the paths that records give them.

    Args:
        folder: The export.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / IMAGES

    def copy(self, example: Example) -> list[str]:
        """Copy a record's images.

        Returns:
            Their paths in the export, in the order in which the model sees them.

        Raises:
            DataError: One cannot be read, or another record has given other bytes the same path.
            OSError: One cannot be written.
        """
        paths = example.record.image_paths()
        for path in dict.fromkeys(paths):
            self._write(path, example)
        return [f"{IMAGES}/{path}" for path in paths]

    def _write(self, path: str, example: Example) -> None:
        data, target = example.read(path), self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with target.open("xb") as file:
                file.write(data)
        except FileExistsError:
            if not target.is_file() or target.read_bytes() != data:
                raise DataError(
                    f"{example.place}: the image {path!r} differs from that of another record by the same path: "
                    "make the dataset again with a path for each"
                ) from None
