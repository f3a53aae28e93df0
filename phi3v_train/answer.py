"""Let a model answer prompts: greedily, in batches, up to `<|end|>`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch

if TYPE_CHECKING:
    from torch import Tensor
    from transformers.generation.streamers import BaseStreamer

    from phi3v_train.collate import Batch
    from phi3v_train.model import Phi3VProcessor

__all__ = ["Answer", "answer"]

_INPUTS = ("input_ids", "attention_mask", "pixel_values", "image_sizes")


class Answer(NamedTuple):
    """What a model has said.

    Attributes:
        text: Its words, without special tokens.
        is_cut: Whether the limit came before its end.
    """

    text: str
    is_cut: bool


def answer(
    model: Any,
    batch: Batch,
    processor: Phi3VProcessor,
    *,
    max_new_tokens: int,
    streamer: BaseStreamer | None = None,
    **sampling: Any,
) -> list[Answer]:
    """Answer prompts that are padded on the left; what a row is answered does not depend on its neighbours.

    Args:
        model: A `Phi3VForCausalLM`, or a `PeftModel` around it, on its device.
        batch: The prompts.
        processor: The model's.
        max_new_tokens: Most tokens of an answer.
        streamer: Told each token as it comes, for a batch of one.
        **sampling: What `generate` is to do other than take the likeliest token.
    """
    device = next(model.parameters()).device
    inputs = {name: batch[name].to(device) for name in _INPUTS if name in batch}  # type: ignore[literal-required]
    stops = processor.stop_token_ids
    generation = {"do_sample": False, "num_beams": 1, **sampling}
    with torch.inference_mode():
        ids: Tensor = model.generate(
            **inputs,
            max_new_tokens=max_new_tokens,
            eos_token_id=stops,
            pad_token_id=processor.tokenizer.pad_token_id,
            streamer=streamer,
            **generation,
        )
    return [_read(row, processor, stops) for row in ids[:, inputs["input_ids"].shape[1] :].tolist()]


def _read(row: list[int], processor: Phi3VProcessor, stops: list[int]) -> Answer:
    end = next((place for place, token in enumerate(row) if token in stops), None)
    return Answer(processor.decode(row[:end], skip_special_tokens=True).strip(), end is None)
