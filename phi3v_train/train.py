"""One training run, from its options to the folder `final`."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import click
from torch import distributed
from transformers import PrinterCallback, set_seed

from phi3v_data.errors import CannotRun, DataError
from phi3v_train.arguments import training_arguments
from phi3v_train.checkpoint_folder import how_to_load
from phi3v_train.checkpoints import (
    FINAL,
    checkpoint_folder,
    find_checkpoint,
    read_checkpoint,
    refuse_other_run,
    trainer_state,
)
from phi3v_train.collate import Collator
from phi3v_train.encode import Encoder
from phi3v_train.final import find_final, is_finished, write_final
from phi3v_train.interruption import Interruption
from phi3v_train.memory import estimate_memory
from phi3v_train.memory_check import check_memory
from phi3v_train.methods import load_model
from phi3v_train.out_of_memory import explain_out_of_memory, is_out_of_memory
from phi3v_train.plan import identify, make_plan
from phi3v_train.preflight import check_data
from phi3v_train.pretrained import load_config, load_processor
from phi3v_train.progress import ProgressReport
from phi3v_train.quiet import quieten
from phi3v_train.report import describe_model, describe_run
from phi3v_train.runtime import resolve_precision, resolve_runtime
from phi3v_train.sampling import EpochSampler, EvenData
from phi3v_train.settings import save_config, with_preset
from phi3v_train.sharding import prepare_deepspeed
from phi3v_train.together import is_lost_contact, on_main
from phi3v_train.trainer import FlowControl, Phi3VTrainer

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn
    from transformers import TrainerCallback, TrainingArguments

    from phi3v_train.checkpoints import Checkpoint
    from phi3v_train.data_plan import DataPlan
    from phi3v_train.memory import MemoryEstimate
    from phi3v_train.model import Phi3VConfig, Phi3VProcessor
    from phi3v_train.options import TrainOptions
    from phi3v_train.plan import RunPlan
    from phi3v_train.runtime import Runtime

__all__ = ["train"]


@dataclass
class _Run:
    """All that is known of a run before its weights are loaded."""

    options: TrainOptions
    runtime: Runtime
    arguments: TrainingArguments
    processor: Phi3VProcessor
    data: DataPlan
    memory: MemoryEstimate
    plan: RunPlan
    identity: dict[str, Any]
    checkpoint: Checkpoint | None
    final: Checkpoint | None


def train(options: TrainOptions, given: frozenset[str]) -> None:
    """Train as the options say, or go on where an earlier run stopped.

    Args:
        options: The options.
        given: Names of those that were given: a preset fills in none of them.

    Raises:
        UsageError: Options do not go together, or not with this machine.
        CannotRun: Anything else that keeps the run from its end; checkpoints are as they were.
        click.exceptions.Exit: A signal ended it; the last step is saved.
    """
    try:
        _train(options, given)
    except DataError as error:
        raise CannotRun(str(error)) from error
    except RuntimeError as error:
        if not is_lost_contact(error):
            raise
        raise CannotRun("another process of this run has ended, and its own lines say why") from error
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _train(options: TrainOptions, given: frozenset[str]) -> None:
    run = _prepare(options, given)
    say = click.echo if run.runtime.is_main else _silent
    say(describe_run(run.options, run.runtime, run.plan, run.data, run.memory))
    if is_finished(run.final, run.checkpoint, run.plan.steps) and not run.options.dry_run:
        say(f"Finished before, at step {run.plan.steps}: {run.options.output_dir / FINAL} is there, nothing is to do.")
        return
    if run.checkpoint is None or run.checkpoint.step < run.plan.steps:
        _train_steps(run, say)
    if not run.options.dry_run:
        _finish(run, say)


def _silent(text: str) -> None:
    """Say nothing: the main process speaks."""


def _prepare(options: TrainOptions, given: frozenset[str]) -> _Run:
    """Look at everything that can be looked at before the weights are loaded, the quickest first."""
    if options.preset is not None:
        options = with_preset(options, given, resolve_precision(options))
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
    return _Run(options, runtime, arguments, processor, data, memory, plan, identity, checkpoint, final)


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


def _train_steps(run: _Run, say: Callable[[str], None]) -> None:
    """Load the weights and train, from the first step or the checkpoint's, to the last."""
    options, runtime = run.options, run.runtime
    set_seed(options.seed)
    model = load_model(options, runtime)
    say(describe_model(model))
    if options.dry_run:
        say("A dry run: nothing was trained.")
        return
    if runtime.is_main:
        save_config(options, options.output_dir / "run.toml")
    if run.checkpoint is not None:
        say(f"Going on from {run.checkpoint.folder}." + _new_schedule(run))
    with Interruption() as interruption:
        report = ProgressReport(options.output_dir, bar=not options.no_tqdm)
        trainer = _trainer(run, model, [FlowControl(interruption, is_sharded=runtime.deepspeed is not None), report])
        try:
            trainer.train(resume_from_checkpoint=str(run.checkpoint.folder) if run.checkpoint else None)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise CannotRun(explain_out_of_memory(trainer.state.global_step + 1, options)) from error
        finally:
            report.close()
    if interruption.number is not None and trainer.state.global_step < run.plan.steps:
        _leave(interruption.number, trainer.state.global_step, run)


def _trainer(run: _Run, model: nn.Module, callbacks: list[TrainerCallback]) -> Phi3VTrainer:
    options = run.options
    train_data, eval_data = run.data.open(options, Encoder(run.processor.tokenizer), run.processor.image_processor)
    at_once = run.runtime.processes.count * options.batch_size_per_gpu
    sampler = EpochSampler(
        train_data.sizes,
        options.weights,
        seed=options.seed,
        lengths=run.data.lengths,
        batch_size=options.batch_size,
        multiple=at_once,
    )
    trainer = Phi3VTrainer(
        options=options,
        runtime=run.runtime,
        processor=run.processor,
        sampler=sampler,
        identity=run.identity,
        model=model,
        args=run.arguments,
        data_collator=Collator(run.processor.tokenizer.pad_token_id),
        train_dataset=EvenData(train_data, at_once),
        eval_dataset=eval_data,
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _leave(number: int, step: int, run: _Run) -> NoReturn:
    """End as a signal asks, with the last step saved."""
    saved = checkpoint_folder(run.options.output_dir, step)
    word = "Interrupted" if number == signal.SIGINT else "Terminated"
    if run.runtime.is_main:
        click.echo(
            f"{word} at step {step} of {run.plan.steps}: {saved} is saved, run the same command to go on.", err=True
        )
    raise click.exceptions.Exit(128 + number)


def _finish(run: _Run, say: Callable[[str], None]) -> None:
    """Write the folder `final` from the last checkpoint, in the main process."""
    final = on_main(lambda: write_final(_last_checkpoint(run), run.options, run.runtime))
    say(f"Done: {final} holds {'the adapter' if run.options.method.startswith(('lora', 'qlora')) else 'the model'}.")
    say(f"Next: {how_to_load(final)}")


def _last_checkpoint(run: _Run) -> Checkpoint:
    last = read_checkpoint(checkpoint_folder(run.options.output_dir, run.plan.steps)) or run.checkpoint
    assert last is not None
    return last


def _new_schedule(run: _Run) -> str:
    """Say that a run has become longer or shorter than the one it goes on from."""
    assert run.checkpoint is not None
    before = trainer_state(run.checkpoint)["max_steps"]
    if before == run.plan.steps:
        return ""
    return f" It was of {before} steps, and this run is of {run.plan.steps}: the learning rate follows the new plan."
