"""The command `phi3v-train`: thin commands over the trainer, which is imported only when one of them runs."""

from __future__ import annotations

import re
import shlex
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from phi3v_data import __version__
from phi3v_data.program import BOTH_SPELLINGS, run_program

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cli", "main"]


@click.group(context_settings=BOTH_SPELLINGS)
@click.version_option(__version__, prog_name="phi3v-train")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Fine-tune Phi-3.5-vision on a dataset of phi3v-data.

    Long options take both spellings: --max_shard_size and --max-shard-size.
    """


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
        from phi3v_train.model.tiny import write_tiny

        _hide_progress_bars_from_files()
        model = write_tiny(directory, seed=seed, max_shard_size=max_shard_size, overwrite=overwrite)
    size = sum(file.stat().st_size for file in directory.iterdir())
    code = (
        "import phi3v_train.model, transformers; "
        f"print(transformers.AutoModelForCausalLM.from_pretrained({str(directory)!r}))"
    )
    click.echo(f"Wrote {directory}: {model.num_parameters():,} random parameters, {size / 1e6:.1f} MB.")
    click.echo(f"Next: python -c {shlex.quote(code)}")


@contextmanager
def _nothing_written_if_interrupted() -> Iterator[None]:
    """Say so on an interruption that came before any writing; the writing itself says how far it came."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and not getattr(error, "__notes__", None):
            error.add_note("Nothing was written: run the same command again.")
        raise


def _hide_progress_bars_from_files() -> None:
    """Keep the bars of transformers out of a stderr that no person looks at."""
    from transformers.utils import logging

    if not sys.stderr.isatty():
        logging.disable_progress_bar()


def main() -> NoReturn:
    """Run the command line and exit."""
    run_program(cli, "phi3v-train")


if __name__ == "__main__":
    main()
