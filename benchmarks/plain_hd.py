"""The image processing of Phi-3.5-vision in the plainest Pillow and torch: what ours is measured and tested against."""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image

__all__ = ["plain_crops", "plain_hd_image"]

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def plain_hd_image(image: Image.Image, num_crops: int) -> Image.Image:
    """Scale an image to whole tiles: transpose, count the scale up, resize, pad with white, transpose back."""
    image = image.convert("RGB")
    upright = image.width < image.height
    if upright:
        image = image.transpose(Image.Transpose.TRANSPOSE)
    ratio, scale = image.width / image.height, 1
    while scale * math.ceil(scale / ratio) <= num_crops:
        scale += 1
    width = 336 * (scale - 1)
    image = image.resize((width, int(width / ratio)), Image.Resampling.BILINEAR)
    padded = Image.new("RGB", (width, math.ceil(image.height / 336) * 336), "white")
    padded.paste(image, (0, int((padded.height - image.height) / 2)))
    return padded.transpose(Image.Transpose.TRANSPOSE) if upright else padded


def plain_crops(image: Image.Image, num_crops: int) -> torch.Tensor:
    """Return float32 (1 + h * w, 3, 336, 336): the global crop, then the tiles row by row."""
    pixels = torch.from_numpy(np.array(plain_hd_image(image, num_crops))).permute(2, 0, 1).float() / 255
    pixels = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    overview = torch.nn.functional.interpolate(pixels[None], size=(336, 336), mode="bicubic")
    rows, columns = pixels.shape[1] // 336, pixels.shape[2] // 336
    tiles = pixels.reshape(3, rows, 336, columns, 336).permute(1, 3, 0, 2, 4).reshape(-1, 3, 336, 336)
    return torch.cat((overview, tiles))
