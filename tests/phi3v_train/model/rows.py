"""Rows of text and images for model `a`, and batches of them."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from phi3v_data.tokens import CROP, grid_tokens
from phi3v_train.model.hd_transform import normalize_tiles

VOCABULARY = 512


@dataclass(frozen=True)
class Row:
    """Token ids, negative where images go, and each image's tiles (h * w, 3, 336, 336) with its padded size."""

    ids: Tensor
    tiles: tuple[Tensor, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()


def text_row(length: int, seed: int = 0) -> Row:
    return Row(torch.randint(3, VOCABULARY, (length,), generator=torch.Generator().manual_seed(length * 31 + seed)))


def image_row(grids: list[str], text: int) -> Row:
    """A row of images (each `rows x columns` of crops) between two halves of `text` tokens."""
    words = text_row(text).ids
    shapes = [tuple(int(side) for side in grid.split("x")) for grid in grids]
    runs = [torch.full((grid_tokens(columns, rows),), -1 - n) for n, (rows, columns) in enumerate(shapes)]
    tiles = tuple(_tiles(rows * columns, seed=n + text) for n, (rows, columns) in enumerate(shapes))
    sizes = tuple((rows * CROP, columns * CROP) for rows, columns in shapes)
    return Row(torch.cat([words[: text // 2], *runs, words[text // 2 :]]), tiles, sizes)


def _tiles(count: int, seed: int) -> Tensor:
    """Tiles of coarse random colours, so that different images give clearly different features."""
    coarse = torch.randint(0, 256, (count, 3, 8, 8), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return coarse.repeat_interleave(CROP // 8, -1).repeat_interleave(CROP // 8, -2)


def batch(rows: list[Row], side: str, form: str = "compact") -> dict[str, Tensor]:
    """Pad rows on one side; `form` is that of the pixel values: compact, padded (by zero crops) or uint8."""
    ids = pad_sequence([row.ids for row in rows], batch_first=True, padding_side=side)
    mask = pad_sequence([torch.ones_like(row.ids) for row in rows], batch_first=True, padding_side=side)
    inputs = {"input_ids": ids, "attention_mask": mask}
    if tiles := [image for row in rows for image in row.tiles]:
        sizes = torch.tensor([size for row in rows for size in row.sizes])
        inputs |= {"pixel_values": _pixels(tiles, sizes, form), "image_sizes": sizes}
    return inputs


def alone(row: Row) -> dict[str, Tensor]:
    return batch([row], "right")


def _pixels(tiles: list[Tensor], sizes: Tensor, form: str) -> Tensor:
    if form == "uint8":
        return torch.cat(tiles)
    compact = normalize_tiles(torch.cat(tiles), sizes)
    if form == "compact":
        return compact
    return pad_sequence(list(compact.split([1 + len(image) for image in tiles])), batch_first=True)
