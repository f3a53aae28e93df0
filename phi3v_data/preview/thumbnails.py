"""Small pictures of images, as the model sees them, whatever the files hold."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from phi3v_data.errors import DataError
from phi3v_data.image_folder import ImageFolder, UnsafePath
from phi3v_data.media.checks import BadImage, open_checked
from phi3v_data.media.description import read_image
from phi3v_data.media.scans import many_scans
from phi3v_data.printable import printable

if TYPE_CHECKING:
    from phi3v_data.formats.images import ImageStore

__all__ = ["Thumbnail", "Thumbnails"]

_REMEMBERED = 64
_LEAST = 16  # pixels of a picture's height: smaller images are blown up
_WIDEST = 4  # times the height, and the other way round
_GROUND = (255, 255, 255)
_LONGEST_REASON = 60


class Thumbnail(NamedTuple):
    """A small picture.

    Args:
        width: Pixels of the image itself; 0 where it is not known.
        height: Likewise.
        picture: RGB; None where the image cannot be shown.
        fault: What is wrong with the image, in a few words.
    """

    width: int
    height: int
    picture: Image.Image | None
    fault: str | None


class Thumbnails:
    """Makes small pictures; of a folder's images, the last ones are remembered.

    An alpha channel is dropped and an Exif orientation is not followed: the trainer does neither.

    Args:
        height: The most pixels of their height.
    """

    def __init__(self, height: int) -> None:
        self._height = height
        self._known: dict[tuple[str, str], Thumbnail] = {}

    def of(self, path: str, images: ImageStore) -> Thumbnail:
        """Return the small picture of an image; nothing makes it raise.

        Args:
            path: Its path in the record.
            images: What hands it out.
        """
        if not isinstance(images, ImageFolder):
            return self._make(path, images)
        key = (str(images.root), path)
        if key not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.pop(next(iter(self._known)))
            self._known[key] = self._make(path, images)
        return self._known[key]

    def _make(self, path: str, images: ImageStore) -> Thumbnail:
        try:
            data = read_image(images.locate(path)) if isinstance(images, ImageFolder) else images.read(path)
            if not data:
                return Thumbnail(0, 0, None, "is empty (0 bytes)")
            image = open_checked(path, io.BytesIO(data), len(data))
        except (UnsafePath, BadImage) as error:
            return Thumbnail(0, 0, None, error.fault)
        except (DataError, OSError) as error:  # the shard has changed, or cannot be read any more
            return Thumbnail(0, 0, None, f"cannot be read: {printable(str(error)[:_LONGEST_REASON])}")
        width, height = image.size
        if many_scans(data, image.format, width, height):
            return Thumbnail(width, height, None, "is built of so many scans that it may take hours to decode")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, and of size, which was judged from the header
            try:
                return Thumbnail(width, height, _shrink(image, self._height), None)
            except MemoryError:
                return Thumbnail(width, height, None, "does not decode in the memory there is")
            except Exception as error:  # Pillow's decoders raise whatever the bytes make them raise
                fault = f"does not decode: {printable(str(error)[:_LONGEST_REASON])}"
                return Thumbnail(width, height, None, fault)


def _shrink(image: Image.Image, most: int) -> Image.Image:
    """Return a picture no higher than `most`, nor than the image; one very long or thin is shown whole, on white."""
    height = min(most, max(image.height, _LEAST))
    cell = min(_WIDEST * height, max(-(-height // _WIDEST), round(height * image.width / image.height)))
    scale = min(cell / image.width, height / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    if abs(size[0] - cell) <= 1 and abs(size[1] - height) <= 1:
        size = cell, height
    image.draft(image.mode, size)
    image.load()
    seen = image if image.mode == "RGB" else image.convert("RGB")
    small = seen.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    if size == (cell, height):
        return small
    picture = Image.new("RGB", (cell, height), _GROUND)
    picture.paste(small, ((cell - size[0]) // 2, (height - size[1]) // 2))
    return picture
