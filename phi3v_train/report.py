"""What a run says of itself before its first step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3v_train.memory import render
from phi3v_train.optimizers import warmup_steps
from phi3v_train.options import METHODS
from phi3v_train.parameters import parameter_table, render_table
from phi3v_train.presets import preset_notes

if TYPE_CHECKING:
    from torch import nn

    from phi3v_train.data_plan import DataPlan
    from phi3v_train.memory import MemoryEstimate
    from phi3v_train.options import TrainOptions
    from phi3v_train.plan import RunPlan
    from phi3v_train.runtime import Runtime

__all__ = ["describe_model", "describe_run"]

_SHARDING = {"zero2": "DeepSpeed ZeRO-2", "zero3": "DeepSpeed ZeRO-3"}


def describe_run(options: TrainOptions, runtime: Runtime, plan: RunPlan, data: DataPlan, memory: MemoryEstimate) -> str:
    """Return the plan of a run, a line for each subject."""
    lines = {
        "Model": options.model_name_or_path,
        "Method": _method(options),
        "Preset": preset_notes(options.preset, options.method, runtime.precision) if options.preset else "",
        "Data": data.describe(options),
        "Steps": _steps(options, runtime, plan),
        "Rate": _rate(options, plan),
        "Device": _device(options, runtime),
        "Memory": f"about {render(memory)}",
        "Output": str(options.output_dir),
    }
    return "\n".join(f"{name:<9}{text}" for name, text in lines.items() if text)


def describe_model(model: nn.Module) -> str:
    """Return the table of trainable and frozen parameters."""
    return f"\n{render_table(parameter_table(model))}\n"


def _method(options: TrainOptions) -> str:
    if not options.has_adapters:
        return METHODS[options.method]
    adapters = f"rank {options.lora_rank}, alpha {options.lora_alpha}, dropout {options.lora_dropout:g}"
    return f"{METHODS[options.method]}: {adapters}"


def _steps(options: TrainOptions, runtime: Runtime, plan: RunPlan) -> str:
    count = runtime.processes.count
    parts = f"{count} × {options.batch_size_per_gpu} × {runtime.accumulation} accumulated"
    return f"{plan.steps:,} of {options.batch_size} records ({parts}), {plan.epochs:.3g} × {plan.records:,} records"


def _rate(options: TrainOptions, plan: RunPlan) -> str:
    vision = f", {options.vision_learning_rate:g} for vision" if options.vision_learning_rate else ""
    warmup = warmup_steps(options, plan.steps)
    steps = "1 step" if warmup == 1 else f"{warmup} steps"
    return f"{options.learning_rate:g}{vision}, up over {steps}, then down to 0; weight decay {options.wd:g}"


def _device(options: TrainOptions, runtime: Runtime) -> str:
    sharding = _SHARDING.get(runtime.deepspeed or "", runtime.deepspeed)
    together = [f"sharded by {sharding}"] if sharding else ["data parallel"] if runtime.processes.count > 1 else []
    is_planned = options.dry_run and options.device_memory is not None
    device = f"GPU of {options.device_memory:g} GiB" if is_planned else runtime.device
    parts = [f"{runtime.processes.count} × {device}", runtime.precision, runtime.attention, *together]
    return ", ".join(parts)
