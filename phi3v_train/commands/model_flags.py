"""The flags that say which model answers and how it is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["model_flags"]

Command = TypeVar("Command", bound="Callable[..., object]")

_FLAGS = (
    click.option("--base", metavar="MODEL", help="Model to put an adapter on, instead of the one it names."),
    click.option(
        "--precision",
        type=click.Choice(["auto", "bf16", "fp16", "fp32"]),
        default="auto",
        show_default=True,
        help="auto: bf16 where the GPU has it, else fp16; fp32 on a CPU.",
    ),
    click.option(
        "--attention",
        type=click.Choice(["auto", "sdpa", "flash", "eager"]),
        default="auto",
        show_default=True,
        help="auto: sdpa. flash needs the package flash-attn.",
    ),
    click.option(
        "--quantization",
        type=click.Choice(["auto", "none", "nf4"]),
        default="auto",
        show_default=True,
        help="nf4 keeps the base in 4 bits; auto: as it was trained.",
    ),
)


def model_flags(command: Command) -> Command:
    """Give a command the parameters `base`, `precision`, `attention` and `quantization`."""
    for flag in reversed(_FLAGS):
        command = flag(command)
    return command
