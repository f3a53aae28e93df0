"""Rotary position embedding with LongRoPE's two sets of factors, chosen for each row by the row's own length."""

import math
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from .configuration import Phi3VConfig

__all__ = ["Phi3VRotaryEmbedding", "row_lengths", "row_positions", "some_row_turns_long"]


def row_positions(attention_mask: Tensor | None, seen: int, embeds: Tensor) -> Tensor:
    """Count each row's positions from its first token.

    Only differences of positions matter, but in float32 the angles of position 4,000 are wrong by 1e-4: a row
    counted from the start of its padding would feel how much there is.

    Args:
        attention_mask: (batch, cached + sequence), 0 where there is padding; of any other shape it is passed over.
        seen: tokens in the cache.
        embeds: (batch, sequence, hidden), the tokens to count.

    Returns:
        int64, (batch or 1, sequence).
    """
    if _is_padding(attention_mask):
        return (attention_mask.long().cumsum(-1) - 1).clamp(min=0)[:, -embeds.shape[1] :]
    return torch.arange(seen, seen + embeds.shape[1], device=embeds.device)[None]


def row_lengths(attention_mask: Tensor | None, position_ids: Tensor) -> Tensor:
    """Count the tokens of each row, padding left out and cached tokens included.

    Args:
        attention_mask: (batch, cached + sequence), 0 where there is padding; of any other shape it is passed over.
        position_ids: (batch or 1, sequence), asked where no such mask is given.

    Returns:
        int64, (batch or 1,).
    """
    if _is_padding(attention_mask):
        return attention_mask.sum(-1)
    return position_ids.amax(-1) + 1


def some_row_turns_long(attention_mask: Tensor | None, position_ids: Tensor, seen: int, limit: int) -> bool:
    """Tell whether a row had at most `limit` tokens when it was cached, and has more now.

    Its cached keys were then turned by the short factors, and the new ones would be by the long.

    Args:
        attention_mask: As `row_lengths`.
        position_ids: int64, (batch or 1, new tokens).
        seen: Tokens in the cache, padding included.
        limit: The most tokens of a short row.
    """
    if not seen or seen + position_ids.shape[-1] <= limit:
        return False
    now, before = row_lengths(attention_mask, position_ids), position_ids.amin(-1)
    if _is_padding(attention_mask):
        before = attention_mask[:, :seen].sum(-1)
    return bool(((before <= limit) & (now > limit)).any())


def _is_padding(attention_mask: Any) -> TypeGuard[Tensor]:
    """Tell a mask of padding from none, and from the ready-made masks of attention that transformers also passes."""
    return isinstance(attention_mask, Tensor) and attention_mask.ndim == 2


class Phi3VRotaryEmbedding(nn.Module):
    """Cosines and sines of the rotary angles, with the short or the long factors (LongRoPE, arXiv:2402.13753).

    The published rule looks at the longest row of a batch; here each row is looked at alone, so that a row's
    logits do not depend on its neighbours. Frequencies are no buffers: a model cast to bfloat16 would round them.
    """

    def __init__(self, config: Phi3VConfig) -> None:
        super().__init__()
        self.config = config
        self._frequencies: dict[torch.device, Tensor] = {}

    @property
    def attention_scaling(self) -> float:
        """The factor on cosines and sines: sqrt(1 + ln(stretch) / ln(original length)), LongRoPE's equation 8."""
        rope, original = self.config.rope_parameters, self.config.original_max_position_embeddings
        if rope.get("attention_factor") is not None:
            return float(rope["attention_factor"])
        stretch = rope.get("factor") or self.config.max_position_embeddings / original
        if rope["rope_type"] == "default" or stretch <= 1:
            return 1.0
        return math.sqrt(1 + math.log(stretch) / math.log(original))

    @torch.no_grad()
    def forward(self, x: Tensor, position_ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the angles' cosines and sines.

        Args:
            x: any tensor of the dtype and device wanted.
            position_ids: int64, (batch or 1, sequence).
            lengths: int64, (batch or 1,), tokens of each row; above the original length a row gets the long factors.

        Returns:
            Cosines and sines, each (batch or 1, sequence, head dimension).
        """
        is_long = (lengths > self.config.original_max_position_embeddings).long()
        angles = position_ids[..., None].float() * self._frequencies_on(x.device)[is_long][:, None, :]
        angles = torch.cat((angles, angles), dim=-1)
        return (angles.cos() * self.attention_scaling).to(x.dtype), (angles.sin() * self.attention_scaling).to(x.dtype)

    def _frequencies_on(self, device: torch.device) -> Tensor:
        """Return float32 (2, head dimension / 2): the frequencies of short rows, then of long ones."""
        if device not in self._frequencies:
            rope = self.config.rope_parameters
            dimension = self.config.hidden_size // self.config.num_attention_heads
            powers = torch.arange(0, dimension, 2, device=device).float() / dimension
            factors = [rope.get(name) or [1.0] * len(powers) for name in ("short_factor", "long_factor")]
            self._frequencies[device] = 1 / (torch.tensor(factors, device=device) * rope["rope_theta"] ** powers)
        return self._frequencies[device]
