"""A tiny checkpoint with random weights: all that a real one has but its size, for tests and for trying things out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from phi3v_train.checkpoint_folder import write_checkpoint

from .configuration import Phi3VConfig
from .image_processing import Phi3VImageProcessor
from .modeling import Phi3VForCausalLM
from .processing import Phi3VProcessor
from .tiny_tokenizer import tiny_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedTokenizerFast

__all__ = ["tiny_config", "tiny_model", "write_tiny"]


def tiny_config(tokenizer: PreTrainedTokenizerFast) -> Phi3VConfig:
    """Return a configuration shaped as the published one, of the smallest sizes that keep every part at work."""
    return Phi3VConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        original_max_position_embeddings=4096,
        rope_scaling={"type": "su", "short_factor": _geometric(1.05, 2.6), "long_factor": _geometric(1.08, 40.0)},
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.convert_tokens_to_ids(["<|end|>", "<|endoftext|>"]),
        pad_token_id=tokenizer.pad_token_id,
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "projection_dim": 32,
        },
    )


def tiny_model(config: Phi3VConfig, seed: int = 0) -> Phi3VForCausalLM:
    """Return a model whose random weights the seed decides; PyTorch's own random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Phi3VForCausalLM(config)


def write_tiny(
    directory: Path, *, seed: int = 0, max_shard_size: int | str = "5GB", overwrite: bool = False
) -> Phi3VForCausalLM:
    """Write a tiny random checkpoint with its processor, under the hub's names of files and weights.

    The same seed gives the same bytes. A kill leaves no folder that passes for a checkpoint.

    Args:
        directory: The folder to make; it must be empty or not there.
        seed: Seed of the weights.
        max_shard_size: Bytes, or a size such as "200KB": weights beyond it go into further files.
        overwrite: Whether to replace a Phi-3.5-vision checkpoint in the folder.

    Returns:
        The model that was written.

    Raises:
        UsageError: The folder holds something, or with `overwrite` something besides a checkpoint.
        CannotRun: The folder cannot be written.
    """
    tokenizer = tiny_tokenizer()
    model = tiny_model(tiny_config(tokenizer), seed)
    with write_checkpoint(directory, overwrite=overwrite) as folder:
        model.save_pretrained(folder, max_shard_size=max_shard_size)
        Phi3VProcessor(Phi3VImageProcessor(), tokenizer).save_pretrained(folder)
    return model


def _geometric(first: float, last: float) -> list[float]:
    """Return factors for the eight pairs of a head's dimensions."""
    return [round(first * (last / first) ** (pair / 7), 4) for pair in range(8)]
