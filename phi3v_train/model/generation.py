"""What generation needs besides transformers' own: the switch to long factors, and images that follow their rows."""

from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationMixin, LogitsProcessorList
from transformers.cache_utils import Cache

from phi3v_data.tokens import grid_tokens

from .hd_transform import tile_grids
from .rope import some_row_turns_long
from .vision import split_images

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
        which it gets there starts again from the tokens and images, for the whole batch. Images whose tokens are
        in the cache already, from an earlier call, are left out.
        """
        limit, seen = self.config.original_max_position_embeddings, _cached(past_key_values)
        if some_row_turns_long(attention_mask, position_ids[..., seen:], seen, limit):
            if inputs_embeds is not None:
                raise ValueError(
                    f"generation from inputs_embeds cannot go beyond {limit} tokens, where the whole prompt is needed "
                    "again: give input_ids and pixel_values"
                )
            past_key_values, is_first_iteration = None, True
            kwargs["next_sequence_length"] = None
        elif seen and is_first_iteration and kwargs.get("pixel_values") is not None:
            kwargs |= _uncached_images(input_ids, seen, kwargs["pixel_values"], kwargs["image_sizes"])
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

    def _get_candidate_generator(self, generation_config: Any, input_ids: Tensor, *args: Any, **kwargs: Any) -> Any:
        limit = self.config.original_max_position_embeddings
        if input_ids.shape[1] <= limit < generation_config.max_length:
            raise ValueError(
                f"assisted generation cannot cross {limit} tokens, where all of a row's positions change: leave out "
                f"the assistant, or keep prompt and new tokens, now {generation_config.max_length}, within that"
            )
        return super()._get_candidate_generator(generation_config, input_ids, *args, **kwargs)

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
            return rows, {**kwargs, **_pick(order, pixel_values, image_sizes)}
        return rows, {**kwargs, "pixel_values": pixel_values, "image_sizes": image_sizes}


def _cached(cache: Cache | None) -> int:
    return 0 if cache is None else int(cache.get_seq_length())


def _images_of_rows(input_ids: Tensor, image_sizes: Tensor) -> list[list[int]]:
    """Deal the images out to the rows (batch, sequence) whose negative positions they fill, in order."""
    filled = list(accumulate(grid_tokens(columns, rows) for rows, columns in tile_grids(image_sizes)))
    ends = (input_ids < 0).sum(-1).cumsum(0).tolist()
    return [
        [image for image, position in enumerate(filled) if start < position <= end]
        for start, end in zip([0, *ends[:-1]], ends, strict=True)
    ]


def _uncached_images(input_ids: Tensor, seen: int, pixel_values: Tensor, image_sizes: Tensor) -> dict[str, Any]:
    """Leave out the images whose tokens are among the first `seen` of their row, where the ids of those are given."""
    if input_ids.shape[1] <= seen:
        return {}
    tokens = [grid_tokens(columns, rows) for rows, columns in tile_grids(image_sizes)]
    left = []
    for images, cached in zip(
        _images_of_rows(input_ids, image_sizes), (input_ids[:, :seen] < 0).sum(-1).tolist(), strict=True
    ):
        ends = accumulate(tokens[image] for image in images)
        left += [image for image, end in zip(images, ends, strict=True) if end > cached]
    return _pick(left, pixel_values, image_sizes) if left else {"pixel_values": None, "image_sizes": None}


def _pick(order: list[int], pixel_values: Tensor, image_sizes: Tensor) -> dict[str, Any]:
    """Take images out of any of the three forms of `pixel_values` (see `Phi3VImageEmbedding.forward`)."""
    images = split_images(pixel_values, image_sizes)
    return {"pixel_values": torch.cat([images[image] for image in order]), "image_sizes": image_sizes[order]}
