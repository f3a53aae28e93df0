"""A training run asked the same questions before and after, or a single model asked once."""

from __future__ import annotations

import gc
from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal

import click
import torch

from phi3v_data.reader import Dataset
from phi3v_train.eval_report import describe_change, describe_classes, describe_evaluation
from phi3v_train.evaluate import evaluate
from phi3v_train.holding import hold_output
from phi3v_train.inference import refuse_another_base
from phi3v_train.model_files import is_run
from phi3v_train.soundness import check_sound
from phi3v_train.together import on_main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from phi3v_train.evaluate import EvalOptions
    from phi3v_train.evaluation import Evaluation
    from phi3v_train.inference import InferenceOptions
    from phi3v_train.model_files import ModelFiles
    from phi3v_train.runtime import Processes

__all__ = ["When", "evaluate_stages", "stages_of"]

When = Literal["both", "before", "after"]

_BEFORE, _AFTER = "eval_before.json", "eval_after.json"


def stages_of(name: str, files: ModelFiles, when: When) -> dict[str, ModelFiles]:
    """Return the models to be asked, by the names of the files of their results.

    Args:
        name: The model's name, as it was given.
        files: What it stands for.
        when: Of a training run, which of the two; of a model, what its result is to be called.
    """
    if not is_run(name):
        return {"eval.json" if when == "both" else f"eval_{when}.json": files}
    stages: dict[str, ModelFiles] = {}
    if when in ("both", "before"):
        stages[_BEFORE] = files.before()
    if when in ("both", "after"):
        stages[_AFTER] = files
    return stages


def evaluate_stages(
    stages: dict[str, ModelFiles],
    inference: InferenceOptions,
    options: EvalOptions,
    *,
    output_dir: Path,
    processes: Processes,
    say: Callable[[str], None],
) -> None:
    """Ask each model the same questions, loaded in the same way, and say what came of it.

    Args:
        stages: The models, by the names of the files of their results.
        inference: How each is loaded.
        options: What is asked.
        output_dir: Folder of the results.
        processes: Those that share the questions.
        say: Told what a person should know.

    Raises:
        Phi3VError: As `evaluate`.
    """
    on_main(lambda: _check(stages, options))
    results: dict[str, Evaluation] = {}
    with ExitStack() as held:
        on_main(lambda: held.enter_context(hold_output(output_dir)))
        for name, files in stages.items():
            out = output_dir / name
            results[name] = evaluate(files, inference, options, out=out, processes=processes, say=say)
            say(describe_evaluation(results[name], out))
            _free()
    *before, last = results.values()
    if before:
        say(describe_change(before[0], last))
    say(describe_classes(last))


def _check(stages: dict[str, ModelFiles], options: EvalOptions) -> None:
    """Find out before the first answer what would end the last one."""
    for files in stages.values():
        if files.adapter is not None:
            refuse_another_base(files.adapter, files.base)
    for path in options.data_dir:
        Dataset(path)  # which must be there
        for line in check_sound(path, options.images_dir):
            click.echo(f"Warning: {line}", err=True)


def _free() -> None:
    """Give the memory of the model that has answered back, for the next one."""
    gc.collect()
    torch.cuda.empty_cache()
