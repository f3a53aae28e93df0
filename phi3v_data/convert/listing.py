"""The command `converters`: every installed converter, where it comes from, and what it can be told."""

from __future__ import annotations

import json
import shutil
import sys
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, replace
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import click
from pydantic_core import to_jsonable_python

from phi3v_data.convert.flags import flags_of
from phi3v_data.convert.registry import ENTRY_POINT_GROUP, PLUGIN_FAULTS, describe, load_entry_point
from phi3v_data.errors import CannotRun

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from pydantic.fields import FieldInfo

    from phi3v_data.convert.converter import Converter

__all__ = ["ListedConverter", "ListedOption", "list_converters", "render_json", "render_text"]

_OURS = "phi3v-data"
_WIDEST = 100


@dataclass(frozen=True, slots=True)
class ListedOption:
    """An option of a converter.

    Args:
        name: Its name, which is its flag's.
        type: "text", "integer", "number", "boolean", "path", the choices as "a|b", or "list of …".
        default: Its default as JSON; None where it has none, or that is the default.
        required: Whether it has to be given.
        description: As its author words it.
        flag: As the command line takes it, such as "--prefix TEXT".
        help: The description and the default, as `--help` shows them.
    """

    name: str
    type: str
    default: Any
    required: bool
    description: str
    flag: str
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedConverter:
    """An installed converter.

    Args:
        name: Its name on the command line.
        package: The distribution that brings it; None where that is not known.
        package_version: Of the distribution.
        built_in: Whether that is this one.
        reference: Where the class is, as module:Class.
        version: Of the converter.
        description: The first line of its docstring.
        default_source: What is converted without a source.
        options: Its options, in its order.
        problem: Why it cannot be used; None where it can.
    """

    name: str
    package: str | None
    package_version: str | None
    built_in: bool
    reference: str
    version: str | None = None
    description: str = ""
    default_source: str | None = None
    options: tuple[ListedOption, ...] = ()
    problem: str | None = None


def list_converters() -> list[ListedConverter]:
    """Return every installed converter in order of name, those that cannot be used too."""
    points = sorted(
        {(point.name, point.value): point for point in entry_points(group=ENTRY_POINT_GROUP)}.values(),
        key=lambda point: (point.name, point.value),
    )
    names = [point.name for point in points]
    return [_listed(point, is_only=names.count(point.name) == 1) for point in points]


def render_json(converters: list[ListedConverter]) -> None:
    """Print the converters as one JSON document."""
    shown = [asdict(converter) for converter in converters]
    for option in (option for converter in shown for option in converter["options"]):
        del option["flag"], option["help"]
    click.echo(json.dumps({"converters": shown}, indent=2, ensure_ascii=False))


def render_text(converters: list[ListedConverter]) -> None:
    """Print the converters for a person, each with its options in two columns."""
    width = min(_WIDEST, shutil.get_terminal_size((_WIDEST, 24)).columns)
    for converter in converters:
        formatter = click.HelpFormatter(width=width)
        _write(converter, formatter)
        click.echo(formatter.getvalue())


def _listed(point: EntryPoint, *, is_only: bool) -> ListedConverter:
    package = point.dist.name if point.dist else None
    listed = ListedConverter(
        name=point.name,
        package=package,
        package_version=point.dist.version if point.dist else None,
        built_in=package == _OURS,
        reference=point.value,
        problem=None if is_only else "another package offers a converter of this name: uninstall one",
    )
    try:
        with redirect_stdout(sys.stderr):  # what a module prints while it is imported is no part of the list
            return _described(listed, load_entry_point(point))
    except CannotRun as error:
        return replace(listed, problem=str(error))
    except PLUGIN_FAULTS as error:
        return replace(listed, problem=f"its options cannot be listed: {describe(error)}")


def _described(listed: ListedConverter, kind: type[Converter[Any]]) -> ListedConverter:
    """Add what the class says of itself."""
    source, fields = kind.default_source, kind.options_type.model_fields
    return replace(
        listed,
        version=kind.version,
        description=(kind.__doc__ or "").strip().partition("\n")[0],
        default_source=f"hub:{source.repo}" if source else None,
        options=tuple(_option(flag, fields[str(flag.name)]) for flag in flags_of(kind.options_type)),
    )


def _option(flag: click.Option, field: FieldInfo) -> ListedOption:
    shown, says = flag.get_help_record(click.Context(click.Command(""))) or ("", "")
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    return ListedOption(
        name=str(flag.name),
        type=_type(flag),
        default=to_jsonable_python(default, fallback=str),
        required=field.is_required(),
        description=field.description or "",
        flag=shown,
        help=says,
    )


def _type(flag: click.Option) -> str:
    if flag.is_flag:
        return "boolean"
    if isinstance(flag.type, click.Choice):
        return "|".join(map(str, flag.type.choices))
    kind = str(flag.metavar).lower()
    return f"list of {kind}" if flag.multiple else kind


def _write(converter: ListedConverter, formatter: click.HelpFormatter) -> None:
    origin = "built in" if converter.built_in else f"{converter.package} {converter.package_version}"
    version = f" {converter.version}" if converter.version else ""
    formatter.write(f"{converter.name}{version} ({origin})\n")
    with formatter.indentation():
        if converter.problem:
            formatter.write_text(f"Cannot be used: {converter.problem}")
        if converter.description:
            formatter.write_text(converter.description)
        if converter.default_source:
            formatter.write_text(f"Without --source: {converter.default_source}")
        if converter.options:
            formatter.write_dl([(option.flag, option.help) for option in converter.options], col_max=32)
