"""The command `phi3v-train new-tiny`."""

from __future__ import annotations

from pathlib import Path

import click

from phi3v_train.commands.interruption import nothing_written_if_interrupted
from phi3v_train.commands.sizes import max_shard_size

__all__ = ["new_tiny"]


@click.command("new-tiny")
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Seed of the weights.")
@max_shard_size
@click.option("--overwrite", is_flag=True, help="Replace the checkpoint in DIR.")
def new_tiny(directory: Path, seed: int, max_shard_size: str, overwrite: bool) -> None:
    """Write a tiny random checkpoint into the folder DIR.

    It has all that the published one has but its size, so that everything can be tried out without a download.
    """
    with nothing_written_if_interrupted():
        from phi3v_train.checkpoint_folder import how_to_load
        from phi3v_train.model.tiny import write_tiny
        from phi3v_train.quiet import quieten

        quieten()
        model = write_tiny(directory, seed=seed, max_shard_size=max_shard_size, overwrite=overwrite)
    size = sum(file.stat().st_size for file in directory.iterdir())
    click.echo(f"Wrote {directory}: {model.num_parameters():,} random parameters, {size / 1e6:.1f} MB.")
    click.echo(f"Next: {how_to_load(directory)}")
