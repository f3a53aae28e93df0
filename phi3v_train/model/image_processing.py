"""The image processor of Phi-3.5-vision: images of any kind to the crops that the model reads."""

import os
from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
import torch
from PIL import Image, ImageColor
from torch import Tensor
from transformers import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor

from phi3v_data.errors import DataError
from phi3v_data.tokens import CROP, ImpossibleSize, hd_size, image_tokens

from .hd_transform import IMAGE_MEAN, IMAGE_STD, hd_image, normalize_crops, split_tiles, to_rgb

__all__ = ["Phi3VImageProcessor", "Phi3VImagesKwargs", "UnreadableImage"]

_TOKENS_PER_CROP = 144


class UnreadableImage(DataError, OSError):
    """Pillow cannot decode an image."""


class Phi3VImagesKwargs(TypedDict, total=False):
    """What `Phi3VImageProcessor.from_pretrained` lets one set over a saved value."""

    num_crops: int
    image_mean: list[float]
    image_std: list[float]
    do_normalize: bool
    pad_crops: bool
    exif_orientation: bool
    alpha_background: str | list[int] | tuple[int, int, int] | None


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
        num_img_tokens: int = _TOKENS_PER_CROP,
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
        _check_given(num_img_tokens, do_convert_rgb, image_mean, image_std)
        self.num_crops, self.num_img_tokens = num_crops, num_img_tokens
        self.image_mean, self.image_std = list(image_mean), list(image_std)
        self.do_convert_rgb, self.do_normalize, self.pad_crops = do_convert_rgb, do_normalize, pad_crops
        self._check(num_crops, do_normalize, pad_crops)
        self.exif_orientation = exif_orientation
        self.alpha_background = None if alpha_background is None else _colour(alpha_background)

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
        return_tensors: str | None = None,
    ) -> BatchFeature:
        """Cut images into crops.

        Args:
            images: A Pillow image, a uint8 array of shape (height, width, 3) or (height, width), or a list of them.
            num_crops: Instead of the processor's own, as are the next two.
            do_normalize: Likewise.
            pad_crops: Likewise.
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
        num_crops = self.num_crops if num_crops is None else num_crops
        do_normalize = self.do_normalize if do_normalize is None else do_normalize
        pad_crops = self.pad_crops if pad_crops is None else pad_crops
        self._check(num_crops, do_normalize, pad_crops)
        named = [(name, self._to_rgb(image, name)) for name, image in _named(images)]
        sizes = [_padded_size(image, name, num_crops) for name, image in named]
        pictures = [image for _, image in named]
        data = {
            "pixel_values": self._pixels(pictures, sizes, num_crops, do_normalize, pad_crops),
            "image_sizes": torch.tensor([(height, width) for width, height in sizes]),
            "num_img_tokens": [image_tokens(*image.size, num_crops) for image in pictures],
        }
        return BatchFeature(data, tensor_type=return_tensors, skip_tensor_conversion=["num_img_tokens"])

    def _check(self, num_crops: int, do_normalize: bool, pad_crops: bool) -> None:
        if not isinstance(num_crops, int) or num_crops < 1:
            raise ValueError(f"num_crops is {num_crops}; it must be a whole number of at least 1")
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

    def _to_rgb(self, image: Any, name: str) -> Image.Image:
        picture = _as_picture(image, name)
        try:
            return to_rgb(picture, exif_orientation=self.exif_orientation, alpha_background=self.alpha_background)
        except Exception as error:  # a file's fault comes out of Pillow as any of half a dozen types
            reason = str(error) or f"{type(error).__name__}, as when its file is closed before it is used"
            raise UnreadableImage(f"{name} cannot be read: {reason}") from error

    def _pixels(
        self,
        images: Sequence[Image.Image],
        sizes: Sequence[tuple[int, int]],
        num_crops: int,
        do_normalize: bool,
        pad_crops: bool,
    ) -> Tensor:
        counts = [width // CROP * (height // CROP) for width, height in sizes]
        values, targets = _allocate(counts, num_crops if pad_crops else None, do_normalize)
        for image, target in zip(images, targets, strict=True):
            pixels = hd_image(image, num_crops)
            if do_normalize:
                normalize_crops(pixels, target, self.image_mean, self.image_std)
            else:
                tiles = split_tiles(pixels)
                target.unflatten(0, tiles.shape[:2]).copy_(tiles)
        return values


def _check_given(tokens: int, do_convert_rgb: bool, mean: Sequence[float], std: Sequence[float]) -> None:
    """Check what the checkpoint fixes."""
    if tokens != _TOKENS_PER_CROP or not do_convert_rgb:
        raise ValueError(
            f"num_img_tokens is {tokens} and do_convert_rgb is {do_convert_rgb}; the model reads RGB and takes "
            f"{_TOKENS_PER_CROP} tokens for a crop"
        )
    if len(mean) != 3 or len(std) != 3:
        raise ValueError(f"image_mean is {mean} and image_std is {std}; give one value each for red, green and blue")


def _colour(value: str | Sequence[int]) -> tuple[int, int, int]:
    """Return red, green and blue of a colour's name or values."""
    colour = ImageColor.getrgb(value) if isinstance(value, str) else tuple(value)
    if len(colour) != 3 or not all(isinstance(part, int) and 0 <= part <= 255 for part in colour):
        raise ValueError(f"alpha_background is {value!r}; give a colour's name or three numbers from 0 to 255")
    return colour


def _named(images: Any) -> list[tuple[str, Any]]:
    """List images with what to call each in an error: its file, where Pillow knows it, or its place."""
    listed = list(images) if isinstance(images, (list, tuple)) else [images]
    if not listed:
        raise ValueError("there are no images in the list")
    files = [getattr(image, "filename", "") for image in listed]
    return [
        (os.fsdecode(file) if file else f"image {number} of {len(listed)}", image)
        for number, (file, image) in enumerate(zip(files, listed, strict=True), 1)
    ]


def _as_picture(image: Any, name: str) -> Image.Image:
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


def _padded_size(image: Image.Image, name: str, num_crops: int) -> tuple[int, int]:
    try:
        return hd_size(*image.size, num_crops)
    except ImpossibleSize as error:
        raise ImpossibleSize(f"{name}: {error}") from None


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
