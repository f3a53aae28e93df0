"""The published recipe's way to train, written from its description: the baseline of benchmarks/train.py.

One page at a time: its crops are made in the plainest Pillow and torch and filled up with zeros to `num_crops` and
one, all of them go through CLIP, and as many pages as a step has are accumulated. Layers are computed again in the
backward pass. Weights are float32 under autocast; a base that only carries adapters is of half precision, but where
attention is eager. QLoRA has all linear layers in 4 bits, vision too, but for the head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from model import ZeroCropsToo
from peft import get_peft_model
from plain_hd import plain_crops
from torch.utils.data import DataLoader, Dataset
from transformers import BitsAndBytesConfig, get_linear_schedule_with_warmup

from phi3v_data.tokens import CROP, grid_tokens, hd_size
from phi3v_train.encode import Encoder
from phi3v_train.methods import COMPUTE_DTYPES, lora_config
from phi3v_train.model import Phi3VForCausalLM
from phi3v_train.pretrained import load_processor
from phi3v_train.runtime import resolve_runtime
from phi3v_train.sources import training_sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from phi3v_train.options import TrainOptions
    from phi3v_train.runtime import Runtime

__all__ = ["Pages", "load", "train"]

WARMUP_STEPS, CLIPPING = 50, 1.0


class Pages(Dataset):
    """Records of one image and one turn, each a batch of its own."""

    def __init__(self, options: TrainOptions) -> None:
        self.dataset, split = training_sources(options)[0]
        self.records = self.dataset.split(split)
        self.num_crops = options.num_crops
        self.encoder = Encoder(load_processor(options.model_name_or_path, options.num_crops).tokenizer)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, place: int) -> dict[str, torch.Tensor]:
        record = self.records[place]
        with self.dataset.open_image(record.conversations[0].images[0]) as image:
            width, height = hd_size(*image.size, self.num_crops)
            crops = plain_crops(image, self.num_crops)
        pixels = torch.zeros(1, self.num_crops + 1, 3, CROP, CROP)
        pixels[0, : len(crops)] = crops
        encoding = self.encoder.encode(record, [grid_tokens(width // CROP, height // CROP)])
        return {
            "input_ids": torch.tensor([encoding.input_ids]),
            "labels": torch.tensor([encoding.labels]),
            "attention_mask": torch.ones(1, len(encoding.input_ids), dtype=torch.long),
            "pixel_values": pixels,
            "image_sizes": torch.tensor([[height, width]]),
        }


class EveryCrop(ZeroCropsToo):
    """CLIP over the crops of one image, and over zeros for those that it lacks."""

    most = 0

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Return the features of the real crops."""
        self.zero_crops = self.most - len(pixel_values)
        return super().forward(pixel_values)


def load(options: TrainOptions, runtime: Runtime) -> torch.nn.Module:
    """Load the checkpoint as the recipe does: adapters first, vision frozen after."""
    half = COMPUTE_DTYPES[runtime.precision]
    has_half_base = options.has_adapters and runtime.attention != "eager"
    four_bits = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=half)
    model = Phi3VForCausalLM.from_pretrained(
        options.model_name_or_path,
        dtype=half if has_half_base else torch.float32,
        attn_implementation=runtime.attention,
        device_map={"": 0 if runtime.device == "cuda" else "cpu"},
        quantization_config=four_bits if options.use_qlora else None,
    )
    tower = model.model.vision_embed_tokens.img_processor
    tower.__class__, tower.most = EveryCrop, options.num_crops + 1
    model.activation_checkpointing_enable({"use_reentrant": False})
    vision = model.model.vision_embed_tokens
    if options.has_adapters:
        model = get_peft_model(model, lora_config(model.config, options))
    if options.freeze_vision_model:
        vision.requires_grad_(False)
    return model.train()


def train(options: TrainOptions, tick: Callable[[], None]) -> None:
    """Train for the options' steps.

    Args:
        options: As for our trainer; `batch_size` records are accumulated one by one.
        tick: Called behind each optimizer step.
    """
    runtime = resolve_runtime(options)
    half = COMPUTE_DTYPES[runtime.precision]
    model = load(options, runtime)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        trained, lr=options.learning_rate, betas=(0.9, 0.95), eps=1e-7, weight_decay=options.wd
    )
    schedule = get_linear_schedule_with_warmup(optimizer, WARMUP_STEPS, options.max_steps)
    scaler = torch.amp.GradScaler(runtime.device, enabled=runtime.precision == "fp16")
    batches = _batches(options, runtime)
    for _ in range(options.max_steps):
        for _ in range(options.batch_size):
            inputs = {name: tensor.to(runtime.device) for name, tensor in next(batches).items()}
            with torch.autocast(runtime.device, half, enabled=half != torch.float32):
                loss = model(**inputs, use_cache=False).loss / options.batch_size
            scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(trained, CLIPPING)
        scaler.step(optimizer)
        scaler.update()
        schedule.step()
        optimizer.zero_grad()
        tick()


def _batches(options: TrainOptions, runtime: Runtime) -> Iterator[dict[str, torch.Tensor]]:
    """Yield shuffled records, epoch after epoch."""
    loader: DataLoader[Any] = DataLoader(
        Pages(options),
        shuffle=True,
        num_workers=runtime.num_workers,
        prefetch_factor=2 if runtime.num_workers else None,
        pin_memory=runtime.device == "cuda",
        collate_fn=_only,
    )
    while True:
        yield from loader


def _only(rows: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return rows[0]
