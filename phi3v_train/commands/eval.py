"""The command `phi3v-train eval`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phi3v_data.errors import UsageError
from phi3v_train.commands.model_flags import model_flags

if TYPE_CHECKING:
    from phi3v_train.before_after import When
    from phi3v_train.evaluate import EvalOptions
    from phi3v_train.model_files import ModelFiles
    from phi3v_train.runtime import Processes

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
@click.option(
    "--num_crops", type=click.IntRange(1, 64), help="Most crops of an image; default: the run's, else the checkpoint's."
)
@click.option(
    "--batch_size_per_gpu", type=click.IntRange(1), default=4, show_default=True, help="Questions at once on a device."
)
@click.option("--num_workers", type=click.IntRange(0), help="Processes that read and decode; default: up to 4.")
@click.option("--overwrite", is_flag=True, help="Replace a result that holds other answers.")
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
    from phi3v_train.devices import claim_device
    from phi3v_train.inference import InferenceOptions
    from phi3v_train.model_files import find_model, is_run
    from phi3v_train.quiet import quieten
    from phi3v_train.runtime import Processes
    from phi3v_train.together import as_one, meet

    processes = Processes.from_environment()
    quieten(is_main=processes.rank == 0)
    claim_device(processes)
    files = find_model(model, base, has_before=when != "after")
    options = _options(files, processes, **asked)
    inference = InferenceOptions.resolve(
        files,
        precision=precision,
        attention=attention,
        quantization=quantization,
        local_rank=processes.local_rank,
    )
    meet()
    with as_one():
        evaluate_stages(
            stages_of(model, files, when),
            inference,
            options,
            output_dir=output_dir or Path(model if is_run(model) else "."),
            processes=processes,
            say=click.echo if processes.rank == 0 else lambda _: None,
        )


def _options(files: ModelFiles, processes: Processes, **asked: Any) -> EvalOptions:
    """Fill in what was not given from the options of the run that the model comes from."""
    from phi3v_train.evaluate import EvalOptions
    from phi3v_train.inference import resolve_num_crops
    from phi3v_train.runtime import default_workers

    run = files.run
    if not asked["data_dir"]:
        asked["data_dir"] = _data_of(run)
        asked["images_dir"] = asked["images_dir"] or (Path(run["images_dir"]) if "images_dir" in run else None)
    asked["split"] = asked["split"] or run.get("eval_split", "val")
    asked["num_crops"] = resolve_num_crops(files, asked["num_crops"])
    if asked["num_workers"] is None:
        asked["num_workers"] = default_workers(processes)
    return EvalOptions(**asked)


def _data_of(run: dict[str, Any]) -> list[Path]:
    """Return the data that a run was trained on.

    Raises:
        UsageError: It is not known, or not there.
    """
    paths = [Path(path) for path in run.get("data_dir", ())]
    if not paths:
        raise UsageError("--data_dir is missing: give the dataset's folder, or a JSONL file")
    for path in paths:  # taken from where the training was started
        if not path.exists():
            raise UsageError(f"the run's --data_dir {path} is not here: give --data_dir")
    return paths
