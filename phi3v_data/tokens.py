"""How many tokens an image costs: exact, from its size alone.

The rules are those of the model's own image processor (`Phi3VImageProcessor` of Phi-3.5-vision): the image is
scaled to a grid of 336-pixel crops, and each crop becomes 144 tokens besides the separators.
"""

from __future__ import annotations

from math import ceil, sqrt

from phi3v_data.errors import DataError

__all__ = ["CROP", "TOKENS_PER_CROP", "ImpossibleSize", "grid_tokens", "hd_size", "image_tokens", "scaled_size"]

CROP = 336
"""Side of one crop in pixels: what the vision encoder sees at a time."""

TOKENS_PER_CROP = 144
"""12 rows of 12 tokens."""


class ImpossibleSize(DataError, ValueError):
    """The image processor cannot scale an image of this size."""


def scaled_size(width: int, height: int, num_crops: int) -> tuple[int, int]:
    """Compute the size to which the image processor scales an image, before it pads it to whole crops.

    Args:
        width: Pixels.
        height: Pixels.
        num_crops: The most crops the grid may have (the processor's `num_crops`), at least 1.

    Returns:
        Width and height in pixels; the long side is a multiple of 336.

    Raises:
        ImpossibleSize: A side is not positive, `num_crops` is below 1, or the image is so long and thin that
            its short side would vanish.
    """
    if width < 1 or height < 1 or num_crops < 1:
        raise ImpossibleSize(f"an image of {width}x{height} pixels with num_crops {num_crops} has no size")
    long, short = _scaled(max(width, height), min(width, height), num_crops)
    if not long or not short:
        raise ImpossibleSize(
            f"an image of {width}x{height} pixels is too thin: at num_crops {num_crops} no row of it is left"
        )
    return (short, long) if width < height else (long, short)


def hd_size(width: int, height: int, num_crops: int) -> tuple[int, int]:
    """Compute the size to which the image processor scales and pads an image.

    Args:
        width: Pixels.
        height: Pixels.
        num_crops: As `scaled_size`.

    Returns:
        Padded width and height in pixels, both multiples of 336.

    Raises:
        ImpossibleSize: As `scaled_size`.
    """
    scaled_width, scaled_height = scaled_size(width, height, num_crops)
    return ceil(scaled_width / CROP) * CROP, ceil(scaled_height / CROP) * CROP


def image_tokens(width: int, height: int, num_crops: int) -> int:
    """Compute the number of tokens an image takes in the prompt.

    Args:
        width: Pixels.
        height: Pixels.
        num_crops: As `scaled_size`.

    Returns:
        Tokens, the `<s>` that the processor puts behind an image not counted.

    Raises:
        ImpossibleSize: As `scaled_size`.
    """
    padded_width, padded_height = hd_size(width, height, num_crops)
    return grid_tokens(padded_width // CROP, padded_height // CROP)


def grid_tokens(columns: int, rows: int) -> int:
    """Compute the number of tokens of an image that is cut into `columns` by `rows` crops.

    144 for each crop and for the overview, 12 ends of lines for each row of crops and for the overview, and 1
    between the two.
    """
    return (rows * columns + 1) * TOKENS_PER_CROP + 1 + (rows + 1) * 12


def _scaled(long: int, short: int, num_crops: int) -> tuple[int, int]:
    """Return the scaled size of an image lying on its long side; a side of 0 where nothing is left."""
    ratio = long / short
    # The reference counts the scale up while scale * ceil(scale / ratio) fits. That product never falls, and
    # it is at least scale**2 / ratio, so the answer lies just below this bound: a few steps at most.
    scale = min(num_crops, int(sqrt(num_crops * ratio)) + 1)
    while scale * ceil(scale / ratio) > num_crops:
        scale -= 1
    return CROP * scale, int(CROP * scale / ratio)
