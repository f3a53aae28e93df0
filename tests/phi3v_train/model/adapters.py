"""Model `a` with the recipe's adapters."""

import torch
from peft import LoraConfig, PeftModel, get_peft_model

from tests.phi3v_train.model import golden

DECODER_LORA = ["qkv_proj", "o_proj", "down_proj", "gate_up_proj", "lm_head"]
VISION_LORA = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2", "img_projection.0", "img_projection.2"]


def adapted(exclude: str | None = None) -> PeftModel:
    """Model `a` with adapters on every name the recipe adapts, with weights that have an effect."""
    torch.manual_seed(0)
    targets = [*DECODER_LORA, *VISION_LORA]
    config = LoraConfig(r=4, target_modules=targets, exclude_modules=exclude, init_lora_weights=False)
    return get_peft_model(golden.model("a"), config)
