"""The command `phi3v-train eval`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phi3v_train.commands.model_flags import model_flags

if TYPE_CHECKING:
    import phi3v_train.model  # noqa: F401  # which says how to install what is missing
    from phi3v_train.before_after import When
    from phi3v_train.evaluate import EvalOptions

__all__ = ["evaluate"]


@click.command("eval", short_help="Score a model's answers; of a training run's, before and after.")
@click.argument("model")
@click.option(
    "--data_dir",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Dataset folder or JSONL file, several times for several; default: the run's.",
)
@click.option("--images_dir", type=click.Path(file_okay=False, path_type=Path), help="Images folder.")
@click.option("--split", help="Split to ask about; default: the run's --eval_split, else val.")
@click.option(
    "--metric",
    type=click.Choice(["auto", "accuracy", "anls"]),
    default="auto",
    show_default=True,
    help="auto: ANLS where a question has several answers, else accuracy.",
)
@click.option(
    "--when",
    type=click.Choice(["both", "before", "after"]),
    default="both",
    show_default=True,
    help="Of a run: ask its base, what became of it, or both.",
)
@click.option(
    "--output_dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the results; default: the run's, or the current one.",
)
@click.option("--limit", type=click.IntRange(1), help="Ask so many questions only, evenly spread.")
@click.option("--max_new_tokens", type=click.IntRange(1), default=64, show_default=True, help="Most of an answer.")
@click.option("--num_crops", type=click.IntRange(1, 64), help="Most crops of an image; default: the run's, else 16.")
@click.option(
    "--batch_size_per_gpu", type=click.IntRange(1), default=4, show_default=True, help="Questions at once on a device."
)
@click.option("--num_workers", type=click.IntRange(0), help="Processes that read and decode; default: up to 4.")
@model_flags
def evaluate(
    model: str,
    when: When,
    output_dir: Path | None,
    base: str | None,
    precision: Any,
    attention: Any,
    quantization: Any,
    **asked: Any,
) -> None:
    """Let MODEL answer the questions of a split, and score the answers.

    MODEL is the --output_dir of a training run, the folder of a model or an adapter, or a name on the hub. Of a run,
    what it began with and what it ended with are asked the same questions in the same way, and the results are
    eval_before.json and eval_after.json; else the result is eval.json. Under torchrun the questions are shared.
    """
    import phi3v_train.model  # noqa: F401  # which says how to install what is missing
    from phi3v_train.before_after import evaluate_stages, stages_of
    from phi3v_train.inference import InferenceOptions, find_model, is_run
    from phi3v_train.quiet import quieten
    from phi3v_train.runtime import Processes
    from phi3v_train.together import meet, part

    processes = Processes.from_environment()
    quieten(is_main=processes.rank == 0)
    files = find_model(model, base)
    options = _options(files.run, processes, **asked)
    inference = InferenceOptions.resolve(
        files,
        precision=precision,
        attention=attention,
        quantization=quantization,
        local_rank=processes.local_rank,
    )
    meet()
    try:
        evaluate_stages(
            stages_of(model, files, when),
            inference,
            options,
            output_dir=output_dir or Path(model if is_run(model) else "."),
            processes=processes,
            say=click.echo if processes.rank == 0 else lambda _: None,
        )
    finally:
        part()


def _options(run: dict[str, Any], processes: Any, **asked: Any) -> EvalOptions:
    """Fill in what was not given from the options of the run that the model comes from."""
    from phi3v_train.evaluate import EvalOptions
    from phi3v_train.runtime import default_workers

    asked["data_dir"] = asked["data_dir"] or [Path(path) for path in run.get("data_dir", ())]
    if not asked["data_dir"]:
        raise click.UsageError("--data_dir is missing: give the dataset's folder, or a JSONL file")
    if asked["images_dir"] is None and "images_dir" in run:
        asked["images_dir"] = Path(run["images_dir"])
    asked["split"] = asked["split"] or run.get("eval_split", "val")
    asked["num_crops"] = asked["num_crops"] or run.get("num_crops", 16)
    if asked["num_workers"] is None:
        asked["num_workers"] = default_workers(processes)
    return EvalOptions(**asked)
