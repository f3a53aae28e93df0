"""The command `phi3v-train show`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from phi3v_train.options import TrainOptions

__all__ = ["show"]


def _default(name: str) -> Any:
    return TrainOptions.model_fields[name].default


@click.command(short_help="Show a record as the model is trained on it, token by token.")
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
