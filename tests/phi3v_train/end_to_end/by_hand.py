"""The loss of a dataset, computed record by record from the files, as the model's own users would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch.nn.functional import cross_entropy

from tests.helpers import read_lines

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_train.model import Phi3VProcessor


def mean_loss(model: Any, processor: Phi3VProcessor, data: Path, split: str) -> float:
    """Return the mean cross entropy over the tokens of all answers."""
    total, count = sum_of_losses(model, processor, data, split)
    return total / count


def sum_of_losses(model: Any, processor: Phi3VProcessor, data: Path, split: str) -> tuple[float, int]:
    """Return the sum of the cross entropy over the tokens of all answers, and their number; a record has one turn."""
    total, count = 0.0, 0
    for record in read_lines(data / f"made_{split}.jsonl"):
        (turn,) = record["conversations"]
        tags = "".join(f"<|image_{number}|>\n" for number, _ in enumerate(turn["images"], 1))
        images = [Image.open(data / "images" / path) for path in turn["images"]]
        inputs = processor(
            f"<|user|>\n{tags}{turn['user']}<|end|>\n<|assistant|>\n", images or None, return_tensors="pt"
        )
        answer = processor.tokenizer(turn["assistant"] + "<|end|>\n<|endoftext|>", add_special_tokens=False).input_ids
        inputs["input_ids"] = torch.cat((inputs["input_ids"], torch.tensor([answer])), dim=1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        with torch.no_grad():
            logits = model(**inputs).logits[0, -len(answer) - 1 : -1].double()
        total += cross_entropy(logits, torch.tensor(answer), reduction="sum").item()
        count += len(answer)
    return total, count
