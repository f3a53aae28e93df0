"""The reference's figures: tiny models, their inputs, and what the reference computed from them (tests/golden)."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from transformers import GenerationConfig

from phi3v_train.model.configuration import Phi3VConfig
from phi3v_train.model.image_processing import Phi3VImageProcessor
from phi3v_train.model.modeling import Phi3VForCausalLM

GOLDEN = Path(__file__).parents[2] / "golden"
SHARED = Path(__file__).parents[4] / "shared" / "golden"

CASES = ["text_only", "img_1x1", "img_rect", "two_images", "batch_right", "long_text", "len_4096", "long_text_512"]
"""The plain forward passes of model `a`."""

IMAGE_CASES = ["img_1x1", "img_rect", "two_images", "batch_right"]


@cache
def figures() -> dict[str, Any]:
    return json.loads((GOLDEN / "model_cases.json").read_text())


@cache
def tensors() -> dict[str, Tensor]:
    return load_file(GOLDEN / "model_cases.safetensors")


def config(name: str, **overrides: Any) -> Phi3VConfig:
    """The configuration of model `a` or `b`, attention as the reference ran it."""
    fields = json.loads((GOLDEN / f"model_{name}.config.json").read_text())
    fields["vision_config"] = fields.pop("_golden_clip_vision")
    made = Phi3VConfig(**{**fields, **overrides})
    made._attn_implementation = {"": "eager", "vision_config": "sdpa"}
    return made


def model(name: str, **overrides: Any) -> Phi3VForCausalLM:
    """Model `a` or `b` with the reference's weights, in float32, for evaluation."""
    made = Phi3VForCausalLM(config(name, **overrides)).float()
    made.load_state_dict(weights(name))
    return made.eval()


def weights(name: str) -> dict[str, Tensor]:
    """The weights as they are stored; the two files use different names of the embedding."""
    return {key: value.float() for key, value in load_file(GOLDEN / f"model_{name}.safetensors").items()}


def greedy(steps: int, pad_token_id: int) -> GenerationConfig:
    """Generation as the reference did it: so many of the likeliest tokens, never ending early."""
    return GenerationConfig(
        max_new_tokens=steps,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=pad_token_id,
        return_dict_in_generate=True,
        output_logits=True,
    )


@dataclass(frozen=True)
class Case:
    """One input of model `a` (`inputs` go to the model as they are) and everything the reference said about it."""

    name: str
    inputs: dict[str, Tensor]
    labels: Tensor | None
    expected: dict[str, Tensor]
    figures: dict[str, Any]

    @property
    def overrides(self) -> dict[str, Any]:
        return {"original_max_position_embeddings": 512} if "512" in self.name else {}

    def kept(self, values: Tensor) -> Tensor:
        """The positions whose logits are golden, padding left out: (positions, vocabulary) or less."""
        positions = self.expected["logit_positions"].long()
        mask = self.inputs.get("attention_mask")
        chosen = values[:, positions] if values.shape[1] != len(positions) else values
        return chosen.flatten(0, 1) if mask is None else chosen[mask[:, positions].bool()]


def case(name: str) -> Case:
    prefix = f"a.{name}."
    found = {key.removeprefix(prefix): value for key, value in tensors().items() if key.startswith(prefix)}
    base = tensors()["a.batch_right.pixel_base"] if name == "gen_left" else found.get("pixel_base")
    inputs = {key: found[key].long() for key in ("input_ids", "attention_mask", "image_sizes") if key in found}
    if base is not None:
        inputs["pixel_values"] = _pixels(base, inputs["image_sizes"])
    labels = found["labels"].long() if "labels" in found else None
    return Case(name, inputs, labels, found, figures()["a_cases"][name])


def _pixels(base: Tensor, image_sizes: Tensor) -> Tensor:
    """Rebuild the padded pixel values from their patches' base colours; crops beyond an image's own are zero."""
    pixels = base.repeat_interleave(14, -1).repeat_interleave(14, -2) + tensors()["a.tile"].repeat(1, 24, 24)
    for image, (height, width) in zip(pixels, image_sizes.tolist(), strict=True):
        image[1 + (height // 336) * (width // 336) :] = 0
    return pixels


def compact(pixel_values: Tensor, image_sizes: Tensor) -> Tensor:
    """The reference's padded pixel values without the zero crops."""
    counts = [1 + (height // 336) * (width // 336) for height, width in image_sizes.tolist()]
    return torch.cat([image[:count] for image, count in zip(pixel_values, counts, strict=True)])


def expand(runs: list[list[int]]) -> list[int]:
    """Undo the run-length compression of `input_ids_rle`."""
    return [token for token, repeat in runs for _ in range(repeat)]


def prompt(name: str) -> dict[str, Any]:
    """A prompt of processor_prompts.json: messages, chat text, images and ids."""
    found = json.loads((GOLDEN / "processor_prompts.json").read_text())["prompts"]
    return next(prompt for prompt in found if prompt["name"] == name)


def encoded(prompt: dict[str, Any]) -> dict[str, Tensor]:
    """The model's inputs for a golden prompt: its golden ids, and its images through the image processor."""
    ids = torch.tensor([expand(prompt["input_ids_rle"])])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if prompt["images"]:
        images = [Image.open(GOLDEN / path) for path in prompt["images"]]
        made = Phi3VImageProcessor(num_crops=prompt["num_crops"])(images, return_tensors="pt")
        inputs |= {key: made[key] for key in ("pixel_values", "image_sizes")}
    return inputs
