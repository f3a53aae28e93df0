"""Phi-3.5-vision from transformers' own parts: a CLIP tower's features take the places of tokens in a Phi-3 decoder."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import initialization as init
from transformers.cache_utils import Cache, DynamicCache
from transformers.conversion_mapping import register_checkpoint_conversion_mapping
from transformers.core_model_loading import WeightRenaming
from transformers.masking_utils import create_causal_mask, create_sliding_window_causal_mask
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.modeling_utils import slice_logits_to_keep
from transformers.models.phi3.modeling_phi3 import Phi3DecoderLayer, Phi3PreTrainedModel, Phi3RMSNorm
from transformers.utils.generic import can_return_tuple, merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from .configuration import Phi3VConfig
from .generation import Phi3VGenerationMixin
from .rope import Phi3VRotaryEmbedding, row_lengths, row_positions, some_row_turns_long
from .vision import ClipTower, Phi3VImageEmbedding

__all__ = ["Phi3VForCausalLM", "Phi3VModel", "Phi3VPreTrainedModel"]


class Phi3VPreTrainedModel(Phi3PreTrainedModel):
    """What transformers asks of a model's classes: its configuration, its modalities, how weights begin and end."""

    config: Phi3VConfig
    config_class = Phi3VConfig
    input_modalities: ClassVar[list[str]] = ["image", "text"]
    _no_split_modules: ClassVar[list[str]] = ["Phi3DecoderLayer", "CLIPEncoderLayer"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, Phi3VImageEmbedding):
            for separator in (module.glb_GN, module.sub_GN):
                init.normal_(separator, std=self.config.initializer_range)

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """Load as any model of transformers, which forgets on the way what was frozen."""
        loaded = super().from_pretrained(*args, **kwargs)
        for module in (loaded[0] if isinstance(loaded, tuple) else loaded).modules():
            if isinstance(module, ClipTower):
                module.freeze_unused()
        return loaded

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> None:
        """Save as any model of transformers; the names in memory are the hub's, so that nothing is renamed back."""
        super().save_pretrained(save_directory, *args, **{"save_original_format": False, **kwargs})


class Phi3VModel(Phi3VPreTrainedModel):
    """The decoder without its head, and the images on their way into it."""

    def __init__(self, config: Phi3VConfig) -> None:
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size, config.pad_token_id)
        self.vision_embed_tokens = Phi3VImageEmbedding(config)
        self.layers = nn.ModuleList([Phi3DecoderLayer(config, index) for index in range(config.num_hidden_layers)])
        self.norm = Phi3RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.rotary_emb = Phi3VRotaryEmbedding(config)
        self.gradient_checkpointing = False
        self.register_load_state_dict_pre_hook(type(self)._accept_alias)
        self.post_init()

    @merge_with_config_defaults
    @capture_outputs
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        pixel_values: Tensor | None = None,
        image_sizes: Tensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """Run the decoder over text and images.

        Args:
            input_ids: int64, (batch, sequence); negative where an image's tokens go, in row-major order.
            attention_mask: (batch, cached + sequence), 0 where there is padding, on either side.
            position_ids: int64, (batch or 1, sequence); where absent, counted from each row's first token.
            past_key_values: the cache of tokens already seen.
            inputs_embeds: (batch, sequence, hidden), instead of `input_ids` and images.
            pixel_values: the batch's images in order, see `Phi3VImageEmbedding.forward`.
            image_sizes: int64, (images, 2), padded height and width in pixels.
            use_cache: whether to fill and return a cache.
            **kwargs: passed to the attention, as in any decoder of transformers.

        Returns:
            `last_hidden_state` (batch, sequence, hidden), and the cache.

        Raises:
            ValueError: positions for images and images' tokens are not as many, or a row with a cache outgrows the
                short rotary factors.
        """
        if input_ids is not None and inputs_embeds is None:
            hidden = self.embed(input_ids, pixel_values, image_sizes)
        elif inputs_embeds is not None and input_ids is None and pixel_values is None:
            hidden = inputs_embeds
        else:
            raise ValueError(
                "give input_ids, and pixel_values for their images, or inputs_embeds that hold them already"
            )
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
        seen = past_key_values.get_seq_length() if past_key_values is not None else 0
        if position_ids is None:
            position_ids = row_positions(attention_mask, seen, hidden)
        self._check_cache(attention_mask, position_ids, seen)

        make_mask = create_causal_mask if self.config.sliding_window is None else create_sliding_window_causal_mask
        causal_mask = make_mask(
            config=self.config,
            inputs_embeds=hidden,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            position_ids=position_ids,
        )
        angles = self.rotary_emb(hidden, position_ids, row_lengths(attention_mask, position_ids))
        for layer in self.layers:
            hidden = layer(
                hidden,
                attention_mask=causal_mask,
                position_ids=position_ids,
                past_key_values=past_key_values,
                use_cache=use_cache,
                position_embeddings=angles,
                **kwargs,
            )
        return BaseModelOutputWithPast(last_hidden_state=self.norm(hidden), past_key_values=past_key_values)

    def embed(self, input_ids: Tensor, pixel_values: Tensor | None, image_sizes: Tensor | None) -> Tensor:
        """Embed the text and put the images' embeddings at the negative positions, in row-major order.

        Returns:
            (batch, sequence, hidden).
        """
        if input_ids.shape[1] == 1 and pixel_values is None:  # a step of generation: no image is one token long
            return self.embed_tokens(input_ids)
        is_image = input_ids < 0
        embeds = self.embed_tokens(input_ids.masked_fill(is_image, 0))
        if pixel_values is None or len(pixel_values) == 0:
            images = self.vision_embed_tokens.no_images()
        elif image_sizes is None:
            raise ValueError("pixel_values need image_sizes, the images' padded heights and widths")
        else:
            images = self.get_image_features(pixel_values, image_sizes)
        if not torch.compiler.is_compiling() and (positions := int(is_image.sum())) != len(images):
            count = 0 if image_sizes is None else len(image_sizes)
            raise ValueError(
                f"input_ids has {positions} positions for image tokens, but the {count} images given make {len(images)}"
            )
        return embeds.masked_scatter(is_image[..., None], images.to(embeds))

    def get_image_features(self, pixel_values: Tensor, image_sizes: Tensor) -> Tensor:
        """Return the embeddings of the images' tokens, (image tokens, hidden)."""
        return self.vision_embed_tokens(pixel_values, image_sizes)

    def _check_cache(self, attention_mask: Tensor | None, position_ids: Tensor, seen: int) -> None:
        """Hold a cache to one set of rotary factors; `generate` starts anew in time."""
        limit = self.config.original_max_position_embeddings
        if torch.compiler.is_compiling() or not some_row_turns_long(attention_mask, position_ids, seen, limit):
            return
        raise ValueError(
            f"a row has grown beyond {limit} tokens, and its cached keys hold only up to there: run its whole length "
            "anew, without past_key_values"
        )

    def _accept_alias(self, state_dict: dict[str, Tensor], prefix: str, *_: Any) -> None:
        """Take the embedding from its second name where `load_state_dict` is given that one, or both."""
        alias = state_dict.pop(f"{prefix}vision_embed_tokens.wte.weight", None)
        if alias is not None:
            state_dict.setdefault(f"{prefix}embed_tokens.weight", alias)


class Phi3VForCausalLM(Phi3VPreTrainedModel, Phi3VGenerationMixin):
    """The model that answers: `Phi3VModel` and the language modelling head, under the hub's weight names."""

    _tied_weights_keys: ClassVar[dict[str, str]] = {"lm_head.weight": "model.embed_tokens.weight"}

    def __init__(self, config: Phi3VConfig) -> None:
        super().__init__(config)
        self.model = Phi3VModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_image_features(self, pixel_values: Tensor, image_sizes: Tensor) -> Tensor:
        """Return the embeddings of the images' tokens, (image tokens, hidden)."""
        return self.model.get_image_features(pixel_values, image_sizes)

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        pixel_values: Tensor | None = None,
        image_sizes: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Predict the next token at each position.

        Args:
            input_ids: as `Phi3VModel.forward`, like all that are not named here.
            labels: int64, (batch, sequence), -100 where nothing is to be learnt; shifted by one here.
            logits_to_keep: compute logits only for this many last positions (0: all), or for the positions given.
            **kwargs: passed on.

        Returns:
            `logits` (batch, positions kept, vocabulary); with labels `loss`, the mean cross entropy over them.
        """
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            pixel_values=pixel_values,
            image_sizes=image_sizes,
            use_cache=use_cache,
            **kwargs,
        )
        logits = self.lm_head(slice_logits_to_keep(outputs.last_hidden_state, logits_to_keep))
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.config.vocab_size, **kwargs)
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )


# Checkpoints carry the embedding under this name, under `model.embed_tokens.weight`, or under both.
register_checkpoint_conversion_mapping(
    Phi3VConfig.model_type, [WeightRenaming(r"vision_embed_tokens\.wte\.weight", "embed_tokens.weight")], overwrite=True
)
