"""Sizes of files on the command line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["max_shard_size"]


def _check_size(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"[0-9]+[KMGT]B", value):
        raise click.BadParameter(f"{value!r} is no size: give a whole number and its unit, such as 200KB or 5GB")
    return value


def max_shard_size(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option `--max_shard_size` to a command."""
    return click.option(
        "--max_shard_size",
        default="5GB",
        show_default=True,
        callback=_check_size,
        help="Write weights beyond this size into further files.",
    )(command)
