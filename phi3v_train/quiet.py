"""Libraries that talk: what they say of themselves is kept from a user, what is wrong is not."""

from __future__ import annotations

import os
import sys
import warnings
from logging import ERROR, getLogger

__all__ = ["quieten", "quieten_imports"]


def quieten_imports() -> None:
    """Keep to themselves the libraries that talk while they are imported; call it before any is."""
    for library in ("accelerate", "bitsandbytes", "huggingface_hub"):  # bitsandbytes: on CPUs that compute in bf16
        getLogger(library).setLevel(ERROR)


def quieten(*, is_main: bool = True) -> None:
    """Keep progress bars out of files and chatter out of the output; call it before models are loaded.

    Args:
        is_main: Whether this process speaks for all; another one stays silent altogether.
    """
    import torch
    from transformers.utils import logging

    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")  # DeepSpeed would print that it found so
    logging.set_verbosity_error()
    if not is_main or not sys.stderr.isatty():
        logging.disable_progress_bar()
    if not sys.flags.dev_mode and not sys.warnoptions:
        warnings.simplefilter("ignore")
