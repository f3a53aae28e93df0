"""What an image is that opens, held against what the model makes of it."""

from __future__ import annotations

import io
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, cast

from phi3v_data.media.scans import many_scans
from phi3v_data.printable import printable
from phi3v_data.tokens import ImpossibleSize, scaled_size
from phi3v_data.validate.image_rules import (
    ImageAnimated,
    ImageBlank,
    ImageDamaged,
    ImageRotated,
    ImageTiny,
    ImageTooThin,
    NotEightBitRGB,
    SuffixDiffers,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL import Image

    from phi3v_data.media.header_facts import Header
    from phi3v_data.validate.rule import Rule

    Fault = tuple[type[Rule], str]

__all__ = ["LONGEST_SUFFIX", "Decoded", "check_header", "check_pixels"]

_LEAST_SIDE = 8
"""Pixels: the model blows every image up to 336 and more, and fewer can show nothing."""

_FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), ("JPEG", "MPO")),
    **dict.fromkeys((".png", ".apng"), ("PNG",)),
    **dict.fromkeys((".tif", ".tiff"), ("TIFF",)),
    **dict.fromkeys((".bmp", ".dib"), ("BMP", "DIB")),
    ".mpo": ("MPO", "JPEG"),
    ".webp": ("WEBP",),
    ".gif": ("GIF",),
    ".avif": ("AVIF",),
    ".ico": ("ICO",),
    ".jp2": ("JPEG2000",),
    ".tga": ("TGA",),
}
"""What a suffix promises; of one that is not here, and where there is none, nothing is said."""

LONGEST_SUFFIX = max(map(len, _FORMATS))

_TURNS = range(2, 9)
_DEEP_GREY = ("I", "F")
_BLANK = 8
"""Most steps of 255 between the darkest and the lightest pixel of a blank image, in each colour: JPEG's own noise."""

_SAMPLES = ((0.5, 0.5), (0.3, 0.3), (0.7, 0.3), (0.3, 0.7), (0.7, 0.7), (0.1, 0.9), (0.9, 0.1))
_LONGEST_REASON = 100


class Decoded(NamedTuple):
    """What the pixels of an image have shown.

    Args:
        header: What is known of the image after it was decoded.
        faults: As those of a look, of the pixels alone.
        likeness: As that of a look.
    """

    header: Header
    faults: tuple[Fault, ...]
    likeness: int | None = None


@lru_cache(4096)  # the images of a dataset are of few kinds
def check_header(header: Header, ending: str, num_crops: int) -> tuple[Fault, ...]:
    """Return which rules an image breaks by what its header says.

    Args:
        header: What it says.
        ending: The last characters of the image's path, `LONGEST_SUFFIX` of them.
        num_crops: The most crops the model's image processor makes of it.
    """
    return tuple(_header_faults(header, ending, num_crops))


def _header_faults(header: Header, ending: str, num_crops: int) -> Iterator[Fault]:
    size = f"{header.width}x{header.height} pixels"
    try:
        scaled_size(header.width, header.height, num_crops)
    except ImpossibleSize:
        yield ImageTooThin, f"is {size}: at num_crops {num_crops} the model's scaling leaves no row of it"
    else:
        if min(header.width, header.height) < _LEAST_SIDE:
            yield ImageTiny, f"is {size}, less than {_LEAST_SIDE} on a side"
    suffix = ending[ending.rfind(".") :].lower()
    if header.format not in _FORMATS.get(suffix, (header.format,)):
        yield SuffixDiffers, f"is a {header.format} file, though its name ends in {suffix}"
    if words := _colours(header):
        yield NotEightBitRGB, words
    if header.is_animated:
        yield ImageAnimated, "holds several pictures, of which the model sees the first alone"
    if header.orientation in _TURNS:
        words = f"is to be turned by its Exif orientation, {header.orientation}; the model sees it as it is stored"
        yield ImageRotated, words


def _colours(header: Header) -> str | None:
    if header.mode == "CMYK":
        return "is CMYK: the model sees it turned to RGB without its colour profile, in other colours"
    if header.mode.startswith(_DEEP_GREY):
        return "is grey with more than 8 bits a pixel: the model sees every value above 255 as white"
    if header.has_alpha:
        return "may be transparent: the model sees the colours stored below transparent parts, often black"
    return None


def check_pixels(data: bytes, header: Header, likeness: Callable[[Image.Image], int | None] | None) -> Decoded:
    """Decode an image as the trainer does, and return what that shows; no image makes it raise.

    Args:
        data: The bytes of an image whose header is sound.
        header: What it says.
        likeness: Returns 64 bits that say what an RGB image looks like.
    """
    if scans := many_scans(data, header.format, header.width, header.height):
        return _damaged(header, f"is built of {scans:,} scans, which may take hours to decode")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata, and of size, which was judged from the header
        try:
            return _decode(data, header, likeness)
        except MemoryError:
            return _damaged(header, "does not decode in the memory there is")
        except Exception as error:  # Pillow's decoders raise whatever the bytes make them raise
            return _damaged(header, f"does not decode: {printable(str(error)[:_LONGEST_REASON])}")


def _damaged(header: Header, words: str) -> Decoded:
    return Decoded(header, ((ImageDamaged, words),))


def _decode(data: bytes, header: Header, likeness: Callable[[Image.Image], int | None] | None) -> Decoded:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        image.load()
        if header.format != "JPEG":  # whose notes all stand before its pixels
            header = _after_decoding(header, image)
        seen = image if image.mode == "RGB" else image.convert("RGB")
        blank = _blank(seen)
        return Decoded(header, () if blank is None else ((ImageBlank, blank),), likeness and likeness(seen))


def _after_decoding(header: Header, image: Image.Image) -> Header:
    """Return what is known now: notes behind the pixels, and whether any pixel is transparent."""
    from phi3v_data.media.description import describe

    has_alpha = header.has_alpha and image.convert("RGBA").getchannel("A").getextrema() != (255, 255)
    return header._replace(has_alpha=has_alpha, orientation=describe(image).orientation)


def _blank(image: Image.Image) -> str | None:
    """Return the end of a sentence about an RGB image where all its pixels are much the same."""
    pixels = [image.getpixel((int(x * image.width), int(y * image.height))) for x, y in _SAMPLES]
    if any(max(values) - min(values) > _BLANK for values in zip(*pixels, strict=True)):
        return None
    extrema = cast("tuple[tuple[int, int], ...]", image.getextrema())
    if any(high - low > _BLANK for low, high in extrema):
        return None
    colour = ", ".join(str((low + high) // 2) for low, high in extrema)
    return f"is blank: all of its pixels are, or nearly are, of the colour ({colour})"
