"""The configuration of Phi-3.5-vision: the hub's `config.json`, read as it is and written so that others read it."""

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import CLIPVisionConfig, Phi3Config

from phi3v_data.tokens import CROP, TOKENS_PER_CROP

__all__ = ["CLIP_VIT_L_336", "Phi3VConfig"]

CLIP_VIT_L_336: dict[str, Any] = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "projection_dim": 768,
    "image_size": CROP,
    "patch_size": 14,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}
"""CLIP ViT-L/14-336, the vision tower of the published checkpoint (whose `config.json` only names it)."""

_EMBD_LAYER = {
    "embedding_cls": "image",
    "hd_transform_order": "sub_glb",
    "projection_cls": "mlp",
    "use_hd_transform": True,
    "with_learnable_separator": True,
}
"""How image features become tokens; the only arrangement a published Phi-3.5-vision uses and the only one built."""

_ROPE_KEYS = {"short_factor", "long_factor", "factor", "attention_factor"}
"""What `rope_scaling` may hold besides its type."""

_ROPE_ELSEWHERE = {"type", "rope_type", "rope_theta", "partial_rotary_factor", "original_max_position_embeddings"}
"""What transformers keeps in the same place in memory."""

_IGNORED = ("auto_map", "_attn_implementation")
"""Keys of the hub's file that ask for remote code, or for flash attention whether it is installed or not."""


@strict
class Phi3VConfig(Phi3Config):
    """The decoder's fields, as `Phi3Config` has them, and the vision tower's.

    Args:
        vision_config: `CLIPVisionConfig` fields that differ from CLIP ViT-L/14-336; absent in the hub's file.
        img_processor: the hub's note on its vision tower; kept, not used.
        embd_layer: the hub's description of the image embedding; other arrangements than the published are refused.
        **kwargs: fields of `Phi3Config`. `rope_scaling` may have the type `su` or `longrope`.

    Raises:
        StrictDataclassClassValidationError: the file describes a model this is not; the message says where.
    """

    model_type = "phi3_v"
    sub_configs_defaults: ClassVar[dict[str, Any]] = {"vision_config": CLIPVisionConfig}

    vision_config: Any = None
    img_processor: dict[str, Any] | None = None
    embd_layer: Any = None
    num_key_value_heads: int | None = 32
    max_position_embeddings: int = 131072
    sliding_window: int | None = 262144
    eos_token_id: int | list[int] | None = 2

    def __post_init__(self, **kwargs: Any) -> None:
        if not isinstance(self.vision_config, CLIPVisionConfig):
            self.vision_config = {**CLIP_VIT_L_336, **(self.vision_config or {})}
        super().__post_init__(**{key: value for key, value in kwargs.items() if key not in _IGNORED})
        self.img_processor = self.img_processor or _img_processor(self.vision_config)
        self.embd_layer = {**_EMBD_LAYER, **(self.embd_layer or {})}

    def convert_rope_params_to_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Move `rope_scaling` and `rope_theta` into `rope_parameters`; `su` is the first name of longrope."""
        kwargs = super().convert_rope_params_to_dict(*args, **kwargs)
        self.standardize_rope_params()  # the top-level original_max_position_embeddings, which `su` alone would miss
        return kwargs

    def validate_architecture(self) -> None:
        """Refuse what the model would compute wrongly; called when a configuration is made."""
        if (self.vision_config.image_size, self.vision_config.patch_size) != (CROP, 14):
            raise ValueError(
                f"vision_config: images are cut into crops of {CROP} pixels and patches of 14, not "
                f"{self.vision_config.image_size} and {self.vision_config.patch_size}"
            )
        if self.vision_config.num_hidden_layers < 2:
            raise ValueError("vision_config: features are taken after the last layer but one; give two layers or more")
        different = {key: value for key, value in self.embd_layer.items() if _EMBD_LAYER.get(key, value) != value}
        if different:
            raise ValueError(f"embd_layer: {different} is not how Phi-3.5-vision is built ({_EMBD_LAYER})")

    def validate_rope(self) -> None:
        """Check the factors by which the rotary frequencies are divided: one per pair of a head's dimensions."""
        rope, dimension = self.rope_parameters, self.hidden_size // self.num_attention_heads
        if rope["rope_type"] not in ("default", "longrope"):
            raise ValueError(f"rope_scaling: the type is {rope['rope_type']!r}; known are 'su' and 'longrope'")
        if unknown := rope.keys() - _ROPE_KEYS - _ROPE_ELSEWHERE:
            raise ValueError(f"rope_scaling: {', '.join(sorted(unknown))} is unknown; known are {sorted(_ROPE_KEYS)}")
        if rope.get("partial_rotary_factor", 1.0) != 1.0 or getattr(self, "head_dim", dimension) != dimension:
            raise ValueError(f"every one of a head's {dimension} dimensions is rotated: no other head_dim, and no part")
        for name in ("short_factor", "long_factor") if rope["rope_type"] == "longrope" else ():
            factors = rope.get(name)
            if not isinstance(factors, list) or len(factors) != dimension // 2:
                raise ValueError(f"rope_scaling: {name} must be a list of {dimension // 2} numbers, not {factors!r}")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields under the names of the hub's file, which vLLM and older transformers read."""
        fields: dict[str, Any] = super().to_dict()
        rope = fields.pop("rope_parameters")
        fields["rope_theta"] = rope["rope_theta"]
        fields["rope_scaling"] = None
        if rope["rope_type"] != "default":
            kept = {key: value for key, value in rope.items() if key in _ROPE_KEYS}
            fields["rope_scaling"] = {"type": rope.get("type", rope["rope_type"]), **kept}
        return fields

    def to_diff_dict(self) -> dict[str, Any]:
        """Return what `config.json` holds: the vision tower whole, since its defaults are not `CLIPVisionConfig`'s."""
        fields: dict[str, Any] = super().to_diff_dict()
        always = {key: getattr(self.vision_config, key) for key in CLIP_VIT_L_336}
        fields["vision_config"] = {**fields["vision_config"], **always}
        return fields


def _img_processor(vision_config: CLIPVisionConfig) -> dict[str, Any]:
    return {
        "image_dim_out": vision_config.hidden_size,
        "model_name": "openai/clip-vit-large-patch14-336",
        "name": "clip_vision_model",
        "num_img_tokens": TOKENS_PER_CROP,
    }
