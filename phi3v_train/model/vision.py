"""From crops to image tokens: CLIP's features, the HD merge with its separators, and the projector."""

from collections.abc import Sequence

import torch
from torch import Tensor, distributed, nn
from transformers import CLIPVisionModel

from phi3v_data.tokens import CROP

from .configuration import Phi3VConfig
from .hd_transform import crop_counts, normalize_tiles, tile_grids

__all__ = ["ClipTower", "Phi3VImageEmbedding", "split_images"]


class ClipTower(nn.Module):
    """CLIP's vision model up to its last layer but one; the attribute's name is the hub's.

    The last layer and `post_layernorm` are in every checkpoint and never used: kept, frozen, not computed. Where
    processes train together and something trains there all the same, such as an adapter that was put on every layer,
    one crop passes through for the sake of a gradient of zero, which the others would wait for.
    """

    def __init__(self, config: Phi3VConfig) -> None:
        super().__init__()
        self.vision_model = CLIPVisionModel._from_config(config.vision_config)
        self.freeze_unused()

    @property
    def unused(self) -> tuple[nn.Module, nn.Module]:
        """The parts that are never computed: the last layer, and the normalisation of what it would give."""
        return self.vision_model.encoder.layers[-1], self.vision_model.post_layernorm

    def freeze_unused(self) -> None:
        """Keep the unused parts out of training too."""
        for part in self.unused:
            part.requires_grad_(False)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Return the patch features (crops, 24 * 24, C) of normalised crops (crops, 3, 336, 336), without CLS."""
        hidden = self.vision_model.pre_layrnorm(self.vision_model.embeddings(pixel_values))
        for layer in self.vision_model.encoder.layers[:-1]:
            hidden = layer(hidden, attention_mask=None)
        layer, norm = self.unused
        if _is_trained_together(layer) or _is_trained_together(norm):
            hidden = torch.cat((hidden, norm(layer(hidden[:1], attention_mask=None))[:0]))
        return hidden[:, 1:]


class Phi3VImageEmbedding(nn.Module):
    """Everything the hub keeps under `model.vision_embed_tokens`, but for its second name of the embedding."""

    def __init__(self, config: Phi3VConfig) -> None:
        super().__init__()
        channels, hidden = 4 * config.vision_config.hidden_size, config.hidden_size
        self.hidden_size = hidden
        self.img_processor = ClipTower(config)
        self.glb_GN = nn.Parameter(torch.zeros(1, 1, channels))
        self.sub_GN = nn.Parameter(torch.zeros(1, 1, 1, channels))
        self.img_projection = nn.Sequential(nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, hidden))

    def forward(self, pixel_values: Tensor, image_sizes: Tensor) -> Tensor:
        """Turn images into the embeddings of their tokens.

        Args:
            pixel_values: the images' crops in order, in one of three forms: float (crops, 3, 336, 336), each image's
                global crop first; float (images, most crops + 1, 3, 336, 336), where crops beyond an image's own are
                padding; uint8 (tiles, 3, 336, 336), raw tiles without global crops, normalised here.
            image_sizes: int64, (images, 2), padded height and width in pixels.

        Returns:
            (image tokens, hidden), all images in order, each of as many tokens as `phi3v_data.tokens` counts.

        Raises:
            ValueError: the crops are not as many as the sizes say.
        """
        image_sizes = image_sizes.cpu()  # read several times below: wait for the GPU once
        patches = _merge_2x2(self._features(pixel_values, image_sizes))
        images = patches.split(crop_counts(image_sizes))
        merged = [self._hd_merge(image, grid) for image, grid in zip(images, tile_grids(image_sizes), strict=True)]
        return self.img_projection(torch.cat(merged))

    def _features(self, pixel_values: Tensor, image_sizes: Tensor) -> Tensor:
        """Return the features (crops, 24 * 24, C) of all crops.

        The global crop of an image of one tile is that tile: of raw tiles, where that is certain, it is looked at once.
        """
        crops = _real_crops(pixel_values, image_sizes).to(self.sub_GN.dtype)
        counts = torch.tensor(crop_counts(image_sizes))
        again = (counts.cumsum(0) - 1)[counts == 2]
        if pixel_values.dtype != torch.uint8 or not len(again):
            return self.img_processor(crops)
        is_new = torch.ones(len(crops), dtype=torch.bool).index_fill(0, again, value=False)
        new, places = is_new.nonzero().flatten(), is_new.cumsum(0) - 1
        return self.img_processor(crops[new.to(crops.device)])[places.to(crops.device)]

    def no_images(self) -> Tensor:
        """Return the embeddings of no image, (0, hidden); among several processes, as part of a blank image's graph.

        Each process must use every trainable parameter in every step, or the reduction of gradients waits for ever;
        parameters in shards are put together by all processes at once, whatever is done with them.
        """
        weights = next(self.parameters())  # named, DeepSpeed would put it together in this process alone, and wait
        is_sharded = any(hasattr(part, mark) for part in self.parameters() for mark in ("device_mesh", "ds_id"))
        if is_sharded or _is_trained_together(self):
            blank = weights.new_zeros((2, 3, CROP, CROP))
            return self(blank, torch.tensor([[CROP, CROP]]))[:0]
        return weights.new_zeros((0, self.hidden_size))

    def _hd_merge(self, crops: Tensor, grid: tuple[int, int]) -> Tensor:
        """Lay out an image (1 + h * w, 12, 12, 4C) as its tiles' lines, a separator, and its global crop's lines."""
        tiles = self._lines(_join_patches(crops[1:], grid))
        return torch.cat((tiles, self.glb_GN[0], self._lines(crops[0])))

    def _lines(self, patches: Tensor) -> Tensor:
        """End each row of (rows, columns, 4C) with a separator, and return (rows * (columns + 1), 4C)."""
        ends = self.sub_GN[0].expand(len(patches), -1, -1)
        return torch.cat((patches, ends), dim=1).flatten(0, 1)


def _merge_2x2(features: Tensor) -> Tensor:
    """Concatenate the features of 2 * 2 neighbouring patches: (crops, 24 * 24, C) -> (crops, 12, 12, 4C)."""
    return features.unflatten(1, (12, 2, 12, 2)).transpose(2, 3).flatten(3)


def _join_patches(tiles: Tensor, grid: tuple[int, int]) -> Tensor:
    """Put row-major tiles (h * w, 12, 12, 4C) together as one picture (12 * h, 12 * w, 4C)."""
    return tiles.unflatten(0, grid).transpose(1, 2).flatten(2, 3).flatten(0, 1)


def _real_crops(pixel_values: Tensor, image_sizes: Tensor) -> Tensor:
    """Bring the three forms of `pixel_values` to the compact one (crops, 3, 336, 336), without padding."""
    if pixel_values.dtype == torch.uint8:
        return normalize_tiles(pixel_values, image_sizes)
    images = split_images(pixel_values, image_sizes)
    return torch.cat(list(images)) if pixel_values.ndim == 5 else pixel_values


def split_images(pixel_values: Tensor, image_sizes: Tensor) -> Sequence[Tensor]:
    """Split any of the three forms of `pixel_values` into the crops or tiles of each image, padding left out."""
    counts = crop_counts(image_sizes)
    if pixel_values.ndim == 5:
        _check_count("images", len(pixel_values), len(counts))
        return [image[:count] for image, count in zip(pixel_values, counts, strict=True)]
    if pixel_values.dtype == torch.uint8:
        counts = [count - 1 for count in counts]
    _check_count("crops", len(pixel_values), sum(counts))
    return pixel_values.split(counts)


def _check_count(things: str, given: int, needed: int) -> None:
    if given != needed:
        raise ValueError(f"pixel_values holds {given} {things}, but image_sizes describes {needed}")


def _is_trained_together(module: nn.Module) -> bool:
    """Tell whether several processes are at a step in which something of a module trains."""
    is_shared = distributed.is_available() and distributed.is_initialized()
    is_step = module.training and torch.is_grad_enabled()
    return is_shared and is_step and any(weights.requires_grad for weights in module.parameters())
