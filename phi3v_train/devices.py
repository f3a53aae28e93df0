"""What this machine's device computes with: precision, and the implementation of attention."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Literal

from phi3v_data.errors import CannotRun, UsageError

if TYPE_CHECKING:
    from phi3v_train.runtime import Processes

__all__ = ["Device", "Precision", "claim_device", "find_device", "resolve_attention", "resolve_precision"]

Device = Literal["cuda", "cpu"]
Precision = Literal["bf16", "fp16", "fp32"]

_ATTENTION = {"auto": "sdpa", "sdpa": "sdpa", "flash": "flash_attention_2", "eager": "eager"}


def find_device() -> Device:
    """Return the kind of device that there is."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def claim_device(processes: Processes) -> Device:
    """Give this process its own of the node's GPUs, where there are GPUs, and return the kind of device.

    Raises:
        CannotRun: There are fewer GPUs than processes.
    """
    import torch

    device = find_device()
    if device == "cpu":
        return device
    gpus = torch.cuda.device_count()
    if processes.local_count > gpus:
        raise CannotRun(
            f"{processes.local_count} processes need as many GPUs, and this node has {gpus}: start torchrun with "
            f"--nproc_per_node={gpus}"
        )
    torch.cuda.set_device(processes.local_rank)
    return device


def resolve_precision(wanted: Literal["auto", "bf16", "fp16", "fp32"]) -> Precision:
    """Decide what is computed in; "auto" is bf16 where the GPU computes in it, else fp16, and fp32 on a CPU.

    Raises:
        UsageError: The device cannot.
    """
    import torch

    if find_device() == "cpu":
        if wanted == "fp16":
            raise UsageError("a CPU does not compute in fp16: give --precision bf16 or fp32")
        return "fp32" if wanted == "auto" else wanted
    has_bf16 = torch.cuda.get_device_capability() >= (8, 0)
    if wanted == "bf16" and not has_bf16:
        raise UsageError(f"{torch.cuda.get_device_name()} does not compute in bf16: give --precision fp16 or auto")
    return ("bf16" if has_bf16 else "fp16") if wanted == "auto" else wanted


def resolve_attention(
    wanted: Literal["auto", "sdpa", "flash", "eager"], precision: str, *, is_elsewhere: bool = False
) -> str:
    """Return the name that transformers has for an implementation.

    Args:
        wanted: Ours.
        precision: What was asked to be computed in, "auto" among it.
        is_elsewhere: Whether it is to run on a GPU of another machine, of which nothing is known.

    Raises:
        UsageError: It does not go with the device or the precision.
        CannotRun: Its package is not installed.
    """
    if wanted != "flash":
        return _ATTENTION[wanted]
    if precision == "fp32":
        raise UsageError("flash attention computes in bf16 or fp16: give --precision auto, or --attention sdpa")
    if is_elsewhere:
        return _ATTENTION[wanted]
    if find_device() == "cpu":
        raise UsageError("flash attention runs on GPUs only: give --attention sdpa")
    if importlib.util.find_spec("flash_attn") is None:
        raise CannotRun(
            "--attention flash needs the package flash-attn, which is built against the torch that is there: run "
            "pip install flash-attn --no-build-isolation, or give --attention sdpa"
        )
    return _ATTENTION[wanted]
