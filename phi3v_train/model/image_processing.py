"""The image processor of Phi-3.5-vision: images of any kind to the crops that the model reads."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypedDict

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor

from phi3v_data.tokens import CROP, TOKENS_PER_CROP, grid_tokens

from .hd_transform import IMAGE_MEAN, IMAGE_STD, hd_image, normalize_crops, split_tiles
from .image_inputs import UnreadableImage, as_rgb, check_fixed, colour, crop_limit, named_images, padded_size

__all__ = ["Phi3VImageProcessor", "Phi3VImagesKwargs", "UnreadableImage"]


class Phi3VImagesKwargs(TypedDict, total=False):
    """What `Phi3VImageProcessor.from_pretrained` lets one set over a saved value."""

    num_crops: int
    image_mean: list[float]
    image_std: list[float]
    do_normalize: bool
    pad_crops: bool
    exif_orientation: bool
    alpha_background: str | list[int] | tuple[int, int, int] | None


class _Options(NamedTuple):
    """What a call may set for itself."""

    num_crops: int
    do_normalize: bool
    pad_crops: bool
    exif_orientation: bool
    alpha_background: tuple[int, int, int] | None


class Phi3VImageProcessor(BaseImageProcessor):
    """Cuts images into crops of 336 pixels, equal to those of the checkpoint's own processor.

    It reads and writes `preprocessor_config.json` as it is on the hub; `auto_map` is passed over.

    Args:
        num_crops: The most tiles an image is scaled to. The checkpoint's authors advise 16 for one image, 4 for
            several and for the frames of a video.
        num_img_tokens: Tokens of one crop. Only 144 is possible.
        image_mean: Mean of red, green and blue, of values from 0 to 1.
        image_std: Standard deviation likewise.
        do_convert_rgb: Only True is possible.
        do_normalize: False gives raw tiles, which the model normalises on its own device.
        pad_crops: Whether to lay out images in a batch of equal numbers of crops, padded with zeros.
        exif_orientation: Whether to turn images upright as their Exif data say; the reference does not.
        alpha_background: Colour, by name or as red, green and blue, on which transparent images are laid; None drops
            their alpha channel, as the reference does.
        **kwargs: Other entries of a configuration file; kept as attributes and saved again.

    Raises:
        ValueError: A value that is not possible, or not together with the others.
    """

    model_input_names = ["pixel_values", "image_sizes"]  # noqa: RUF012
    valid_kwargs = Phi3VImagesKwargs

    def __init__(
        self,
        *,
        num_crops: int = 4,
        num_img_tokens: int = TOKENS_PER_CROP,
        image_mean: Sequence[float] = IMAGE_MEAN,
        image_std: Sequence[float] = IMAGE_STD,
        do_convert_rgb: bool = True,
        do_normalize: bool = True,
        pad_crops: bool = False,
        exif_orientation: bool = False,
        alpha_background: str | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        for not_ours in ("auto_map", "image_processor_type"):
            kwargs.pop(not_ours, None)
        super().__init__(**kwargs)
        check_fixed(num_img_tokens, do_convert_rgb, image_mean, image_std)
        self.num_img_tokens, self.do_convert_rgb = num_img_tokens, do_convert_rgb
        self.image_mean, self.image_std = list(image_mean), list(image_std)
        options = self._checked(num_crops, do_normalize, pad_crops, exif_orientation, alpha_background)
        self.num_crops, self.do_normalize, self.pad_crops = options[:3]
        self.exif_orientation, self.alpha_background = options[3:]

    def __call__(self, images: Any, *args: Any, **kwargs: Any) -> BatchFeature:
        """Cut images into crops: `preprocess`, under the name that transformers calls."""
        return self.preprocess(images, *args, **kwargs)

    def preprocess(
        self,
        images: Any,
        *,
        num_crops: int | None = None,
        do_normalize: bool | None = None,
        pad_crops: bool | None = None,
        exif_orientation: bool | None = None,
        alpha_background: str | Sequence[int] | None = None,
        return_tensors: str | None = None,
    ) -> BatchFeature:
        """Cut images into crops.

        Args:
            images: A Pillow image, a uint8 array of shape (height, width, 3) or (height, width), or a list of them.
            num_crops: Instead of the processor's own, which None leaves as it is set, as with the next four.
            do_normalize: Likewise.
            pad_crops: Likewise.
            exif_orientation: Likewise.
            alpha_background: Likewise.
            return_tensors: "np" for numpy arrays; "pt" or nothing for tensors.

        Returns:
            `image_sizes`, int64, (images, 2): padded height and width in pixels; with h and w the same in tiles,
            `num_img_tokens`, a list: the tokens of each image; and `pixel_values`, one of

            - float32, (sum of 1 + h * w, 3, 336, 336): each image's global crop, then its tiles row by row;
            - with `pad_crops`, float32, (images, num_crops + 1, 3, 336, 336): the same with zeros behind;
            - without `do_normalize`, uint8, (sum of h * w, 3, 336, 336): the tiles alone.

        Raises:
            ImpossibleSize: An image is so long and thin that nothing of its short side would be left.
            UnreadableImage: Pillow cannot decode an image.
            TypeError: Something is not an image.
            ValueError: There is no image, an array is not of that type and shape, or an option is not possible.
        """
        given: dict[str, Any] = {"num_crops": num_crops, "do_normalize": do_normalize, "pad_crops": pad_crops}
        given |= {"exif_orientation": exif_orientation, "alpha_background": alpha_background}
        own = {name: getattr(self, name) for name, value in given.items() if value is None}
        options = self._checked(**{**given, **own})
        looks = options.exif_orientation, options.alpha_background
        decoded = [(name, as_rgb(image, name, *looks)) for name, image in named_images(images)]
        sizes = [padded_size(image, name, options.num_crops) for name, image in decoded]
        pictures = [image for _, image in decoded]
        data = {
            "pixel_values": self._pixels(pictures, sizes, options),
            "image_sizes": torch.tensor([(height, width) for width, height in sizes]),
            "num_img_tokens": [grid_tokens(width // CROP, height // CROP) for width, height in sizes],
        }
        return BatchFeature(data, tensor_type=return_tensors, skip_tensor_conversion=["num_img_tokens"])

    def _checked(
        self, num_crops: Any, do_normalize: bool, pad_crops: bool, exif_orientation: bool, alpha_background: Any
    ) -> _Options:
        """Return options as they are used, if they are possible and go together."""
        if pad_crops and not do_normalize:
            raise ValueError(
                "pad_crops is True and do_normalize is False: raw tiles are never padded; set pad_crops=False or "
                "do_normalize=True"
            )
        if not do_normalize and (tuple(self.image_mean), tuple(self.image_std)) != (IMAGE_MEAN, IMAGE_STD):
            raise ValueError(
                "do_normalize is False, and image_mean and image_std are not CLIP's, by which the model normalises raw "
                "tiles; set do_normalize=True"
            )
        background = None if alpha_background is None else colour(alpha_background)
        return _Options(crop_limit(num_crops), do_normalize, pad_crops, exif_orientation, background)

    def _pixels(self, images: Sequence[Image.Image], sizes: Sequence[tuple[int, int]], options: _Options) -> Tensor:
        counts = [width // CROP * (height // CROP) for width, height in sizes]
        padded_to = options.num_crops if options.pad_crops else None
        values, targets = _allocate(counts, padded_to, options.do_normalize)
        for image, target in zip(images, targets, strict=True):
            pixels = hd_image(image, options.num_crops)
            if options.do_normalize:
                normalize_crops(pixels, target, self.image_mean, self.image_std)
            else:
                tiles = split_tiles(pixels)
                target.unflatten(0, tiles.shape[:2]).copy_(tiles)
        return values


def _allocate(counts: Sequence[int], padded_to: int | None, do_normalize: bool) -> tuple[Tensor, Sequence[Tensor]]:
    """Return the memory of all images' crops, and each image's part of it, still to be written."""
    if padded_to is not None:
        values = _empty((len(counts), padded_to + 1, 3, CROP, CROP), np.float32)
        for image, count in zip(values, counts, strict=True):
            image[1 + count :] = 0
        return values, [image[: 1 + count] for image, count in zip(values, counts, strict=True)]
    overview, dtype = (1, np.float32) if do_normalize else (0, np.uint8)
    lengths = [overview + count for count in counts]
    values = _empty((sum(lengths), 3, CROP, CROP), dtype)
    return values, values.split(lengths)


def _empty(shape: tuple[int, ...], dtype: type[np.generic]) -> Tensor:
    # numpy asks Linux for huge pages and torch does not: the crops of one page of paper are 12 of them, or 5,600 of
    # the ordinary size, each a page fault whenever the memory is new.
    return torch.from_numpy(np.empty(shape, dtype))
