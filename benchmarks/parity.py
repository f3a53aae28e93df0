"""Ours beside the reference: every golden figure computed again, and the largest difference of each kind.

    python -m benchmarks.parity

The reference's figures are in `tests/golden`; the value shown is the one that differs most.
"""

from __future__ import annotations

import json
import os
import platform
import time
from typing import TYPE_CHECKING, Any

import torch
import transformers
from PIL import Image
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy

from phi3v_train.model.image_processing import Phi3VImageProcessor
from tests.phi3v_train.model import golden

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

Pair = tuple[str, Any, Any, float]
"""Quantity, the reference's values, ours, and the tolerance."""


def pixels() -> Iterator[Pair]:
    """The image processor on every golden image at every `num_crops`."""
    cases = json.loads((golden.GOLDEN / "processor_images.json").read_text())
    grids = load_file(golden.GOLDEN / "processor_pixels.safetensors")
    index = torch.tensor(cases["grid_index"])
    for case in cases["cases"]:
        made = Phi3VImageProcessor(num_crops=case["num_crops"])(Image.open(golden.GOLDEN / case["image"]))
        ours = made["pixel_values"][:, :, index][:, :, :, index]
        yield "pixel values", grids[f"{case['key']}.grid"], ours, 1e-5


def forward() -> Iterator[Pair]:
    """Logits and losses of model A on every plain case."""
    for name in golden.CASES:
        case = golden.case(name)
        with torch.no_grad():
            output = golden.model("a", **case.overrides)(**case.inputs, labels=case.labels)
        yield "logits", case.kept(case.expected["logits"]), case.kept(output.logits), 1e-4
        if case.labels is not None:
            yield "loss", case.figures["loss"], output.loss, 1e-5


def images() -> Iterator[Pair]:
    """CLIP's features and the projected image tokens of model A."""
    model = golden.model("a").model
    for name in golden.IMAGE_CASES:
        case = golden.case(name)
        sizes = case.inputs["image_sizes"]
        crops = golden.compact(case.inputs["pixel_values"], sizes)
        expected = golden.compact(case.expected["clip_features_every23"], sizes)
        with torch.no_grad():
            yield "CLIP features", expected, model.vision_embed_tokens.img_processor(crops)[:, ::23], 1e-4
            projected = model.get_image_features(crops, sizes)
        yield "projected image tokens", case.expected["projected_every7"], projected[::7], 1e-4


def training() -> Iterator[Pair]:
    """Gradients of model A, and its losses over six steps of AdamW."""
    case, model, train = golden.case("batch_right"), golden.model("a").train(), golden.figures()["train"]
    settings = {key: train["adamw"][key] for key in ("lr", "betas", "eps", "weight_decay")}
    optimizer = torch.optim.AdamW(model.parameters(), **settings)
    for step, expected in enumerate(train["loss_trajectory"]):
        loss = model(**case.inputs, labels=case.labels).loss
        yield "loss during training", expected, loss, 1e-4
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            yield from _gradients(model, train["grad_norms"])
        optimizer.step()


def _gradients(model: torch.nn.Module, norms: dict[str, float | None]) -> Iterator[Pair]:
    ours = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    for name, norm in norms.items():
        if norm and not name.endswith("k_proj.bias"):  # mathematically zero
            yield "gradient norms (relative)", 1.0, ours[name].norm() / norm, 1e-4
    for key, expected in golden.tensors().items():
        if key.startswith("a.grad."):
            yield "gradients", expected, ours[key.removeprefix("a.grad.")], 1e-5


def generation() -> Iterator[Pair]:
    """Greedy generation of model A: left padding, and across the switch to the long factors."""
    for name in ("gen_left", "gen_boundary512"):
        case = golden.case(name)
        steps, length = case.expected["new_tokens"].shape[1], case.inputs["input_ids"].shape[1]
        output = golden.model("a", **case.overrides).generate(
            **case.inputs, generation_config=golden.greedy(steps, pad_token_id=0)
        )
        yield "generated tokens", case.expected["new_tokens"], output.sequences[:, length:], 0
        yield "logits while generating", case.expected["step_logits"], torch.stack(output.logits, dim=1), 1e-4


def end_to_end() -> Iterator[Pair]:
    """Image files through the image processor and model B, which has the real vocabulary."""
    model, figures = golden.model("b"), golden.figures()["b_e2e"]
    for expected in figures["cases"]:
        inputs = golden.encoded(golden.prompt(expected["name"]))
        ids = inputs["input_ids"]
        with torch.no_grad():
            logits = model(**inputs).logits[0]
        last = golden.tensors()[f"b.{expected['name']}.logits_last8_every61"]
        yield "logits from image files", last, logits[-8:, :: figures["vocab_stride"]], 1e-4
        loss = cross_entropy(logits[:-1], ids[0, 1:].masked_fill(ids[0, 1:] < 0, -100))
        yield "loss from image files", expected["loss_all_text_tokens"], loss, 1e-5
        generated = model.generate(**inputs, generation_config=golden.greedy(5, pad_token_id=32000)).sequences[
            0, ids.shape[1] :
        ]
        yield "tokens from image files", torch.tensor(expected["greedy5"]), generated, 0


def main() -> None:
    """Print one line per quantity; exit 1 where one is beyond its tolerance."""
    compared: dict[str, list[tuple[Tensor, Tensor, float]]] = {}
    for part in (pixels, images, forward, training, generation, end_to_end):
        for quantity, reference, ours, tolerance in part():
            pair = (torch.as_tensor(reference).double().flatten(), torch.as_tensor(ours).detach().double().flatten())
            compared.setdefault(quantity, []).append((*pair, tolerance))
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}, "
        f"transformers {transformers.__version__}, {time.strftime('%Y-%m-%d')}\n"
    )
    print("| quantity | values | reference | ours | largest difference | tolerance |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    beyond = []
    for quantity, pairs in compared.items():
        reference, ours = (torch.cat([pair[side] for pair in pairs]) for side in (0, 1))
        difference = (reference - ours).abs()
        worst = int(difference.argmax())
        print(
            f"| {quantity} | {len(ours):,} | {reference[worst]:.7g} | {ours[worst]:.7g} | {difference[worst]:.1e} "
            f"| {pairs[0][2]:g} |"
        )
        if difference[worst] > pairs[0][2]:
            beyond.append(quantity)
    if beyond:
        raise SystemExit(f"beyond the tolerance: {', '.join(beyond)}")


if __name__ == "__main__":
    main()
