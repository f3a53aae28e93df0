"""What a forward pass keeps for the backward pass, in bytes, from the sizes of the model and of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3v_data.tokens import CROP
from phi3v_train.methods import COMPUTE_DTYPES, loading_dtype

if TYPE_CHECKING:
    from phi3v_train.model import Phi3VConfig
    from phi3v_train.options import TrainOptions
    from phi3v_train.runtime import Runtime

__all__ = ["activation_bytes"]

_DECODER = {2: (34, 8), 4: (52, 16)}
_CLIP = {2: (24, 6), 4: (32, 12)}
"""Bytes that a layer keeps for each token: by bytes of a number, those for each of its hidden and inner dimensions.

Counted on the tensors that the layers keep. In half precision, norms and rotated keys are float32 all the same.
"""

_LOGIT = 14
"""The loss holds the logits' logarithmic softmax and two gradients of it in float32, and the logits as computed."""

_PATCHES = (CROP // 14) ** 2 + 1
_PIXELS = 3 * CROP**2
_SCORES = {2: 6, 4: 4}
"""Bytes that eager attention keeps for each pair of tokens and head: a float32 softmax, and one in half precision."""


def activation_bytes(
    config: Phi3VConfig, options: TrainOptions, runtime: Runtime, *, sequence_length: int, crops: int
) -> int:
    """Estimate the most that a process holds besides weights, gradients and optimizer.

    With recomputation that is the input of each layer, and one layer whole or the logits; without, all layers and the
    logits. Copies of weights in half precision are not counted: autocast is taken to keep none beyond their use.

    Args:
        config: The model's sizes.
        options: The run's options.
        runtime: What the machine makes of them.
        sequence_length: Tokens of the longest record, its images' included.
        crops: Most crops in a record, global crops included.
    """
    size = COMPUTE_DTYPES[runtime.precision].itemsize
    rows, vision = options.batch_size_per_gpu, config.vision_config
    tokens, patches = rows * sequence_length, rows * crops * _PATCHES
    decoder = tokens * _per_token(_DECODER[size], config.hidden_size, config.intermediate_size)
    clip = patches * _per_token(_CLIP[size], vision.hidden_size, vision.intermediate_size)
    if runtime.attention == "eager":
        decoder += rows * config.num_attention_heads * sequence_length**2 * _SCORES[size]
        clip += patches * vision.num_attention_heads * _PATCHES * _SCORES[size]

    layer_input = loading_dtype(options, runtime).itemsize
    keeps_all = not options.gradient_checkpointing
    kept = config.num_hidden_layers * (decoder if keeps_all else tokens * config.hidden_size * layer_input)
    if not options.freeze_vision_model:
        used = vision.num_hidden_layers - 1
        kept += used * (clip if keeps_all else patches * vision.hidden_size * layer_input)
    images = rows * crops * _PIXELS * (4 + size) + patches * (vision.hidden_size + config.hidden_size) * size
    mask = rows * sequence_length**2 if rows > 1 else 0
    layers = 1 if keeps_all else 2  # a layer's gradients, and beside them the layer where it was not kept
    passing = max(tokens * config.vocab_size * _LOGIT, layers * decoder, layers * clip)
    return int(kept + images + mask + passing)


def _per_token(factors: tuple[int, int], hidden: int, inner: int) -> int:
    return factors[0] * hidden + factors[1] * inner
