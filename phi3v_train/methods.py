"""The six methods: how the weights are loaded, which of them train, and in which precision each is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from peft import LoraConfig, TaskType, get_peft_model
from torch import nn

from phi3v_train.pretrained import load_weights

if TYPE_CHECKING:
    from phi3v_train.model import Phi3VConfig, Phi3VForCausalLM
    from phi3v_train.options import TrainOptions
    from phi3v_train.runtime import Runtime

__all__ = [
    "COMPUTE_DTYPES",
    "UNQUANTIZED",
    "four_bits",
    "keep_layout",
    "load_model",
    "loading_dtype",
    "lora_config",
    "prepare",
]

COMPUTE_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}

UNQUANTIZED = ("model.vision_embed_tokens", "lm_head")
"""What QLoRA leaves as it is: a tenth of the model, where features and answers are made and rounding shows most."""

_LANGUAGE = ["qkv_proj", "o_proj", "gate_up_proj", "down_proj", "lm_head"]
_VISION = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2", "img_projection.0", "img_projection.2"]
"""The linear layers that get adapters, by the ends of their names; no name ends as one of the other list does."""


def load_model(options: TrainOptions, runtime: Runtime) -> nn.Module:
    """Load the checkpoint, ready to be trained by the options' method.

    Weights that train are float32, and autocast computes with them in the runtime's precision; weights that do not
    train are of that precision from the start. So are all under ZeRO, which keeps float32 weights of its own.

    Returns:
        A `Phi3VForCausalLM`, or a `PeftModel` around it; where processes train together, the same in each.

    Raises:
        CannotRun: The checkpoint cannot be loaded.
    """
    model = load_weights(options.model_name_or_path, **_loading(options, runtime))
    keep_layout(model)
    return prepare(model, options, runtime)


def prepare(model: Phi3VForCausalLM, options: TrainOptions, runtime: Runtime) -> nn.Module:
    """Choose what trains, and put adapters on; the model may be on the meta device.

    Returns:
        As `load_model`.
    """
    if not options.has_adapters:
        if options.freeze_vision_model:
            _freeze_vision(model, runtime)
        return model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        return get_peft_model(model, lora_config(model.config, options))


def lora_config(config: Phi3VConfig, options: TrainOptions) -> LoraConfig:
    """Describe the adapters of the options' method."""
    unused = config.vision_config.num_hidden_layers - 1
    return LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=options.lora_rank,
        lora_alpha=options.lora_alpha,
        lora_dropout=options.lora_dropout,
        init_lora_weights="gaussian",
        bias="none",
        target_modules=_LANGUAGE if options.freeze_vision_model else [*_LANGUAGE, *_VISION],
        exclude_modules=None if options.freeze_vision_model else rf".*\.encoder\.layers\.{unused}\..*",
    )


def loading_dtype(options: TrainOptions, runtime: Runtime) -> torch.dtype:
    """Return the precision that weights are loaded in, before any of them are cast to another."""
    is_master = not options.has_adapters and runtime.deepspeed not in ("zero2", "zero3")
    return torch.float32 if is_master else COMPUTE_DTYPES[runtime.precision]


def _loading(options: TrainOptions, runtime: Runtime) -> dict[str, Any]:
    """Return what `from_pretrained` is to do."""
    loading = {"attn_implementation": runtime.attention, "dtype": loading_dtype(options, runtime)}
    if runtime.deepspeed is None:
        loading["device_map"] = {"": runtime.processes.local_rank if runtime.device == "cuda" else "cpu"}
    if options.use_qlora:
        loading["quantization_config"] = four_bits(COMPUTE_DTYPES[runtime.precision])
    return loading


def four_bits(dtype: torch.dtype) -> Any:
    """Describe QLoRA's base (arXiv:2305.14314): NF4, with the constants of its blocks quantised too.

    PEFT's `prepare_model_for_kbit_training` is not needed. It would cast what is not in 4 bits to float32, where
    norms and the loss are computed anyway, and make the embeddings require gradients for a kind of recomputation
    that is not used.
    """
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=list(UNQUANTIZED),
    )


def keep_layout(model: nn.Module) -> None:
    """Keep 4-bit weights from being rearranged, as bitsandbytes does to evaluate on CPUs that compute in bf16.

    Through rearranged weights goes no gradient, and what they give is rounded to bf16.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear) and hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False  # type: ignore[assignment]  # an attribute, no weight


def _freeze_vision(model: Phi3VForCausalLM, runtime: Runtime) -> None:
    vision = model.model.vision_embed_tokens.requires_grad_(False)
    if runtime.deepspeed is None:  # which casts all weights itself, and may hold them in shards
        vision.to(COMPUTE_DTYPES[runtime.precision])
