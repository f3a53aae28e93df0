"""The command `phi3v-train merge`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from phi3v_train.commands.interruption import nothing_written_if_interrupted
from phi3v_train.commands.sizes import max_shard_size

__all__ = ["merge"]


@click.command(short_help="Merge an adapter into its base, to a checkpoint that loads without PEFT.")
@click.argument("adapter")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--base", help="The model to put the adapter on, instead of the one it names.")
@click.option(
    "--quantization",
    type=click.Choice(["auto", "none", "nf4"]),
    default="auto",
    show_default=True,
    help="nf4 quantises the base to 4 bits and back first, as QLoRA saw it; auto: as it was trained.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "bf16", "fp16", "fp32"]),
    default="auto",
    show_default=True,
    help="Precision of the weights written; auto: the base's.",
)
@max_shard_size
@click.option("--overwrite", is_flag=True, help="Replace the checkpoint in OUT.")
def merge(adapter: str, out: Path, overwrite: bool, **options: Any) -> None:
    """Merge the adapter in the folder ADAPTER into its base, and write the whole model into the folder OUT.

    ADAPTER is the folder of a run with LoRA or QLoRA, its final, or one of its checkpoints. What is written loads
    without PEFT. It counts only once it gives the logits of the base with the adapter on it.
    """
    with nothing_written_if_interrupted():
        import phi3v_train.model  # noqa: F401  # which says how to install what is missing
        from phi3v_train.checkpoint_folder import how_to_load
        from phi3v_train.merge import merge_adapter
        from phi3v_train.quiet import quieten

        quieten()
        merged = merge_adapter(adapter, out, overwrite=overwrite, **options)
    size = sum(file.stat().st_size for file in out.iterdir())
    click.echo(f"Merged {merged}.")
    click.echo(f"Wrote {out}: {merged.precision}, {size / 1e6:,.1f} MB.")
    click.echo(f"Logits agree: {merged.agreement}.")
    click.echo(f"Next: {how_to_load(out)}")
