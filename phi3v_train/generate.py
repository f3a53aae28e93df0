"""One question to a model, answered word by word."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from PIL import Image

from phi3v_data.errors import CannotRun, DataError, UsageError
from phi3v_train.answer import answer
from phi3v_train.collate import Collator
from phi3v_train.encode import Encoder
from phi3v_train.inference import load_answering_processor, load_model
from phi3v_train.out_of_memory import is_out_of_memory
from phi3v_train.pretrained import load_config
from phi3v_train.streaming import AnswerStream
from phi3v_train.tiles import read_tiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import TextIO

    from phi3v_schemas import Record
    from phi3v_train.answer import Answer
    from phi3v_train.collate import Batch, Example
    from phi3v_train.inference import InferenceOptions
    from phi3v_train.model import Phi3VProcessor
    from phi3v_train.model_files import ModelFiles

__all__ = ["Sampling", "generate"]


class Sampling(NamedTuple):
    """How words are chosen.

    Attributes:
        max_new_tokens: Most tokens of the answer.
        temperature: 0 takes the likeliest token, above it tokens are drawn.
        seed: Of the draws.
    """

    max_new_tokens: int
    temperature: float
    seed: int

    @property
    def options(self) -> dict[str, Any]:
        """What `generate` is told; a draw is among all tokens."""
        if not self.temperature:
            return {}
        return {"do_sample": True, "temperature": self.temperature, "top_k": 0, "top_p": 1.0}


def generate(
    files: ModelFiles,
    inference: InferenceOptions,
    record: Record,
    images: Sequence[Path],
    *,
    num_crops: int | None,
    sampling: Sampling,
    out: TextIO,
    say: Callable[[str], None],
) -> Answer:
    """Let a model answer the one turn of a record; its weights are loaded last.

    Args:
        files: The model.
        inference: How it is loaded.
        record: The question.
        images: Files of its images.
        num_crops: Most crops of an image; None for as many as in training, or else the checkpoint's own.
        sampling: How words are chosen.
        out: Where the answer is written while it comes.
        say: Told that the model is being loaded, which takes a while.

    Returns:
        What it has said.

    Raises:
        DataError: An image cannot be decoded.
        UsageError: The prompt is too long.
        CannotRun: The model cannot be loaded, or there is no room.
    """
    limit = load_config(files.base).max_position_embeddings
    processor = load_answering_processor(files, num_crops)
    prompt = _prompt(record, images, processor)
    _refuse_too_long(prompt, sampling.max_new_tokens, limit)
    say(f"Loading {files.folder} …")
    stream = AnswerStream(processor.tokenizer, out)
    with _explained(inference, processor, has_images=bool(images)):
        model = load_model(files, inference)
        torch.manual_seed(sampling.seed)
        try:
            (said,) = answer(
                model,
                prompt,
                processor,
                max_new_tokens=sampling.max_new_tokens,
                streamer=stream,
                **sampling.options,
            )
        except BaseException:
            stream.break_off()
            raise
    return said


def _prompt(record: Record, images: Sequence[Path], processor: Phi3VProcessor) -> Batch:
    cutter = processor.image_processor
    try:
        pixels = read_tiles(Image.open, [str(path) for path in images], cutter, cutter.num_crops)
    except DataError as error:
        raise DataError(f"--image {error}; give another image") from error
    ids = Encoder(processor.tokenizer).prompt(record, 0, pixels.pop("num_img_tokens", []))
    example = cast("Example", {"input_ids": ids, **pixels, "record": record.id})
    return Collator(processor.tokenizer.pad_token_id, "left")([example])


def _refuse_too_long(prompt: Batch, max_new_tokens: int, limit: int) -> None:
    length = prompt["input_ids"].shape[1]
    if length + max_new_tokens > limit:
        raise UsageError(
            f"the prompt takes {length:,} tokens and the answer up to {max_new_tokens:,}, and the model can take "
            f"{limit:,}: lower --num_crops or --max_new_tokens, or ask about less"
        )


@contextmanager
def _explained(inference: InferenceOptions, processor: Phi3VProcessor, *, has_images: bool) -> Iterator[None]:
    """Say what to do where there is no room."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        ways = []
        if has_images and processor.image_processor.num_crops > 1:
            ways.append(f"--num_crops {processor.image_processor.num_crops // 2}")
        if inference.quantization == "none":
            ways.append("--quantization nf4")
        raise CannotRun(f"out of memory: give {' or '.join(ways) or 'a shorter question'}") from error
