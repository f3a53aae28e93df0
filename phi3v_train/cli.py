"""The command `phi3v-train`: thin commands over the trainer, which is imported only when one of them runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import click

from phi3v_data import __version__
from phi3v_data.convert.flags import flags_of
from phi3v_data.program import BOTH_SPELLINGS, run_program
from phi3v_train.commands.eval import evaluate
from phi3v_train.commands.generate import generate
from phi3v_train.commands.merge import merge
from phi3v_train.commands.new_tiny import new_tiny
from phi3v_train.commands.show import show
from phi3v_train.flags import SectionedGroup, given_flags
from phi3v_train.options import TrainOptions
from phi3v_train.quiet import quieten_imports

__all__ = ["cli", "main"]


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


for _command in (evaluate, generate, merge, new_tiny, show):
    cli.add_command(_command)


def main() -> NoReturn:
    """Run the command line and exit."""
    quieten_imports()
    run_program(cli, "phi3v-train")


if __name__ == "__main__":
    main()
