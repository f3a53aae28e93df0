"""What benchmarks/train.py trains: checkpoints of three sizes, pages of text, and the arithmetic that a page needs."""

from __future__ import annotations

import io
import json
import statistics
from typing import TYPE_CHECKING, NamedTuple

import torch
from image_processing import draw_page

from phi3v_data.manifest.renew import renew_manifest
from phi3v_data.reader import Dataset
from phi3v_data.tokens import CROP, hd_size, image_tokens
from phi3v_train.devices import find_device
from phi3v_train.encode import Encoder
from phi3v_train.model import Phi3VConfig, Phi3VForCausalLM, Phi3VImageProcessor, Phi3VProcessor
from phi3v_train.model.hd_transform import crop_counts
from phi3v_train.model.tiny import tiny_config
from phi3v_train.model.tiny_tokenizer import tiny_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SIZES", "Page", "flops", "look_at", "write_data", "write_model"]

SIZES = ("tiny", "mid", "real")

MID = {
    "hidden_size": 768,
    "intermediate_size": 2048,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "vision_config": {
        "hidden_size": 256,
        "intermediate_size": 1024,
        "num_hidden_layers": 12,
        "num_attention_heads": 4,
        "projection_dim": 192,
    },
}
"""A quarter of each of the published widths, a quarter of the decoder's layers and half of the tower's."""

VISION = "vision_embed_tokens."


class Page(NamedTuple):
    """What a record of a page comes to.

    Attributes:
        tokens: On the mean.
        most_tokens: In the longest record.
        image_tokens: Those of them that are the image's.
        crops: Real ones, the global crop among them.
    """

    tokens: float
    most_tokens: int
    image_tokens: int
    crops: int


def write_model(size: str, folder: Path) -> Phi3VConfig:
    """Write a checkpoint with random weights and the tiny tokenizer; the real size in half precision."""
    tokenizer = tiny_tokenizer()
    config = tiny_config(tokenizer)
    ids = {name: getattr(config, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id", "vocab_size")}
    config = {"tiny": config, "mid": Phi3VConfig(**ids, **MID), "real": Phi3VConfig()}[size]
    torch.manual_seed(0)
    with torch.device(find_device()):
        model = Phi3VForCausalLM._from_config(config, dtype=torch.bfloat16 if size == "real" else torch.float32)
    model.save_pretrained(folder)
    Phi3VProcessor(Phi3VImageProcessor(), tokenizer).save_pretrained(folder)
    return config


def write_data(folder: Path, count: int, page: tuple[int, int]) -> None:
    """Write records of a page, a question and a short answer; each page is a file of its own."""
    picture = io.BytesIO()
    draw_page(*page).save(picture, "JPEG")
    (folder / "images").mkdir(parents=True)
    with (folder / "pages_train.jsonl").open("w") as lines:
        for number in range(count):
            name = f"{number:06d}.jpg"
            (folder / "images" / name).write_bytes(picture.getvalue())
            question = f"What is the number in line {number % 60}{', and who has signed it' * (number % 3)}?"
            turn = {"images": [name], "user": question, "assistant": f"{number**3:,}"}
            lines.write(json.dumps({"id": f"r{number:06d}", "source": "made", "conversations": [turn]}) + "\n")
    assert renew_manifest(folder).manifest, "the validator finds errors in the data"


def look_at(folder: Path, size: tuple[int, int], num_crops: int) -> Page:
    """Count what the records of pages of one size come to, as the trainer encodes them."""
    encoder, of_image = Encoder(tiny_tokenizer()), image_tokens(*size, num_crops)
    lengths = [len(encoder.encode(record, [of_image]).input_ids) for record in Dataset(folder).split("train")]
    width, height = hd_size(*size, num_crops)
    return Page(statistics.mean(lengths), max(lengths), of_image, *crop_counts([[height, width]]))


def flops(model: torch.nn.Module, config: Phi3VConfig, page: Page) -> float:
    """Count the arithmetic that training on a record needs.

    A matrix of N weights takes, for each position that goes through it, 2N forward, 2N for the gradient of its input
    where gradients pass, and 2N for its own where it trains. Attention over s positions of d dimensions takes 4sd for
    each position forward, and twice that where gradients pass; the half that the decoder masks counts too.
    Gradients pass through all layers of the decoder, and through the vision part where any of it trains.

    Args:
        model: As it is trained, or its skeleton on the meta device.
        config: Its sizes.
        page: The record's.
    """
    vision = config.vision_config
    layers, patches = vision.num_hidden_layers - 1, (CROP // vision.patch_size) ** 2 + 1
    matrices = [
        (name, weights)
        for name, weights in model.named_parameters()
        if weights.ndim in (2, 4) and not any(part in name for part in ("GN", "embed_tokens.weight", "position"))
        if f"encoder.layers.{layers}." not in name
    ]
    vision_passes = any(weights.requires_grad for name, weights in matrices if VISION in name)
    total = 12 * config.num_hidden_layers * page.tokens**2 * config.hidden_size
    total += (12 if vision_passes else 4) * layers * page.crops * patches**2 * vision.hidden_size
    for name, weights in matrices:
        is_vision = VISION in name
        positions = page.crops * patches if "img_processor" in name else page.image_tokens if is_vision else page.tokens
        total += 2 * (1 + (vision_passes or not is_vision) + weights.requires_grad) * weights.numel() * positions
    return total
