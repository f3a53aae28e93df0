"""Which weights an adapter was trained on: written beside it, and held against those that it is put on."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open

from phi3v_data.errors import CannotRun
from phi3v_data.fs import sha256_of
from phi3v_train.pretrained import weight_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["ADAPTER_WEIGHTS", "BASE_FILE", "fingerprint", "identify_weights", "is_another_base", "write_base"]

ADAPTER_WEIGHTS = "adapter_model.safetensors"
"""PEFT's name of the file."""

BASE_FILE = "base.json"
"""Beside an adapter: the name of its base and the fingerprint of its weights."""


def write_base(folder: Path, name: str) -> None:
    """Write beside an adapter which weights it was trained on.

    Raises:
        OSError: The system refuses.
    """
    content = {"name": name, "fingerprint": fingerprint(name)}
    (folder / BASE_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def is_another_base(adapter: Path, name: str) -> bool:
    """Tell whether an adapter is known to have been trained on weights other than those of a checkpoint."""
    try:
        known = json.loads((adapter / BASE_FILE).read_bytes())["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    found = fingerprint(name)
    return known is not None and found is not None and known != found


def fingerprint(name: str) -> str | None:
    """Compute what tells a checkpoint's weights from others without reading them all.

    It is the SHA-256 over each tensor's name, shape and first row, rounded to bfloat16, so that it does not depend
    on the precision or the number of files that the same weights are kept in.

    Args:
        name: A folder, or a name on the hub, from which the weights are fetched unless they are here.

    Returns:
        64 hexadecimal digits; None for a checkpoint without safetensors.

    Raises:
        CannotRun: They cannot be fetched or read.
    """
    try:
        return _fingerprint(name)
    except SafetensorError as error:
        raise CannotRun(f"the weights of {name} cannot be read: {error}") from error


def _fingerprint(name: str) -> str | None:
    tensors = {key: file for file in weight_files(name) for key in _keys(file)}
    digest = hashlib.sha256()
    for key, file in sorted(tensors.items()):
        with safe_open(file, "pt") as opened:
            part = opened.get_slice(key)
            row = part[:1].to(torch.bfloat16).view(torch.int16)
            digest.update(f"{key} {part.get_shape()} {row.flatten().tolist()}\n".encode())
    return digest.hexdigest() if tensors else None


def identify_weights(name: str, adapter: Path | None) -> str | None:
    """Return what tells a checkpoint's weights, with those of an adapter on them, from others; None if unknown."""
    base = fingerprint(name)
    return base if adapter is None else f"{base}+{sha256_of(adapter / ADAPTER_WEIGHTS)}"


def _keys(file: Path) -> Iterator[str]:
    with safe_open(file, "pt") as opened:
        yield from opened.keys()
