"""Where the keys and values of a line of JSON stand in its bytes, so that a few can be cut out and the rest stay."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Edit", "Repeated", "Scan", "apply", "pairs_of", "scan"]

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_SCALAR = re.compile(rb"[^\s,\]}]+")
_SPACE = re.compile(rb"[ \t\n\r]*")
_WORDS = {b"true": True, b"false": False, b"null": None}


class Edit(NamedTuple):
    """Bytes from `start` up to `end` that give way to others."""

    start: int
    end: int
    new: bytes = b""


class Repeated(NamedTuple):
    """A key that stands so many times in one object, always with the same value."""

    path: tuple[str | int, ...]
    """The keys and indices that lead to it, its own at the end."""
    times: int


@dataclass
class Scan:
    """A value in a text.

    Args:
        value: The value as `pairs_of` has it, without what the edits take away.
        end: Where its bytes end.
        edits: What takes out keys that stand more than once with the same value, in order.
        repeated: Those keys.
        places: Of an object, start and end of the first value of each key.
    """

    value: Any
    end: int
    edits: list[Edit] = field(default_factory=list)
    repeated: list[Repeated] = field(default_factory=list)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)


def apply(data: bytes, edits: list[Edit]) -> bytes:
    """Return a text after edits that do not overlap, in any order."""
    parts, at = [], 0
    for edit in sorted(edits):
        parts += [data[at : edit.start], edit.new]
        at = edit.end
    return b"".join([*parts, data[at:]])


def pairs_of(data: bytes) -> Any:
    """Decode JSON and lose nothing: an object is a tuple of all its pairs, a number the bytes that spell it."""
    return json.loads(
        data, object_pairs_hook=tuple, parse_int=str.encode, parse_float=str.encode, parse_constant=str.encode
    )


def scan(data: bytes, start: int = 0, path: tuple[str | int, ...] = ()) -> Scan:
    """Find out where things stand in a text.

    Args:
        data: Valid JSON, no deeper than a record may be.
        start: Where the value begins, or white space before it.
        path: What leads to it.
    """
    start = _skip(data, start)
    match data[start : start + 1]:
        case b"{":
            return _object(data, start, path)
        case b"[":
            return _array(data, start, path)
        case b'"':
            end = _end(_STRING, data, start)
            return Scan(json.loads(data[start:end]), end)
    end = _end(_SCALAR, data, start)
    text = data[start:end]
    return Scan(_WORDS.get(text, text), end)


@dataclass
class _Member:
    key: str
    start: int
    """Where what may be cut begins: behind the member before, its comma included."""
    value_start: int
    scan: Scan


def _object(data: bytes, start: int, path: tuple[str | int, ...]) -> Scan:
    members: list[_Member] = []

    def read(at: int, before: int) -> int:
        behind = _end(_STRING, data, at)
        key = json.loads(data[at:behind])
        value = _skip(data, _skip(data, behind) + 1)
        members.append(_Member(key, before, value, scan(data, value, (*path, key))))
        return members[-1].scan.end

    found = Scan(None, _items(data, start, read))
    held: dict[str, list[_Member]] = {}
    for member in members:
        held.setdefault(member.key, []).append(member)
    agreed = {key for key, ones in held.items() if all(one.scan.value == ones[0].scan.value for one in ones)}
    kept: list[_Member] = []
    for member in members:
        if member.key in agreed and member is not held[member.key][0]:
            found.edits.append(Edit(member.start, member.scan.end))
            continue
        kept.append(member)
        found.edits += member.scan.edits
        found.repeated += member.scan.repeated
    times = {key: len(ones) for key, ones in held.items() if key in agreed and len(ones) > 1}
    found.repeated += [Repeated((*path, key), count) for key, count in times.items()]
    found.value = tuple((member.key, member.scan.value) for member in kept)
    found.places = {key: (ones[0].value_start, ones[0].scan.end) for key, ones in held.items()}
    return found


def _array(data: bytes, start: int, path: tuple[str | int, ...]) -> Scan:
    items: list[Scan] = []

    def read(at: int, before: int) -> int:
        items.append(scan(data, at, (*path, len(items))))
        return items[-1].end

    end = _items(data, start, read)
    edits = [edit for item in items for edit in item.edits]
    return Scan([item.value for item in items], end, edits, [one for item in items for one in item.repeated])


def _items(data: bytes, start: int, read: Callable[[int, int], int]) -> int:
    """Call `read` where each item of a container begins, with the end of the one before; return where all ends."""
    before = start + 1
    at = _skip(data, before)
    while data[at : at + 1] not in (b"}", b"]"):
        before = read(at, before)
        at = _skip(data, before)
        if data[at : at + 1] == b",":
            at = _skip(data, at + 1)
    return at + 1


def _skip(data: bytes, at: int) -> int:
    return _end(_SPACE, data, at)


def _end(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    match = pattern.match(data, at)
    if match is None:
        raise ValueError(f"no JSON at byte {at}")
    return match.end()
