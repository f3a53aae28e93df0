"""A picture as it is to be stored: byte for byte as it came where that will do, encoded anew where it will not."""

from __future__ import annotations

import io
import warnings

from PIL import Image, ImageOps

from phi3v_data.media.checks import DamagedImage, ImageHeader, check_image_bytes

__all__ = ["store_picture"]

_SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png"}
"""Formats that every trainer reads; an MPO file is a JPEG file with more pictures behind it."""


def store_picture(
    data: bytes, name: str, *, image_size: int | None = None, quality: int = 90, decode: bool = False
) -> tuple[bytes, str]:
    """Return the bytes to store for a picture, and the file suffix that says their format.

    A JPEG or PNG within the size limit stays as it is, whatever its name says. One that is larger is shrunk, in its own
    format; any other format becomes PNG, which loses nothing. What is encoded anew is turned upright as its Exif data
    say, and has 8 bits a channel.

    Args:
        data: The bytes of an image file.
        name: What errors call it.
        image_size: Most pixels of the longer side; None sets no limit.
        quality: JPEG quality of a JPEG that is shrunk, 1 to 100.
        decode: Decode also what is stored as it is. A PNG that passes is whole; damage between a JPEG's header and end
            may pass, for its decoder paints over most of it.

    Raises:
        BadImage: It is no image, is cut short, has too many pixels, or does not decode.
    """
    header = check_image_bytes(data, name)
    suffix = _SUFFIXES.get(header.format)
    if suffix is not None and _fits(header, image_size):
        if decode:
            _decode(data, name, None)
        return data, suffix
    image = _decode(data, name, image_size)
    buffer = io.BytesIO()
    if suffix == ".jpg":
        image.save(buffer, "JPEG", quality=quality)
    else:
        image.save(buffer, "PNG", icc_profile=None)  # it may be of colours that are RGB now; a JPEG keeps none either
    return buffer.getvalue(), suffix or ".png"


def _fits(header: ImageHeader, image_size: int | None) -> bool:
    return image_size is None or max(header.width, header.height) <= image_size


def _decode(data: bytes, name: str, image_size: int | None) -> Image.Image:
    """Return the picture upright, with 8 bits a channel, no larger than the limit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata, and of size, which was judged from the header
        try:
            image = _eight_bits(Image.open(io.BytesIO(data)))  # first, for a palette cannot be shrunk smoothly
            if image_size is not None:
                image.thumbnail((image_size, image_size), Image.Resampling.LANCZOS)
            return ImageOps.exif_transpose(image)
        except MemoryError:
            raise
        except Exception as error:  # Pillow's decoders raise whatever the bytes make them raise
            raise DamagedImage(name, f"does not decode: {error}") from None


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return the picture in a mode that PNG stores with 8 bits a channel, transparency kept."""
    if image.mode.startswith("I"):  # 16 bits; plain conversion would clip, and turn nearly everything white
        return image.convert("I").point(lambda value: value / 256).convert("L")
    if image.has_transparency_data:
        return image if image.mode in ("LA", "RGBA") else image.convert("RGBA")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")
