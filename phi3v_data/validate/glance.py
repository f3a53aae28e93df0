"""One walk over a record for all that is asked of every value in it: two walks would cost twice as much."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phi3v_schemas import Record

__all__ = ["glance"]

_REQUIRED = 3  # fields of a record


def glance(record: Record) -> tuple[int, bool]:
    """Count the strings in the JSON of a record, and see whether its values are beyond doubt, as nearly all are.

    Returns:
        The strings, keys and values together (a null that was written has a key and no value); and whether the id is
        printable ASCII without spaces, every text begins with a visible character of ASCII, and no number is infinite.
    """
    record_id = record.id
    is_plain = record_id.isascii() and record_id.isprintable() and " " not in record_id
    keys = len(record.__pydantic_fields_set__)
    strings = keys + 2  # the keys, and two values that are always there
    if keys > _REQUIRED:
        if record.group is not None:
            strings += 1
        if (system := record.system) is not None:
            strings += 1
            is_plain &= "!" <= system < "\x7f"
        if (metadata := record.metadata) is not None:
            inside, is_finite = _glance_at(metadata)
            strings += inside
            is_plain &= is_finite
    for turn in record.conversations:
        strings += len(turn.__pydantic_fields_set__) + 1
        if not "!" <= turn.user < "\x7f":
            is_plain = False
        if (answer := turn.assistant) is not None:
            strings += 1
            if not "!" <= answer < "\x7f":
                is_plain = False
        if images := turn.images:
            strings += len(images)
        if answers := turn.answers:
            strings += len(answers)
            for accepted in answers:
                if not "!" <= accepted < "\x7f":
                    is_plain = False
    return strings, is_plain


def _glance_at(container: Any) -> tuple[int, bool]:
    """Count the strings in an object or an array, and see whether all numbers are finite; the decoder bounds depth."""
    strings, is_finite, values = 0, True, container
    if type(container) is dict:
        strings, values = len(container), container.values()
    for value in values:
        kind = type(value)
        if kind is str:
            strings += 1
        elif kind is float:
            if not isfinite(value):
                is_finite = False
        elif kind is list or kind is dict:
            inside, are_finite = _glance_at(value)
            strings += inside
            is_finite &= are_finite
    return strings, is_finite
