"""Tell transformers' Auto* classes about Phi-3.5-vision, which they would otherwise load as remote code."""

from __future__ import annotations

from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)

from .configuration import Phi3VConfig
from .image_processing import Phi3VImageProcessor
from .modeling import Phi3VForCausalLM, Phi3VModel
from .processing import Phi3VProcessor

__all__ = ["register"]


def register() -> None:
    """Make `Auto*.from_pretrained` load the classes of this package; once or again.

    Classes registered here go before the `auto_map` of a checkpoint's files, so that neither `trust_remote_code`
    nor an answer to a question about it is needed.
    """
    AutoConfig.register(Phi3VConfig.model_type, Phi3VConfig, exist_ok=True)
    AutoModel.register(Phi3VConfig, Phi3VModel, exist_ok=True)
    AutoModelForCausalLM.register(Phi3VConfig, Phi3VForCausalLM, exist_ok=True)
    AutoModelForImageTextToText.register(Phi3VConfig, Phi3VForCausalLM, exist_ok=True)
    # Under both names: which one is asked for depends on whether torchvision is installed.
    image_processors = dict.fromkeys(("pil", "torchvision"), Phi3VImageProcessor)
    AutoImageProcessor.register(Phi3VConfig, image_processor_classes=image_processors, exist_ok=True)
    # The files name LlamaTokenizer, which would rebuild the pipeline and give other ids after special tokens.
    AutoTokenizer.register(Phi3VConfig, PreTrainedTokenizerFast, exist_ok=True)
    AutoProcessor.register(Phi3VConfig, Phi3VProcessor, exist_ok=True)
