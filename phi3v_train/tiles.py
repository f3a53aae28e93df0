"""A record's images as the model reads them."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PIL.Image import Image

    from phi3v_train.model import Phi3VImageProcessor

__all__ = ["read_tiles"]


def read_tiles(
    open_image: Callable[[str], Image], paths: Sequence[str], processor: Phi3VImageProcessor, num_crops: int
) -> dict[str, Any]:
    """Decode images and cut them into tiles.

    Args:
        open_image: Opens an image of a record by its path.
        paths: Their paths; there may be none.
        processor: Cuts them.
        num_crops: Most tiles of an image.

    Returns:
        `pixel_values`, uint8, (tiles, 3, 336, 336): raw, a quarter of the bytes of finished ones, which the model
        normalises on its device; `image_sizes`, int64, (images, 2), padded height and width in pixels;
        `num_img_tokens`, a list. Nothing without images.

    Raises:
        DataError: An image cannot be read.
    """
    if not paths:
        return {}
    with warnings.catch_warnings(), ExitStack() as opened:
        warnings.simplefilter("ignore")  # of odd metadata, of which Pillow makes the best it can
        images = [opened.enter_context(open_image(path)) for path in paths]
        return dict(processor(images, num_crops=num_crops, do_normalize=False, pad_crops=False))
