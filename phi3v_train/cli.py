"""The command `phi3v-train`: thin commands over the trainer, which is imported only when one of them runs."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from phi3v_data import __version__
from phi3v_data.convert.flags import flags_of
from phi3v_data.program import BOTH_SPELLINGS, run_program
from phi3v_train.flags import SectionedGroup, given_flags
from phi3v_train.options import TrainOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cli", "main"]


def _default(name: str) -> Any:
    return TrainOptions.model_fields[name].default


@click.group(
    cls=SectionedGroup, context_settings=BOTH_SPELLINGS, params=[*flags_of(TrainOptions)], invoke_without_command=True
)
@click.version_option(__version__, prog_name="phi3v-train")
@click.option("--config", type=click.Path(path_type=Path), help="A TOML file of these options; flags win over it.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(context: click.Context, /, config: Path | None, debug: bool, **flags: Any) -> None:
    """Fine-tune Phi-3.5-vision on a dataset of phi3v-data.

    \b
    phi3v-train --data_dir DATA --output_dir OUT ...                              one device
    torchrun --nproc_per_node=8 -m phi3v_train --data_dir DATA --output_dir OUT ...    eight

    Give the same command again to go on where a run stopped. Long options take both spellings: --data_dir and
    --data-dir.
    """
    given = given_flags(flags)
    if context.invoked_subcommand is not None:
        if given or config:
            name = f"--{next(iter(given), 'config')}"
            raise click.UsageError(
                f"{name} belongs to training, not to {context.invoked_subcommand}: give it after that"
            )
        return
    if not given and config is None:
        click.echo(context.get_help())
        raise click.exceptions.Exit(2)
    from phi3v_train.settings import gather_options
    from phi3v_train.train import train

    train(*gather_options(given, config))


def _check_size(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"[0-9]+[KMGT]B", value):
        raise click.BadParameter(f"{value!r} is no size: give a whole number and its unit, such as 200KB or 5GB")
    return value


@cli.command("new-tiny")
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Seed of the weights.")
@click.option(
    "--max_shard_size",
    default="5GB",
    show_default=True,
    callback=_check_size,
    help="Write weights beyond this size into further files.",
)
@click.option("--overwrite", is_flag=True, help="Replace the checkpoint in DIR.")
def new_tiny(directory: Path, seed: int, max_shard_size: str, overwrite: bool) -> None:
    """Write a tiny random checkpoint into the folder DIR.

    It has all that the published one has but its size, so that everything can be tried out without a download.
    """
    with _nothing_written_if_interrupted():
        from phi3v_train.checkpoint_folder import how_to_load
        from phi3v_train.model.tiny import write_tiny
        from phi3v_train.quiet import quieten

        quieten()
        model = write_tiny(directory, seed=seed, max_shard_size=max_shard_size, overwrite=overwrite)
    size = sum(file.stat().st_size for file in directory.iterdir())
    click.echo(f"Wrote {directory}: {model.num_parameters():,} random parameters, {size / 1e6:.1f} MB.")
    click.echo(f"Next: {how_to_load(directory)}")


@cli.command(short_help="Show a record as the model is trained on it, token by token.")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--index", type=int, default=0, show_default=True, help="Number of the record, from 0; -1 is the last.")
@click.option("--split", default="train", show_default=True, help="Split of the record.")
@click.option("--images_dir", type=click.Path(file_okay=False, path_type=Path), help="Images folder.")
@click.option("--model_name_or_path", default=_default("model_name_or_path"), show_default=True, help="Checkpoint.")
@click.option("--num_crops", type=click.IntRange(1, 64), default=_default("num_crops"), show_default=True)
@click.option("--ids", is_flag=True, help="One token a line, with its id and its label.")
def show(
    data: Path, index: int, split: str, images_dir: Path | None, model_name_or_path: str, num_crops: int, ids: bool
) -> None:
    """Show a record of DATA as the model is trained on it, token by token."""
    from rich.console import Console

    from phi3v_train.pretrained import load_processor
    from phi3v_train.quiet import quieten
    from phi3v_train.show import show as print_record

    quieten()
    processor = load_processor(model_name_or_path, num_crops)
    print_record(
        data,
        index,
        split=split,
        images_dir=images_dir,
        processor=processor,
        num_crops=num_crops,
        console=Console(),
        ids=ids,
    )


@contextmanager
def _nothing_written_if_interrupted() -> Iterator[None]:
    """Say so on an interruption that came before any writing; the writing itself says how far it came."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and not getattr(error, "__notes__", None):
            error.add_note("Nothing was written: run the same command again.")
        raise


def main() -> NoReturn:
    """Run the command line and exit."""
    run_program(cli, "phi3v-train")


if __name__ == "__main__":
    main()
