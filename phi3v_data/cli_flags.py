"""Flags that several commands have; they cost nothing but click to import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FOLDER", "IMAGES_DIR", "NUM_CROPS", "PATH", "TOKENIZER", "WORKERS", "validation_flags"]

FOLDER = click.Path(file_okay=False, path_type=Path)
PATH = click.Path(path_type=Path)

IMAGES_DIR = click.option("--images_dir", type=FOLDER, help="The images folder  [default: images/ beside the JSONL]")
NUM_CROPS = click.option(
    "--num_crops",
    type=click.IntRange(1, 64),
    default=16,
    show_default=True,
    help="Most crops of an image in training; as phi3v-train's.",
)
TOKENIZER = click.option(
    "--tokenizer", type=PATH, metavar="DIR", help="The checkpoint's folder: counts the tokens of text too."
)
WORKERS = click.option("--workers", type=click.IntRange(min=1), help="Worker processes  [default: one per core]")


def validation_flags(images: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds the flags of a validation, with a default for `--images`."""
    flags = (
        click.option(
            "--images",
            type=click.Choice(["none", "exists", "header", "decode"]),
            default=images,
            show_default=True,
            help="How closely to look at images: not at all, that they exist, at header and end, or at every pixel.",
        ),
        IMAGES_DIR,
        click.option(
            "--max_findings",
            type=click.IntRange(min=0),
            default=1000,
            show_default=True,
            help="Findings kept; all are counted. 0 keeps all.",
        ),
        WORKERS,
    )

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for flag in reversed(flags):
            command = flag(command)
        return command

    return add
