"""One line mended by itself: what changes is cut into its bytes, and all else stays as it was written."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Any, NamedTuple

from phi3v_data.mend.scan import Edit, apply, pairs_of, scan
from phi3v_data.validate.decode import BOM, try_record
from phi3v_data.validate.glance import glance
from phi3v_data.validate.keys import quotes_in
from phi3v_data.validate.rule import pointer_to
from phi3v_data.validate.schema import LARGE, read_record

if TYPE_CHECKING:
    from phi3v_schemas import Record

__all__ = ["BLANK", "CODES", "Change", "MendedLine", "mend_line"]

BLANK = "blank-line"

CODES = {
    "byte-order-mark": "E103",
    BLANK: "W104",
    "carriage-return": None,
    "duplicate-key": "E120",
    "final-newline": None,
    "id-form": "W208",
}
"""Every kind of change, and the code of the finding that it undoes; None where the validator does not mind."""


class Change(NamedTuple):
    """What was changed in a line."""

    kind: str
    pointer: str = ""
    """JSON pointer to the value; "" for the line."""
    before: str | int | None = None
    """Of an id, the id as it was; of a key, how many times it stood there; else None."""
    after: str | int | None = None


class MendedLine(NamedTuple):
    """A line after all changes."""

    data: bytes
    """Without its newline; empty where the line was blank and is to be left out."""
    changes: list[Change]


def mend_line(data: bytes, *, is_first: bool, is_ended: bool) -> MendedLine | None:
    """Mend a line.

    Args:
        data: The line without its newline.
        is_first: Whether it is the first of its file.
        is_ended: Whether a newline follows.

    Returns:
        The line, or None where it holds no record, so that nobody knows what a change would lose.
    """
    changes: list[Change] = []
    if is_first and data.startswith(BOM):
        data = data[len(BOM) :]
        changes.append(Change("byte-order-mark"))
    if not data or data.isspace():
        return MendedLine(b"", [*changes, Change(BLANK)])
    record = read_record(data)[0] if len(data) >= LARGE else try_record(data)
    if record is None or data.startswith(BOM):
        return None
    if data.endswith(b"\r"):
        data = data.rstrip(b"\r")
        changes.append(Change("carriage-return"))
    data, inner = _mend_record(data, record)
    changes += inner
    if not is_ended:
        changes.append(Change("final-newline"))
    return MendedLine(data, changes)


def _mend_record(data: bytes, record: Record) -> tuple[bytes, list[Change]]:
    """Take out repeated keys that agree, and write the id in NFC; nearly no record needs either."""
    quotes = quotes_in(data) if b"\\" in data else data.count(b'"')
    is_plain = unicodedata.is_normalized("NFC", record.id)
    if is_plain and quotes == 2 * glance(record)[0]:
        return data, []
    found = scan(data)
    edits = list(found.edits)
    changes = [Change("duplicate-key", pointer_to(one.path), one.times, 1) for one in found.repeated]
    ids = [value for key, value in found.value if key == "id"]
    expected = found.value
    if not is_plain and len(ids) == 1:
        after = unicodedata.normalize("NFC", record.id)
        start, end = found.places["id"]
        edits.append(Edit(start, end, json.dumps(after, ensure_ascii=data[start:end].isascii()).encode()))
        changes.append(Change("id-form", "/id", record.id, after))
        expected = tuple((key, after if key == "id" else value) for key, value in expected)
    mended = apply(data, edits)
    assert _agreed(pairs_of(data)) == found.value and pairs_of(mended) == expected, "a change would lose something"
    return mended, changes


def _agreed(value: Any) -> Any:
    """Return a value of `pairs_of` with each key once that stands more than once with the same value."""
    if isinstance(value, list):
        return [_agreed(item) for item in value]
    if not isinstance(value, tuple):
        return value
    pairs = [(key, _agreed(inner)) for key, inner in value]
    first: dict[str, Any] = {}
    differing = {key for key, inner in pairs if first.setdefault(key, inner) != inner}
    kept: list[tuple[str, Any]] = []
    seen: set[str] = set()
    for key, inner in pairs:
        if key in differing or key not in seen:
            kept.append((key, inner))
        seen.add(key)
    return tuple(kept)
