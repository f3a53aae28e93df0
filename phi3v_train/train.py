"""One training run, from its options to the folder `final`."""

from __future__ import annotations

import shlex
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING, NoReturn

import click
from transformers import PrinterCallback, set_seed

from phi3v_data.errors import CannotRun, DataError
from phi3v_train.checkpoints import (
    checkpoint_folder,
    read_checkpoint,
    trainer_state,
)
from phi3v_train.collate import Collator
from phi3v_train.encode import Encoder
from phi3v_train.final import is_finished, write_final
from phi3v_train.flow import FlowControl
from phi3v_train.holding import hold_output
from phi3v_train.interruption import Interruption
from phi3v_train.memory import skeleton
from phi3v_train.methods import load_model
from phi3v_train.out_of_memory import explain_out_of_memory, is_out_of_memory
from phi3v_train.prepare import Run, prepare
from phi3v_train.progress import ProgressReport
from phi3v_train.report import describe_model, describe_run
from phi3v_train.sampling import EpochSampler, EvenData
from phi3v_train.settings import save_config
from phi3v_train.together import as_one, on_main
from phi3v_train.trainer import Phi3VTrainer

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn
    from transformers import TrainerCallback

    from phi3v_train.checkpoints import Checkpoint
    from phi3v_train.options import TrainOptions

__all__ = ["train"]


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
        with as_one():
            _train(options, given)
    except DataError as error:
        raise CannotRun(str(error)) from error


def _train(options: TrainOptions, given: frozenset[str]) -> None:
    run = prepare(options, given)
    say = click.echo if run.runtime.is_main else _silent
    say(describe_run(run.options, run.runtime, run.plan, run.data, run.memory))
    if is_finished(run.final, run.checkpoint, run.plan.steps) and not run.options.dry_run:
        assert run.final is not None
        say(f"Finished before, at step {run.final.step}: {run.final.folder} is there, nothing is to do.")
        return
    with ExitStack() as held:
        on_main(lambda: held.enter_context(hold_output(run.options.output_dir)))
        if run.checkpoint is None or run.checkpoint.step < run.plan.steps:
            _train_steps(run, say)
        if not run.options.dry_run:
            _finish(run, say)


def _silent(text: str) -> None:
    """Say nothing: the main process speaks."""


def _train_steps(run: Run, say: Callable[[str], None]) -> None:
    """Load the weights and train, from the first step or the checkpoint's, to the last."""
    options, runtime = run.options, run.runtime
    set_seed(options.seed)
    # What is planned for another machine needs no weights on this one.
    is_elsewhere = options.dry_run and options.device_memory is not None
    model = skeleton(run.config, options, runtime) if is_elsewhere else load_model(options, runtime)
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


def _trainer(run: Run, model: nn.Module, callbacks: list[TrainerCallback]) -> Phi3VTrainer:
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


def _leave(number: int, step: int, run: Run) -> NoReturn:
    """End as a signal asks, with the last step saved."""
    saved = checkpoint_folder(run.options.output_dir, step)
    word = "Interrupted" if number == signal.SIGINT else "Terminated"
    if run.runtime.is_main:
        click.echo(
            f"{word} at step {step} of {run.plan.steps}: {saved} is saved, run the same command to go on.", err=True
        )
    raise click.exceptions.Exit(128 + number)


def _finish(run: Run, say: Callable[[str], None]) -> None:
    """Write the folder `final` from the last checkpoint, in the main process."""
    final = on_main(lambda: write_final(_last_checkpoint(run), run.options, run.runtime))
    say(f"Done: {final} holds {'the adapter' if run.options.has_adapters else 'the model'}.")
    say(f"Next: phi3v-train eval {shlex.quote(str(run.options.output_dir))}")


def _last_checkpoint(run: Run) -> Checkpoint:
    last = read_checkpoint(checkpoint_folder(run.options.output_dir, run.plan.steps)) or run.checkpoint
    assert last is not None
    return last


def _new_schedule(run: Run) -> str:
    """Say that a run has become longer or shorter than the one it goes on from."""
    assert run.checkpoint is not None
    before = trainer_state(run.checkpoint)["max_steps"]
    if before == run.plan.steps:
        return ""
    return f" It was of {before} steps, and this run is of {run.plan.steps}: the learning rate follows the new plan."
