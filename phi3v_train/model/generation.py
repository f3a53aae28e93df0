"""What generation needs besides transformers' own: the switch to long factors, and images that follow their rows."""

from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationMixin, LogitsProcessorList
from transformers.cache_utils import Cache

from phi3v_data.tokens import grid_tokens

from .hd_transform import tile_grids
from .rope import row_lengths

__all__ = ["Phi3VGenerationMixin"]


class _BlindToImages(LogitsProcessorList):
    """Processors that look tokens up by their ids, such as the repetition penalty's, see images as `<unk>`."""

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:
        return super().__call__(input_ids.clamp(min=0), scores, **kwargs)


class Phi3VGenerationMixin(GenerationMixin):
    """Generation with a cache that is computed anew when a row outgrows the short rotary factors."""

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        past_key_values: Cache | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        *,
        position_ids: Tensor,
        is_first_iteration: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Choose the inputs of the next step: the last token, or all of them when cached keys no longer hold.

        A row of more than the original length (4,096 tokens) has the long factors at every position, so the step at
        which it gets there starts again from the tokens and images, for the whole batch.
        """
        if past_key_values is not None and self._some_row_turns_long(past_key_values, attention_mask, position_ids):
            if inputs_embeds is not None:
                raise ValueError(
                    f"generation from inputs_embeds cannot go beyond {self.config.original_max_position_embeddings} "
                    "tokens, where the whole prompt is needed again: give input_ids and pixel_values"
                )
            past_key_values, is_first_iteration = None, True
            kwargs["next_sequence_length"] = None
        inputs: dict[str, Any] = super().prepare_inputs_for_generation(
            input_ids,
            past_key_values=past_key_values,
            attention_mask=attention_mask,
            inputs_embeds=inputs_embeds,
            position_ids=position_ids,
            is_first_iteration=is_first_iteration,
            **kwargs,
        )
        return inputs

    def _some_row_turns_long(self, cache: Cache, attention_mask: Tensor | None, position_ids: Tensor) -> bool:
        """Tell whether a row had at most the original length when it was cached, and has more now."""
        limit, seen = self.config.original_max_position_embeddings, cache.get_seq_length()
        if not seen or position_ids.shape[-1] <= limit:
            return False
        now = row_lengths(attention_mask, position_ids)
        before = row_lengths(None if attention_mask is None else attention_mask[:, :seen], position_ids[..., :seen])
        return bool(((before <= limit) & (now > limit)).any())

    def _get_logits_processor(self, *args: Any, **kwargs: Any) -> LogitsProcessorList:
        return _BlindToImages(super()._get_logits_processor(*args, **kwargs))

    def _expand_inputs_for_generation(
        self, expand_size: int = 1, is_encoder_decoder: bool = False, input_ids: Any = None, **kwargs: Any
    ) -> tuple[Tensor, dict[str, Any]]:
        """Repeat each row `expand_size` times (beams, several answers), and its images with it."""
        pixel_values, image_sizes = kwargs.pop("pixel_values", None), kwargs.pop("image_sizes", None)
        rows, kwargs = super()._expand_inputs_for_generation(
            expand_size=expand_size, is_encoder_decoder=is_encoder_decoder, input_ids=input_ids, **kwargs
        )
        if pixel_values is None or image_sizes is None:
            return rows, kwargs
        if expand_size > 1:
            images_of_rows = _images_of_rows(input_ids, image_sizes)
            order = [image for images in images_of_rows for image in images * expand_size]
            pixel_values, image_sizes = _reorder(pixel_values, image_sizes, order), image_sizes[order]
        return rows, {**kwargs, "pixel_values": pixel_values, "image_sizes": image_sizes}


def _images_of_rows(input_ids: Tensor, image_sizes: Tensor) -> list[list[int]]:
    """Deal the images out to the rows (batch, sequence) whose negative positions they fill, in order."""
    tokens = [grid_tokens(columns, rows) for rows, columns in tile_grids(image_sizes)]
    filled = list(accumulate(tokens))
    ends = (input_ids < 0).sum(-1).cumsum(0).tolist()
    starts = [0, *ends[:-1]]
    return [
        [image for image, position in enumerate(filled) if start < position <= end]
        for start, end in zip(starts, ends, strict=True)
    ]


def _reorder(pixel_values: Tensor, image_sizes: Tensor, order: list[int]) -> Tensor:
    """Pick images out of any of the three forms of `pixel_values` (see `Phi3VImageEmbedding.forward`)."""
    if pixel_values.ndim == 5:
        return pixel_values[order]
    overview = 0 if pixel_values.dtype == torch.uint8 else 1
    counts = [overview + rows * columns for rows, columns in tile_grids(image_sizes)]
    images = pixel_values.split(counts)
    return torch.cat([images[image] for image in order])
