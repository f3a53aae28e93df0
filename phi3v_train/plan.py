"""How long a run is, and what a checkpoint of it must have in common with a run that goes on."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phi3v_train.options import TrainOptions
    from phi3v_train.runtime import Runtime

__all__ = ["RunPlan", "identify", "make_plan"]


@dataclass(frozen=True)
class RunPlan:
    """The length of a run.

    Attributes:
        records: Records of an epoch.
        steps_per_epoch: Optimizer steps of an epoch; the last may be of fewer records.
        steps: Optimizer steps of the run.
    """

    records: int
    steps_per_epoch: int
    steps: int

    @property
    def epochs(self) -> float:
        """Epochs of the run."""
        return self.steps / self.steps_per_epoch


def make_plan(records: int, options: TrainOptions, runtime: Runtime) -> RunPlan:
    """Count the steps as the loop will: a process takes whole batches, and accumulates what there are."""
    batches = ceil(ceil(records / options.batch_size_per_gpu) / runtime.processes.count)
    steps_per_epoch = ceil(batches / runtime.accumulation)
    steps = options.max_steps or ceil(options.num_train_epochs * steps_per_epoch)
    return RunPlan(records, steps_per_epoch, steps)


def identify(options: TrainOptions, runtime: Runtime, fingerprint: str) -> dict[str, Any]:
    """Return all that shapes the losses of a run but its length, by the names of the options.

    Args:
        options: The run's options.
        runtime: What the machine makes of them.
        fingerprint: Identity of the training data.
    """
    names = ["train_split", "num_crops", "max_length", "too_long", "weights", "group_by_length", "batch_size", "seed"]
    names += ["learning_rate", "vision_learning_rate", "wd", "warmup_steps", "optimizer"]
    if options.has_adapters:
        names += ["lora_rank", "lora_alpha_ratio", "lora_dropout"]
    model = Path(options.model_name_or_path)
    identity: dict[str, Any] = {
        "method": options.method,
        "model_name_or_path": str(model.resolve()) if model.is_dir() else options.model_name_or_path,
        "data": fingerprint[:16],
        "precision": runtime.precision,
        **{name: getattr(options, name) for name in names},
    }
    if runtime.deepspeed is not None:  # its shards fit as many processes as wrote them
        identity |= {"deepspeed": runtime.deepspeed, "processes": runtime.processes.count}
    return identity
