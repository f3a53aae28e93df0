"""Phi-3.5-vision on today's transformers: model, processor and `Auto*` registration, without remote code.

Importing this package is all it takes for `AutoModelForCausalLM` and `AutoProcessor` to load a checkpoint. It needs
the extra `train`.
"""

from phi3v_data.extras import require

for _package in ("torch", "transformers"):
    require(_package, extra="train", purpose="Phi-3.5-vision")

from .auto import register  # noqa: E402  # only now can the modules below be imported
from .configuration import Phi3VConfig  # noqa: E402
from .image_processing import Phi3VImageProcessor  # noqa: E402
from .modeling import Phi3VForCausalLM, Phi3VModel  # noqa: E402
from .processing import Phi3VProcessor  # noqa: E402
from .tags import PromptError  # noqa: E402

__all__ = [
    "Phi3VConfig",
    "Phi3VForCausalLM",
    "Phi3VImageProcessor",
    "Phi3VModel",
    "Phi3VProcessor",
    "PromptError",
    "register",
]

register()
