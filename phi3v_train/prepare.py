"""Everything that is known of a run before its weights are loaded, the quickest found out first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from phi3v_train.arguments import training_arguments
from phi3v_train.checkpoints import find_checkpoint, refuse_other_run
from phi3v_train.encode import Encoder
from phi3v_train.final import find_final
from phi3v_train.memory import estimate_memory
from phi3v_train.memory_check import check_memory
from phi3v_train.plan import identify, make_plan
from phi3v_train.preflight import check_data
from phi3v_train.pretrained import load_config, load_processor
from phi3v_train.quiet import quieten
from phi3v_train.runtime import resolve_runtime, training_precision
from phi3v_train.settings import with_preset
from phi3v_train.sharding import prepare_deepspeed
from phi3v_train.together import on_main

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from phi3v_train.checkpoints import Checkpoint
    from phi3v_train.data_plan import DataPlan
    from phi3v_train.memory import MemoryEstimate
    from phi3v_train.model import Phi3VConfig, Phi3VProcessor
    from phi3v_train.options import TrainOptions
    from phi3v_train.plan import RunPlan
    from phi3v_train.runtime import Runtime

__all__ = ["Run", "prepare"]


@dataclass
class Run:
    """A run before its first step.

    Attributes:
        options: As given, a preset filled in.
        runtime: What the machine makes of them.
        arguments: The same for transformers.
        config: The model's sizes.
        processor: The checkpoint's.
        data: What was found out about the data.
        memory: What the longest record found is estimated to need.
        plan: The run's length.
        identity: What checkpoints of it have in common.
        checkpoint: Where it goes on; None at its beginning.
        final: What an earlier run has left as its result.
    """

    options: TrainOptions
    runtime: Runtime
    arguments: TrainingArguments
    config: Phi3VConfig
    processor: Phi3VProcessor
    data: DataPlan
    memory: MemoryEstimate
    plan: RunPlan
    identity: dict[str, Any]
    checkpoint: Checkpoint | None
    final: Checkpoint | None


def prepare(options: TrainOptions, given: frozenset[str]) -> Run:
    """Look at everything that can be looked at before the weights are loaded, and refuse what cannot end well.

    Args:
        options: The options.
        given: Names of those that were given: a preset fills in none of them.

    Raises:
        UsageError: Options do not go together, or not with this machine.
        CannotRun: Something is missing, broken, too large, or another run's.
        DataError: The data has errors.
    """
    if options.preset is not None:
        options = with_preset(options, given, training_precision(options))
    runtime = resolve_runtime(options)
    quieten(is_main=runtime.is_main)
    config = load_config(options.model_name_or_path)
    least = estimate_memory(config, options, runtime, sequence_length=1, crops=0)
    check_memory(least, config, options, runtime)
    processor = load_processor(options.model_name_or_path, options.num_crops)
    if runtime.deepspeed is not None:
        prepare_deepspeed(runtime)
    arguments = training_arguments(options, runtime)
    checkpoint, final, data = on_main(lambda: _look_at_files(options, config, processor))
    identity = identify(options, runtime, data.fingerprint)
    for earlier in filter(None, (checkpoint, final)):
        refuse_other_run(earlier, identity)
    sizes = {"sequence_length": data.summary.longest, "crops": data.summary.most_crops}
    memory = estimate_memory(config, options, runtime, **sizes)
    check_memory(memory, config, options, runtime)
    plan = make_plan(data.records, options, runtime)
    arguments.max_steps = plan.steps
    return Run(options, runtime, arguments, config, processor, data, memory, plan, identity, checkpoint, final)


def _look_at_files(
    options: TrainOptions, config: Phi3VConfig, processor: Phi3VProcessor
) -> tuple[Checkpoint | None, Checkpoint | None, DataPlan]:
    """Look for what earlier runs have left, then at the data."""
    earlier = find_checkpoint(options.resume, options.output_dir), find_final(options.output_dir)
    options.output_dir.mkdir(parents=True, exist_ok=True)
    limit = config.max_position_embeddings
    cache = options.output_dir / "data_check.json"
    encoder = Encoder(processor.tokenizer)
    return *earlier, check_data(options, encoder, limit=limit, cache=cache, report=_warn)


def _warn(text: str) -> None:
    click.echo(f"Warning: {text}", err=True)
