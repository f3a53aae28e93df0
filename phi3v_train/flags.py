"""The command-line flags of a training run, listed by section."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from phi3v_train.options import TrainOptions
from phi3v_train.together import speak_in_turn

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SectionedGroup", "given_flags"]


class SectionedGroup(click.Group):
    """A group whose own options, those of a run, are listed by section; of several processes one reports errors."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the command line."""
        with speak_in_turn():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Do what it says."""
        with speak_in_turn():
            return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands, then the options of each section."""
        self.format_commands(ctx, formatter)
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if (line := parameter.get_help_record(ctx)) is not None:
                sections.setdefault(_section(parameter), []).append(line)
        for title, lines in sections.items():
            with formatter.section(title):
                formatter.write_dl(lines)


def given_flags(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the flags that were given, lists as lists."""
    given = {name: value for name, value in values.items() if value is not None and value != ()}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}


def _section(parameter: click.Parameter) -> str:
    field = TrainOptions.model_fields.get(parameter.name or "")
    extra = field.json_schema_extra if field else None
    return str(extra["section"]) if isinstance(extra, dict) else "Options"
