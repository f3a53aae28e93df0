"""Command-line flags from a converter's options model, and the model back from the flags."""

from __future__ import annotations

import types
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import click
from pydantic import ValidationError

from phi3v_schemas import OutputInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

    from phi3v_data.convert.converter import Options
    from phi3v_data.formats.kinds import Format

__all__ = ["flags_of", "options_from", "output_from"]

_METAVARS = {int: "INTEGER", float: "NUMBER", str: "TEXT", Path: "PATH"}


def flags_of(model: type[BaseModel]) -> list[click.Option]:
    """Return one flag per field of an options model, with its description and default; a list's may be repeated.

    The value of a flag that was not given is None, and of a list's the empty tuple.
    """
    return [_flag(name, field) for name, field in model.model_fields.items()]


def _flag(name: str, field: FieldInfo) -> click.Option:
    kind = _without_none(field.annotation)
    text = " ".join(part for part in (field.description, _shown_default(field)) if part)
    if kind is bool:
        spelling = f"--{name}" if name.startswith("no_") else f"--{name}/--no_{name}"
        return click.Option([spelling], is_flag=True, default=None, help=text)
    if get_origin(kind) is Literal:
        return click.Option([f"--{name}"], type=click.Choice([str(value) for value in get_args(kind)]), help=text)
    is_list = get_origin(kind) is list
    metavar = _METAVARS.get(_element(kind) if is_list else kind, "TEXT")
    return click.Option([f"--{name}"], multiple=is_list, metavar=metavar, help=text)


def _element(kind: Any) -> Any:
    """Return X of `list[X]`, without what limits it."""
    (element,) = get_args(kind)
    return get_args(element)[0] if get_origin(element) is Annotated else element


def _without_none(annotation: Any) -> Any:
    """Return X of `X | None`, and any other annotation as it is."""
    if get_origin(annotation) in (Union, types.UnionType):
        kept = [part for part in get_args(annotation) if part is not types.NoneType]
        return kept[0] if len(kept) == 1 else annotation
    return annotation


def _shown_default(field: FieldInfo) -> str:
    if field.is_required():
        return "[required]"
    says_so = "default:" in (field.description or "").lower()
    if says_so or field.default_factory or field.default is False or field.default in (None, "", []):
        return ""
    shown = str(field.default).replace("\n", "\\n")
    return f"[default: {shown}]"


def options_from(model: type[Options], given: Mapping[str, Any]) -> Options:
    """Validate the flags that were given.

    Raises:
        click.UsageError: A value does not fit; the message names the flag.
    """
    set_ones = {name: value for name, value in given.items() if value not in (None, ())}
    values = {name: _literal(model.model_fields[name], value) for name, value in set_ones.items()}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise click.UsageError(_sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    """Return what is wrong with the first flag at fault."""
    first = error.errors(include_url=False)[0]
    says = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:  # a rule about several flags: its author words it
        return says
    if first["type"] == "missing":
        return f"missing option --{first['loc'][0]}"
    return f"--{first['loc'][0]}: {says[:1].lower()}{says[1:]} (given: {first['input']!r})"


def _literal(field: FieldInfo, value: Any) -> Any:
    """Return the member of a Literal whose text was chosen on the command line."""
    kind = _without_none(field.annotation)
    if get_origin(kind) is Literal:
        return next(member for member in get_args(kind) if str(member) == value)
    return value


def output_from(output: Format, shard_records: int | None, shard_mb: int | None) -> OutputInfo | None:
    """Return what the flags of a run ask for; None for one JSONL file a split."""
    if output == "jsonl" and shard_records is shard_mb is None:
        return None
    return OutputInfo(format=output, shard_records=shard_records, shard_mb=shard_mb)
