"""What a machine makes of the options: devices, processes, precision, attention and sharding of this run."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from phi3v_data.errors import CannotRun, UsageError
from phi3v_data.extras import require
from phi3v_train.devices import Device, Precision, claim_device, find_device, resolve_attention, resolve_precision

if TYPE_CHECKING:
    from phi3v_train.options import TrainOptions

__all__ = ["Processes", "Runtime", "default_workers", "resolve_runtime", "training_precision"]


@dataclass(frozen=True)
class Processes:
    """The processes that train together, as torchrun tells each of them.

    Attributes:
        count: All of them, on all nodes.
        rank: This one among all.
        local_rank: This one on its node.
        local_count: Those on this node.
    """

    count: int = 1
    rank: int = 0
    local_rank: int = 0
    local_count: int = 1

    @classmethod
    def from_environment(cls) -> Processes:
        """Read what torchrun has set; one process where it has not."""
        names = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        return cls(*(int(os.environ.get(name, default)) for name, default in zip(names, (1, 0, 0, 1), strict=True)))


@dataclass(frozen=True)
class Runtime:
    """The resolved half of a run's settings.

    Attributes:
        processes: Who trains together.
        device: "cuda" or "cpu".
        precision: What is computed in: "bf16", "fp16" or "fp32".
        attention: Name of the implementation in transformers.
        deepspeed: "zero2", "zero3", the path of a configuration, or None for plain data parallelism.
        accumulation: Batches a process takes for one optimizer step.
        num_workers: Processes that read and decode for this one.
    """

    processes: Processes
    device: Device
    precision: Precision
    attention: str
    deepspeed: str | None
    accumulation: int
    num_workers: int

    @property
    def is_main(self) -> bool:
        """Whether this process speaks for all."""
        return self.processes.rank == 0


def resolve_runtime(options: TrainOptions) -> Runtime:
    """Decide what the options leave open, and refuse what this machine cannot do.

    Raises:
        UsageError: Options do not go together with the number of processes or the device.
        MissingExtra: A package is not installed.
        CannotRun: There are fewer GPUs than processes.
    """
    processes = Processes.from_environment()
    device = claim_device(processes)
    if options.use_qlora:
        require("bitsandbytes", extra="qlora", purpose="QLoRA")
    if options.optimizer != "adamw":
        require("bitsandbytes", extra="qlora", purpose=f"--optimizer {options.optimizer}")
    _check_trackers(options.report_to)
    return Runtime(
        processes=processes,
        device=device,
        precision=training_precision(options),
        attention=resolve_attention(options.attention, options.precision, is_elsewhere=_is_elsewhere(options)),
        deepspeed=_deepspeed(options, processes, device),
        accumulation=_accumulation(options, processes),
        num_workers=default_workers(processes) if options.num_workers is None else options.num_workers,
    )


def training_precision(options: TrainOptions) -> Precision:
    """Decide what a run computes in, on this machine or the one that it is planned for.

    Raises:
        UsageError: The device cannot.
    """
    is_open = options.precision == "auto" and _is_elsewhere(options)
    return "bf16" if is_open else resolve_precision(options.precision)


def _is_elsewhere(options: TrainOptions) -> bool:
    """Tell whether a run is planned for a GPU that is not in this machine."""
    return options.dry_run and options.device_memory is not None and find_device() == "cpu"


def _deepspeed(options: TrainOptions, processes: Processes, device: str) -> str | None:
    wanted = options.deepspeed
    if wanted is None:
        is_sharded = processes.count > 1 and device == "cuda" and not options.has_adapters
        wanted = "zero2" if options.offload or is_sharded else "none"
    if wanted == "none":
        return None
    if wanted not in ("zero2", "zero3") and not Path(wanted).is_file():
        raise UsageError(f"--deepspeed {wanted!r} is no file: give zero2, zero3, none or a configuration's path")
    if wanted != "zero2" and options.use_qlora:
        raise UsageError("weights in 4 bits are not cut into shards: give --deepspeed zero2 or none with --use_qlora")
    if importlib.util.find_spec("deepspeed") is None:
        require("deepspeed", extra="deepspeed", purpose=f"sharded training (--deepspeed {wanted}; none does without)")
    return wanted


def _accumulation(options: TrainOptions, processes: Processes) -> int:
    at_once = processes.count * options.batch_size_per_gpu
    steps, rest = divmod(options.batch_size, at_once)
    if rest:
        fits = " or ".join(str(number * at_once) for number in (steps, steps + 1) if number)
        raise UsageError(
            f"--batch_size {options.batch_size} is no multiple of {processes.count} processes × "
            f"--batch_size_per_gpu {options.batch_size_per_gpu}: the nearest is {fits}"
        )
    return steps


def _check_trackers(names: list[str]) -> None:
    from transformers.integrations import integration_utils as trackers

    for name in names:
        if name not in trackers.INTEGRATION_TO_CALLBACK:
            known = ", ".join(sorted(trackers.INTEGRATION_TO_CALLBACK))
            raise UsageError(f"--report_to {name} is no tracker that transformers knows: it knows {known}")
        if name not in trackers.get_available_reporting_integrations():
            extra = "phi3v-data[tensorboard]" if name == "tensorboard" else name
            raise CannotRun(f"--report_to {name} needs its package: run pip install '{extra}'")


def default_workers(processes: Processes) -> int:
    """Return how many processes read and decode for each that computes, unless told otherwise."""
    return min(4, max(1, (os.cpu_count() or 1) // processes.local_count))
