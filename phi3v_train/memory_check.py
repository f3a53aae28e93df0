"""Whether a run has room: what a device has, what the run needs, and which flags would make it fit."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import torch

from phi3v_data.errors import CannotRun
from phi3v_train.memory import estimate_memory, is_apart, render
from phi3v_train.runtime import Processes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3v_train.memory import MemoryEstimate
    from phi3v_train.model import Phi3VConfig
    from phi3v_train.options import TrainOptions
    from phi3v_train.runtime import Runtime

__all__ = ["available_memory", "check_memory", "host_memory", "peak_memory"]

_SHOWN = 3
_MORE = (2, 4, 8)
_CGROUP = Path("/sys/fs/cgroup")
_LIMITS = {"memory.max": ("memory.stat", "anon"), "memory/memory.limit_in_bytes": ("memory/memory.stat", "total_rss")}
"""By version of Linux' control groups: the file of the limit, that of the use, and the line of what cannot be freed."""


def available_memory(options: TrainOptions, runtime: Runtime) -> int:
    """Return the bytes that this process can have on its device."""
    if options.device_memory is not None:
        return int(options.device_memory * 2**30)
    if runtime.device == "cuda":
        return int(torch.cuda.mem_get_info(runtime.processes.local_rank)[0])
    return host_memory(runtime)


def host_memory(runtime: Runtime) -> int:
    """Return the bytes that this process can have of the host's memory, shared evenly on its node."""
    room = [int(psutil.virtual_memory().available)]
    for limit, (statistics, line) in _LIMITS.items():
        text = (_CGROUP / limit).read_text().strip() if (_CGROUP / limit).exists() else "max"
        if text != "max":
            used = dict(row.split() for row in (_CGROUP / statistics).read_text().splitlines())
            room.append(int(text) - int(used[line]))
    return min(room) // runtime.processes.local_count


def peak_memory() -> int:
    """Return the most bytes that this process has held: of its GPU, or of the host's memory without one."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def check_memory(estimate: MemoryEstimate, config: Phi3VConfig, options: TrainOptions, runtime: Runtime) -> None:
    """Refuse a run that has no room.

    Raises:
        CannotRun: The device or the host has less than the run needs; the message names flags with which it would
            fit, those first that change the result least.
    """
    room = _Room(available_memory(options, runtime), None if options.device_memory else host_memory(runtime))
    if not room.has(estimate):
        raise CannotRun(f"{_needs(estimate, room)}: {_ways_out(estimate, room, config, options, runtime)}")


@dataclass(frozen=True)
class _Room:
    """Bytes that a process can have on its device and on the host; None for a host that is elsewhere."""

    device: int
    host: int | None

    def has(self, estimate: MemoryEstimate) -> bool:
        return estimate.total <= self.device and (self.host is None or estimate.host <= self.host)


def _needs(estimate: MemoryEstimate, room: _Room) -> str:
    if estimate.total <= room.device:
        return f"each process needs {_gb(estimate.host)} of the host's memory, which has {_gb(room.host or 0)} left"
    return f"training needs {render(estimate)}; a device has {_gb(room.device)}"


def _ways_out(
    estimate: MemoryEstimate, room: _Room, config: Phi3VConfig, options: TrainOptions, runtime: Runtime
) -> str:
    """Return the first changes that make it fit, or the one that comes nearest."""
    sizes = {"sequence_length": estimate.sequence_length, "crops": estimate.crops}
    fitting, least = [], (estimate.total, "these flags")
    for words, changes, changed in _changes(options, runtime):
        less = estimate_memory(config, options.model_copy(update=changes), changed, **sizes)
        if room.has(less):
            fitting.append(f"{words} ({_gb(less.total)})")
        least = min(least, (less.total, words))
        if len(fitting) == _SHOWN:
            break
    if not fitting:
        return f"no single change makes it fit, and least is needed with {least[1]} ({_gb(least[0])})"
    return f"it fits with {' or with '.join(fitting)}"


def _changes(options: TrainOptions, runtime: Runtime) -> Iterator[tuple[str, dict[str, Any], Runtime]]:
    """Yield what can be done about it: the words for it, the options it changes, and the runtime they make."""
    is_gpu, is_whole = is_apart(options, runtime), not options.has_adapters
    if options.batch_size_per_gpu > 1:
        yield "--batch_size_per_gpu 1", {"batch_size_per_gpu": 1}, runtime
    if not options.gradient_checkpointing:
        yield "--gradient_checkpointing", {"gradient_checkpointing": True}, runtime
    if options.optimizer == "adamw":
        yield "--optimizer adamw8bit", {"optimizer": "adamw8bit"}, runtime
    if is_gpu and not options.offload and options.deepspeed is None:
        yield "--offload", {"offload": True}, replace(runtime, deepspeed=runtime.deepspeed or "zero2")
    if not options.freeze_vision_model:
        yield "--freeze_vision_model", {"freeze_vision_model": True}, runtime
    # Adapters do without DeepSpeed, unless it was asked for.
    alone = runtime if options.deepspeed or options.offload else replace(runtime, deepspeed=None)
    if is_whole:
        yield "--use_lora", {"use_lora": True}, alone
    if not options.use_qlora and alone.deepspeed in (None, "zero2"):
        yield "--use_qlora", {"use_qlora": True}, alone
    for count in _MORE if is_gpu and not options.use_qlora else ():
        if count > runtime.processes.count:
            together = replace(runtime, processes=Processes(count=count, local_count=count), deepspeed="zero3")
            yield f"{count} GPUs and --deepspeed zero3", {}, together


def _gb(number: int) -> str:
    return f"{number / 1e9:.1f} GB"
