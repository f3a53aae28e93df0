"""Load a checkpoint from a folder or the hub, whole and of the right kind, or say in one sentence what is wrong."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    StrictDataclassError,
)
from safetensors import SafetensorError
from transformers import PreTrainedConfig
from transformers.utils import logging

from phi3v_data.errors import CannotRun
from phi3v_train.model import Phi3VConfig, Phi3VForCausalLM, Phi3VProcessor

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["load_config", "load_processor", "load_weights", "weight_files"]


def load_config(name: str) -> Phi3VConfig:
    """Read a checkpoint's configuration, without its weights.

    Args:
        name: A folder, or a name on the hub.

    Raises:
        CannotRun: There is no such checkpoint, or it is another model's, or an adapter.
    """
    with _one_sentence(name):
        if (adapter := Path(name, "adapter_config.json")).exists():
            base = json.loads(adapter.read_bytes()).get("base_model_name_or_path")
            raise CannotRun(f"{name} holds an adapter, not a model: give the model that it was trained on, {base}")
        fields, _ = PreTrainedConfig.get_config_dict(name)
    if not fields:
        raise CannotRun(f"{name} holds no config.json: give the folder of a checkpoint, or its name on the hub")
    if (kind := fields.get("model_type")) != Phi3VConfig.model_type:
        raise CannotRun(f"{name} is a model of the type {kind!r}, and only {Phi3VConfig.model_type!r} is trained here")
    try:
        return Phi3VConfig.from_dict(fields)
    except StrictDataclassError as error:
        raise CannotRun(f"{name}: config.json cannot be used: {_one_line(error)}") from error


def load_weights(name: str, **options: Any) -> Phi3VForCausalLM:
    """Load a checkpoint with all its weights; none is left as random numbers.

    Args:
        name: A folder, or a name on the hub.
        **options: What `from_pretrained` takes.

    Raises:
        CannotRun: Weights are missing, or of another shape, or cannot be read; or a package is not installed.
    """
    config = load_config(name)
    with _one_sentence(name), _no_report():
        place = str(Path(name).resolve()) if Path(name).is_dir() else name  # an adapter names its base by it
        model, found = Phi3VForCausalLM.from_pretrained(
            place, config=config, ignore_mismatched_sizes=True, output_loading_info=True, **options
        )
    if wrong := sorted(key for key, *_ in found["mismatched_keys"]):
        raise CannotRun(f"{name}: {_some(wrong)} of another shape than config.json says: take both from one checkpoint")
    if missing := sorted(found["missing_keys"]):
        raise CannotRun(f"{name}: {_some(missing)} missing in the checkpoint's files: download it again")
    return model


def weight_files(name: str) -> list[Path]:
    """Return a checkpoint's files of safetensors; those on the hub are fetched unless they are here already.

    Args:
        name: A folder, or a name on the hub.

    Raises:
        CannotRun: There is no such checkpoint, or it cannot be fetched.
    """
    folder = Path(name)
    if not folder.is_dir():
        with _one_sentence(name):
            folder = Path(snapshot_download(name, allow_patterns="*.safetensors"))
    return sorted(folder.glob("*.safetensors"))


def load_processor(name: str, num_crops: int | None) -> Phi3VProcessor:
    """Load a checkpoint's tokenizer and image processor.

    Args:
        name: A folder, or a name on the hub.
        num_crops: Most crops that an image is scaled to; None for the checkpoint's own.

    Raises:
        CannotRun: They are not there or cannot be read.
    """
    changes = {} if num_crops is None else {"num_crops": num_crops}
    with _one_sentence(name):
        processor: Phi3VProcessor = Phi3VProcessor.from_pretrained(name, **changes)
    return processor


@contextmanager
def _one_sentence(name: str) -> Iterator[None]:
    """Say in one sentence what transformers says in several, with what the hub's client said before."""
    try:
        yield
    except (OSError, ValueError, ImportError, SafetensorError) as error:
        raise CannotRun(_explain(error, name)) from error


def _explain(error: Exception, name: str) -> str:
    cause = error.__cause__ or error
    if isinstance(cause, GatedRepoError):
        return f"{name} is gated: accept its terms on its page on the hub, then log in with `hf auth login`"
    if isinstance(cause, HFValidationError):
        return f"there is no folder {name}: check the name"
    if isinstance(cause, RepositoryNotFoundError):
        return f"there is no {name}, neither a folder nor on the hub: check it, or log in with `hf auth login`"
    if isinstance(cause, LocalEntryNotFoundError):
        return f"there is no folder {name}, and the hub cannot be reached: check the name and the connection"
    return f"{name} cannot be loaded: {_one_line(error)}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _some(keys: list[str]) -> str:
    return f"{keys[0]} is" if len(keys) == 1 else f"{len(keys)} tensors, such as {keys[0]}, are"


@contextmanager
def _no_report() -> Iterator[None]:
    """Keep back transformers' table of what did not fit, of which the error tells."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)
