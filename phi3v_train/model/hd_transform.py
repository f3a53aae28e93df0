"""The HD transform of Phi-3.5-vision: an image becomes tiles of 336 pixels and one global crop.

Everything is pure: an RGB image is resized (`hd_resize`), padded with white to whole tiles (`pad_to_tiles`), and
its crops are written normalised into memory that the caller gives (`normalize_crops`), or handed over as uint8
tiles, to be normalised by `normalize_tiles` on the device of the model.

The tiles equal the reference's bit for bit on a CPU; the global crop does within 1e-6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from phi3v_data.tokens import CROP, hd_size, scaled_size

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "IMAGE_MEAN",
    "IMAGE_STD",
    "crop_counts",
    "global_crop",
    "hd_image",
    "hd_resize",
    "normalize_crops",
    "normalize_tiles",
    "pad_to_tiles",
    "split_tiles",
    "tile_grids",
    "to_rgb",
]

IMAGE_MEAN = (0.48145466, 0.4578275, 0.40821073)
"""Mean of red, green and blue by which CLIP was trained, of values from 0 to 1."""

IMAGE_STD = (0.26862954, 0.26130258, 0.27577711)
"""Standard deviation of the same."""


def to_rgb(
    image: Image.Image, *, exif_orientation: bool = False, alpha_background: tuple[int, int, int] | None = None
) -> Image.Image:
    """Decode an image and bring it to RGB; the defaults are the reference's choices.

    Args:
        image: Of any mode Pillow converts to RGB.
        exif_orientation: Whether to turn the image upright as its Exif data say; the reference looks at the pixels
            as they are stored.
        alpha_background: Red, green and blue on which a transparent image is laid; None drops the alpha channel,
            so that the colours below it show.

    Returns:
        An image of mode RGB: the given one where nothing had to be done.

    Raises:
        OSError: The file ends too early, or Pillow finds another fault in it.
        ValueError: Pillow cannot convert the mode to RGB.
    """
    image.load()
    if exif_orientation:
        image = ImageOps.exif_transpose(image)
    if alpha_background is not None and image.has_transparency_data:
        background = Image.new("RGBA", image.size, alpha_background)
        image = Image.alpha_composite(background, image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def hd_image(image: Image.Image, num_crops: int) -> Tensor:
    """Scale an RGB image to the tiles it is worth, and pad it with white.

    Args:
        image: Mode RGB.
        num_crops: The most tiles there may be.

    Returns:
        uint8, (3, H, W), on the CPU; H and W are multiples of 336, as `phi3v_data.tokens.hd_size` says.

    Raises:
        ImpossibleSize: The image is so long and thin that its short side would vanish.
    """
    return pad_to_tiles(hd_resize(image, num_crops), hd_size(*image.size, num_crops))


def hd_resize(image: Image.Image, num_crops: int) -> Image.Image:
    """Scale an RGB image so that its long side fills whole tiles, with Pillow's antialiased bilinear filter.

    The reference transposes an image that is higher than wide, resizes it and transposes it back. Pillow filters
    the rows, rounds to bytes, and then filters the columns; so the same bytes come from filtering the columns first,
    without the two transpositions.

    Args:
        image: Mode RGB.
        num_crops: The most tiles there may be.

    Returns:
        Mode RGB; the long side is a multiple of 336 pixels, the short one keeps the aspect ratio.

    Raises:
        ImpossibleSize: As `hd_image`.
    """
    width, height = scaled_size(*image.size, num_crops)
    if image.width < image.height:
        image = image.resize((image.width, height), Image.Resampling.BILINEAR)
    return image.resize((width, height), Image.Resampling.BILINEAR)


def pad_to_tiles(image: Image.Image, size: tuple[int, int]) -> Tensor:
    """Lay a scaled RGB image on white, in the middle; a pixel that cannot be halved goes to the bottom or the right.

    Args:
        image: Mode RGB, not larger than `size`.
        size: Width and height to reach, in pixels.

    Returns:
        uint8, (3, height, width), on the CPU.
    """
    width, height = size
    left, top = (width - image.width) // 2, (height - image.height) // 2
    canvas = np.full((3, height, width), 255, np.uint8)
    window = canvas[:, top : top + image.height, left : left + image.width]
    for plane, band in zip(window, "RGB", strict=True):
        plane[:] = np.frombuffer(image.tobytes("raw", band), np.uint8).reshape(plane.shape)
    return torch.from_numpy(canvas)


def tile_grids(image_sizes: Tensor | Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Return the rows and columns of tiles of images, from their padded heights and widths in pixels (images, 2)."""
    return [(height // CROP, width // CROP) for height, width in torch.as_tensor(image_sizes).long().tolist()]


def crop_counts(image_sizes: Tensor | Sequence[Sequence[int]]) -> list[int]:
    """Return the number of crops of images, the global one included, from their padded heights and widths."""
    return [1 + rows * columns for rows, columns in tile_grids(image_sizes)]


def split_tiles(image: Tensor) -> Tensor:
    """View an HD image (3, h * 336, w * 336) as its tiles (h, w, 3, 336, 336); nothing is copied."""
    return image.unflatten(2, (-1, CROP)).unflatten(1, (-1, CROP)).permute(1, 3, 0, 2, 4)


def global_crop(image: Tensor) -> Tensor:
    """Shrink an HD image to one crop, without antialiasing, as `torch.nn.functional.interpolate` does when bicubic.

    An HD image is a whole multiple of the crop on both axes, which leaves only two cases (`_shrink`).

    Args:
        image: uint8, (3, h * 336, w * 336).

    Returns:
        float32, (3, 336, 336), on the scale of the input: 0 to 255, and somewhat beyond at sharp edges.
    """
    return _shrink(_shrink(image, 1, torch.int16), 2, torch.float32).div_(32 * 32)


def normalize_crops(
    image: Tensor, out: Tensor, mean: Sequence[float] = IMAGE_MEAN, std: Sequence[float] = IMAGE_STD
) -> None:
    """Write the crops of an HD image, as `(value / 255 - mean) / std`.

    Args:
        image: uint8, (3, h * 336, w * 336).
        out: float32, (1 + h * w, 3, 336, 336), on the same device: the global crop, then the tiles row by row.
        mean: Of each channel, of values from 0 to 1.
        std: Likewise.
    """
    statistics = [torch.tensor(values, dtype=out.dtype, device=out.device).view(3, 1, 1) for values in (mean, std)]
    tiles = split_tiles(image)
    _normalize_(out[0].copy_(global_crop(image)), *statistics)
    # One row of tiles at a time is still in the processor's cache when the next operation reads it.
    for row, target in zip(tiles, out[1:].unflatten(0, tiles.shape[:2]), strict=True):
        _normalize_(target.copy_(row), *statistics)


def normalize_tiles(
    tiles: Tensor,
    image_sizes: Tensor | Sequence[Sequence[int]],
    mean: Sequence[float] = IMAGE_MEAN,
    std: Sequence[float] = IMAGE_STD,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Turn raw tiles, a quarter of the bytes to move, into the crops that the model reads, on the tiles' device.

    Args:
        tiles: uint8, (sum of h * w over the images, 3, 336, 336): each image's tiles row by row, no global crops.
        image_sizes: Integers, (images, 2): padded height and width in pixels.
        mean: Of each channel, of values from 0 to 1.
        std: Likewise.
        dtype: Of the result; the arithmetic is float32 in any case.

    Returns:
        (sum of 1 + h * w, 3, 336, 336): each image's global crop, then its tiles; what the image processor gives
        with `do_normalize=True`, within 1e-5.

    Raises:
        ValueError: The tiles are not uint8 of that shape, or not as many as the sizes say.
    """
    grids = tile_grids(image_sizes)
    counts = [rows * columns for rows, columns in grids]
    if tiles.dtype != torch.uint8 or tiles.shape != (sum(counts), 3, CROP, CROP):
        raise ValueError(
            f"image_sizes describes uint8 tiles of shape {(sum(counts), 3, CROP, CROP)}, "
            f"but they are {tiles.dtype} of shape {tuple(tiles.shape)}"
        )
    out = torch.empty((len(tiles) + len(grids), *tiles.shape[1:]), dtype=torch.float32, device=tiles.device)
    targets = out.split(crop_counts(image_sizes))
    for image, grid, target in zip(tiles.split(counts), grids, targets, strict=True):
        normalize_crops(_join_pixels(image, grid), target, mean, std)
    return out.to(dtype)


def _join_pixels(tiles: Tensor, grid: tuple[int, int]) -> Tensor:
    """Put row-major tiles (h * w, 3, 336, 336) together as one image (3, h * 336, w * 336)."""
    return tiles.unflatten(0, grid).permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)


def _normalize_(values: Tensor, mean: Tensor, std: Tensor) -> None:
    # The reference's operations in its order: rounding differs with any other.
    values.div_(255).sub_(mean).div_(std)


def _shrink(values: Tensor, axis: int, dtype: torch.dtype) -> Tensor:
    """Shrink one axis to 336 by bicubic interpolation at a whole ratio; the result is 32 times the value.

    Where the ratio is odd, the middle of a new pixel is the middle of an old one. Where it is even, it lies halfway
    between two, and the cubic convolution kernel with a = -0.75 (R. Keys, 1981; the `a` is torch's) is -3, 19, 19, -3
    in 32nds. All of it is whole numbers that `dtype` holds exactly.
    """
    length = values.shape[axis]
    ratio = length // CROP
    if ratio % 2:
        return values.unflatten(axis, (CROP, ratio)).select(axis + 1, ratio // 2).to(dtype) * 32
    if ratio == 2:  # only here do the taps reach beyond the edge, where the last pixel repeats
        values = torch.cat((values.narrow(axis, 0, 1), values, values.narrow(axis, length - 1, 1)), axis)
    start = max(ratio // 2 - 2, 0)
    taps = values.narrow(axis, start, values.shape[axis] - start).unfold(axis, 4, ratio)
    before, left, right, after = taps.unbind(-1)
    outer = before.to(dtype, copy=True).add_(after)
    return left.to(dtype, copy=True).add_(right).mul_(19).sub_(outer, alpha=3)
