"""The native model: image processing by stage, training steps of a small model here, and the real size on a GPU.

    python benchmarks/model.py
    python benchmarks/model.py --gpu_only

Without a GPU: milliseconds per image of the image processor beside the plainest pipeline, and a training step of a
small model (the real shapes of images and sequences, narrow layers) with one row, with four, and as the published
code would run it, zero crops through CLIP and all. On a GPU of 40 GB or more, also the real 4.15 B configuration with
random weights in bfloat16: tokens and images per second, peak memory, and the share of the GPU's peak arithmetic, for
each attention, on a page of 2,443 tokens.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from typing import TYPE_CHECKING

import image_processing
import torch
import transformers

from phi3v_data.tokens import CROP, grid_tokens
from phi3v_train.model.configuration import Phi3VConfig
from phi3v_train.model.modeling import Phi3VForCausalLM
from phi3v_train.model.vision import ClipTower

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL = Phi3VConfig(
    vocab_size=4096,
    hidden_size=128,
    intermediate_size=256,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=4,
    pad_token_id=0,
    vision_config={"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4},
)
PAGE, TEXT_TOKENS = (5, 3), 66
"""Rows and columns of tiles of a high page at num_crops 16, and a question with its answer: 2,443 tokens."""

PEAK_TFLOPS = {"H100": 989, "H200": 989, "A100": 312, "L40S": 362, "A10": 125}
"""Dense bfloat16 arithmetic per second, by the makers' data sheets."""


class ZeroCropsToo(ClipTower):
    """The published way with the crops that pad an image to `num_crops`: through CLIP as well."""

    zero_crops = 0

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Return the features of the real crops, after computing those of zero crops beside them."""
        padding = pixel_values.new_zeros((self.zero_crops, *pixel_values.shape[1:]))
        return super().forward(torch.cat((pixel_values, padding)))[: len(pixel_values)]


def batch(rows: int, grid: tuple[int, int], crops: int | None, device: str, vocabulary: int) -> dict[str, torch.Tensor]:
    """Make rows of one image and some text; with `crops`, pixel values padded to that many crops and one."""
    tiles = grid[0] * grid[1]
    tokens = grid_tokens(grid[1], grid[0])
    generator = torch.Generator().manual_seed(0)
    text = torch.randint(3, vocabulary, (rows, TEXT_TOKENS), generator=generator)
    ids = torch.cat((torch.full((rows, tokens), -1), text), dim=1)
    pixels = torch.randn((rows, 1 + tiles, 3, CROP, CROP), generator=generator)
    if crops is not None:
        pixels = torch.cat((pixels, torch.zeros(rows, crops - tiles, 3, CROP, CROP)), dim=1)
    inputs = {
        "input_ids": ids,
        "labels": ids.masked_fill(ids < 0, -100),
        "attention_mask": torch.ones_like(ids),
        "pixel_values": pixels if crops is not None else pixels.flatten(0, 1),
        "image_sizes": torch.tensor([[grid[0] * CROP, grid[1] * CROP]] * rows),
    }
    return {name: tensor.to(device) for name, tensor in inputs.items()}


def measure_small(rounds: int) -> None:
    """Print what a training step of the small model takes on this machine's CPU."""
    torch.manual_seed(0)
    ours = Phi3VForCausalLM(SMALL).train()
    grid, crops = (2, 2), 16
    published = {rows: _published(rows * (crops - grid[0] * grid[1])) for rows in (1, 4)}
    cases: dict[str, tuple[int, Callable[[], object]]] = {
        "1 row, crops as they are": (1, _step(ours, batch(1, grid, None, "cpu", 4096))),
        "1 row, padded to 17 crops": (1, _step(ours, batch(1, grid, crops, "cpu", 4096))),
        "1 row, zero crops through CLIP": (1, _step(published[1], batch(1, grid, crops, "cpu", 4096))),
        "4 rows, crops as they are": (4, _step(ours, batch(4, grid, None, "cpu", 4096))),
        "4 rows, zero crops through CLIP": (4, _step(published[4], batch(4, grid, crops, "cpu", 4096))),
    }
    spent: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds + 1):
        for name, (_, step) in cases.items():
            start = time.perf_counter()
            step()
            spent[name].append(1000 * (time.perf_counter() - start))
    medians = {name: statistics.median(values[1:]) / cases[name][0] for name, values in spent.items()}
    base = medians["1 row, crops as they are"]
    length = grid_tokens(grid[1], grid[0]) + TEXT_TOKENS
    print(f"\nTraining step of a small model, an image of 2 x 2 tiles at num_crops 16, {length} tokens a row")
    print(f"{'':36}{'ms per row':>12}{'ratio':>8}")
    for name, milliseconds in medians.items():
        print(f"{name:36}{milliseconds:12.0f}{milliseconds / base:8.2f}")


def _published(zero_crops: int) -> Phi3VForCausalLM:
    model = Phi3VForCausalLM(SMALL).train()
    tower = model.model.vision_embed_tokens.img_processor
    tower.__class__, tower.zero_crops = ZeroCropsToo, zero_crops
    return model


def _step(model: Phi3VForCausalLM, inputs: dict[str, torch.Tensor]) -> Callable[[], object]:
    def step() -> None:
        model.zero_grad()
        model(**inputs).loss.backward()

    return step


def measure_gpu(rounds: int) -> None:
    """Print what the real configuration does on this machine's GPU: forward, and a step with recomputation."""
    name = torch.cuda.get_device_name()
    peak = next((tflops for known, tflops in PEAK_TFLOPS.items() if known in name), None)
    torch.manual_seed(0)
    with torch.device("cuda"):
        torch.set_default_dtype(torch.bfloat16)
        model = Phi3VForCausalLM(Phi3VConfig())
        torch.set_default_dtype(torch.float32)
    model.activation_checkpointing_enable({"use_reentrant": False})
    print(f"\nThe real sizes, random weights, bfloat16, {name}; a page and its question, 2,443 tokens, a row")
    print(f"{'attention':20}{'rows':>5}{'pass':>10}{'tokens/s':>10}{'images/s':>10}{'peak GB':>9}{'of peak':>9}")
    for attention in ("eager", "sdpa", "flash_attention_2"):
        try:
            model.set_attn_implementation(attention)
        except (ImportError, ValueError) as reason:
            print(f"{attention:20}  left out: {str(reason).splitlines()[0]}")
            continue
        for rows in (1, 4):
            for train in (False, True):
                _report_gpu(model, attention, rows, train, peak, rounds)


def _report_gpu(model: Phi3VForCausalLM, attention: str, rows: int, train: bool, peak: int | None, rounds: int) -> None:
    inputs = batch(rows, PAGE, None, "cuda", model.config.vocab_size)
    inputs["pixel_values"] = inputs["pixel_values"].bfloat16()
    model.train(train)
    torch.cuda.reset_peak_memory_stats()
    spent = []
    for _ in range(rounds + 2):
        torch.cuda.synchronize()
        start = time.perf_counter()
        with torch.set_grad_enabled(train):
            loss = model(**inputs, use_cache=False).loss
        if train:
            loss.backward()
            model.zero_grad(set_to_none=True)
        torch.cuda.synchronize()
        spent.append(time.perf_counter() - start)
    seconds = statistics.median(spent[2:])
    tokens = inputs["input_ids"].numel()
    share = _flops(model, inputs) * (3 if train else 1) / seconds / (peak * 1e12) if peak else float("nan")
    print(
        f"{attention:20}{rows:5}{'step' if train else 'forward':>10}{tokens / seconds:10.0f}{rows / seconds:10.2f}"
        f"{torch.cuda.max_memory_allocated() / 1e9:9.1f}{share:9.1%}"
    )


def _flops(model: Phi3VForCausalLM, inputs: dict[str, torch.Tensor]) -> float:
    """Count the arithmetic of a forward pass: 2 per weight and token, and attention's two products.

    Recomputation is not counted, so that the share is of useful arithmetic (model FLOPs utilisation, PaLM,
    arXiv:2204.02311, appendix B).
    """
    rows, length = inputs["input_ids"].shape
    text, vision = model.config, model.config.vision_config
    decoder = sum(weights.numel() for weights in model.model.layers.parameters()) + model.lm_head.weight.numel()
    causal = 2 * text.num_hidden_layers * length * length * text.hidden_size
    layers = vision.num_hidden_layers - 1
    patches = (CROP // vision.patch_size) ** 2 + 1
    encoder = layers * (4 * vision.hidden_size**2 + 2 * vision.hidden_size * vision.intermediate_size)
    full = 4 * layers * patches * patches * vision.hidden_size
    crops = len(inputs["pixel_values"])
    return rows * (2 * decoder * length + causal) + crops * (2 * encoder * patches + full)


def main() -> None:
    """Print the tables that this machine can make."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gpu_only", action="store_true")
    arguments = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}, "
        f"transformers {transformers.__version__}, {time.strftime('%Y-%m-%d')}"
    )
    if not arguments.gpu_only:
        print("\nImage processing, milliseconds on one thread")
        image_processing.report(image_processing.measure(3 * arguments.rounds))
        measure_small(arguments.rounds)
    if torch.cuda.is_available():
        measure_gpu(4 * arguments.rounds)
    else:
        print("\nNo GPU here: the real configuration was not run.")


if __name__ == "__main__":
    main()
