"""A line held against the schema: the record in it, or everything that is wrong with it."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from phi3v_data.validate.decode import decode
from phi3v_data.validate.excerpt import MOST_FAULTS, excerpt
from phi3v_data.validate.fields import field_problems
from phi3v_data.validate.foreign import foreign_problem
from phi3v_data.validate.undecodable import json_problem
from phi3v_schemas import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from phi3v_data.validate.rule import Problem

__all__ = ["LARGE", "problems_of", "read_record"]

_MOST = 20
"""Problems of one line that are told."""
LARGE = 1 << 18
"""Bytes from which a line is looked through before it is decoded: a full list of its faults may be far longer still."""

_decode_value: Callable[[Any], Record] = TypeAdapter(Record).validator.validate_python

_WITHOUT_VALUE = {  # kinds of errors whose message names no value at fault, which may be the whole line
    "json_invalid",
    "missing",
    "extra_forbidden",
    "too_short",
    "string_too_short",
    "assistant_missing",
}


def read_record(data: bytes, *, ended: bool = True) -> tuple[Record | None, list[Problem]]:
    """Decode one line and hold it against the schema.

    Args:
        data: The line; it may end in white space.
        ended: Whether a newline follows; without one the file ends here.

    Returns:
        The record and no problem, or None and what is wrong with the line.
    """
    try:
        return _decode(data), []
    except ValidationError as error:
        return None, problems_of(data, error, ended=ended)
    except ValueError as error:
        return None, [json_problem(data, str(error), ended=ended)]


def problems_of(data: bytes, error: ValidationError, *, ended: bool = True) -> list[Problem]:
    """Say in our words why a line could not be decoded.

    Args:
        data: The line.
        error: What the decoder raised.
        ended: As `read_record`.
    """
    details = error.errors(include_url=False, include_input=False)
    kinds = {detail["type"] for detail in details}
    if "json_invalid" in kinds:
        return [json_problem(data, details[0]["ctx"]["error"], ended=ended)]
    if not kinds <= _WITHOUT_VALUE:
        details = error.errors(include_url=False)
    if "extra_forbidden" in kinds and (foreign := _foreign(details)) is not None:
        return [foreign]
    return _first(details)


def _decode(data: bytes) -> Record:
    """Decode a line; of a large one that is full of faults, only as much as shows the first of them."""
    if len(data) < LARGE:
        return decode(data)
    if (part := excerpt(from_json(data))) is not None:
        _decode_value(part)
    return decode(data)


def _foreign(details: Sequence[Mapping[str, Any]]) -> Problem | None:
    """Return the problem of a record in another tool's format, known by the fields that this format does not have."""
    record, turn = set[str](), set[str]()
    for detail in details:
        if detail["type"] == "extra_forbidden":
            (record if len(detail["loc"]) == 1 else turn).add(detail["loc"][-1])
    has_turns = not any(detail["type"] == "missing" and detail["loc"] == ("conversations",) for detail in details)
    return foreign_problem(record, turn if has_turns else None)


def _first(details: Sequence[Mapping[str, Any]]) -> list[Problem]:
    """Return the first problems; the last of them says how many there are besides."""
    problems = list(islice(chain.from_iterable(map(field_problems, details)), _MOST))
    if left := _count(details) - len(problems):
        more = f"{left:,}" if left < MOST_FAULTS // 2 else f"over {MOST_FAULTS // 2}"
        problems[-1] = problems[-1]._replace(message=f"{problems[-1].message} (and {more} more faults in this line)")
    return problems


def _count(details: Sequence[Mapping[str, Any]]) -> int:
    if details[0]["type"] == "assistant_missing":
        return len(details[0]["ctx"]["unanswered"])
    return len(details)
