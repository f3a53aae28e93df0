"""What comes into the image processor: images of any kind with a name for each, and the values of its options."""

from __future__ import annotations

import operator
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageColor

from phi3v_data.errors import DataError
from phi3v_data.tokens import TOKENS_PER_CROP, ImpossibleSize, hd_size

from .hd_transform import to_rgb

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "UnreadableImage",
    "as_picture",
    "as_rgb",
    "check_fixed",
    "colour",
    "crop_limit",
    "named_images",
    "padded_size",
    "why_unreadable",
]


class UnreadableImage(DataError, OSError):
    """Pillow cannot decode an image, or it cannot be had."""


def named_images(images: Any) -> list[tuple[str, Any]]:
    """List images with what to call each in an error: its file, where Pillow knows it, or its place."""
    listed = list(images) if isinstance(images, (list, tuple)) else [images]
    if not listed:
        raise ValueError("there are no images in the list")
    files = [getattr(image, "filename", "") for image in listed]
    return [
        (os.fsdecode(file) if file else f"image {number} of {len(listed)}", image)
        for number, (file, image) in enumerate(zip(files, listed, strict=True), 1)
    ]


def as_picture(image: Any, name: str) -> Image.Image:
    """Return a Pillow image as it is, and an array as one; whatever else is refused by its name."""
    if isinstance(image, Image.Image):
        return image
    if not isinstance(image, np.ndarray):
        raise TypeError(f"{name} is a {type(image).__name__}; give Pillow images or uint8 arrays")
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise ValueError(
            f"{name} is an array of {image.dtype} and shape {image.shape}; "
            "give uint8 and (height, width, 3) or (height, width)"
        )
    return Image.fromarray(image)


def as_rgb(image: Any, name: str, exif_orientation: bool, background: tuple[int, int, int] | None) -> Image.Image:
    """Decode what `as_picture` takes and bring it to RGB, as `to_rgb` does; a fault carries the image's name."""
    picture = as_picture(image, name)
    try:
        return to_rgb(picture, exif_orientation=exif_orientation, alpha_background=background)
    except Exception as error:  # a file's fault comes out of Pillow as any of half a dozen types
        raise UnreadableImage(f"{name} cannot be read: {why_unreadable(error)}") from error


def why_unreadable(error: Exception) -> str:
    """Return an error's text, or what it means where it has none."""
    return str(error) or f"{type(error).__name__}, as when its file is closed before it is used"


def padded_size(image: Image.Image, name: str, num_crops: int) -> tuple[int, int]:
    """Return the padded width and height of an image, as `hd_size` does; a fault carries the image's name."""
    try:
        return hd_size(*image.size, num_crops)
    except ImpossibleSize as error:
        raise ImpossibleSize(f"{name}: {error}") from None


def check_fixed(tokens: int, do_convert_rgb: bool, mean: Sequence[float], std: Sequence[float]) -> None:
    """Check what the checkpoint fixes."""
    if tokens != TOKENS_PER_CROP or not do_convert_rgb:
        raise ValueError(
            f"num_img_tokens is {tokens} and do_convert_rgb is {do_convert_rgb}; the model reads RGB and takes "
            f"{TOKENS_PER_CROP} tokens for a crop"
        )
    if len(mean) != 3 or len(std) != 3:
        raise ValueError(f"image_mean is {mean} and image_std is {std}; give one value each for red, green and blue")


def crop_limit(value: Any) -> int:
    """Return `num_crops` as Python's own integer, whichever library it comes from."""
    try:
        number = 0 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"num_crops is {value!r}; it must be a whole number of at least 1")
    return number


def colour(value: str | Sequence[int]) -> tuple[int, int, int]:
    """Return red, green and blue of a colour's name or values."""
    parts = ImageColor.getrgb(value) if isinstance(value, str) else tuple(value)
    if len(parts) != 3 or not all(isinstance(part, int) and 0 <= part <= 255 for part in parts):
        raise ValueError(f"alpha_background is {value!r}; give a colour's name or three numbers from 0 to 255")
    return parts
