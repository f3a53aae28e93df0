"""E1xx, keys that stand twice in one object: every decoder keeps the last of them, and none says so.

They are found by counting quotes. In JSON a quote that no backslash escapes begins or ends a string, so a text has
twice as many of them as it has strings, keys and values together (RFC 8259, section 7). A record has no unknown fields,
so its strings can be counted in what was decoded (`glance`). A key that stood twice is there once, and the value that
was lost is not there at all: then the text has more quotes than the record accounts for, and never fewer. Only then the
text is decoded once more, with every pair kept.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from phi3v_data.printable import quote
from phi3v_data.validate.rule import Problem, Rule, pointer_to

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DuplicateKey", "duplicate_keys", "quotes_in"]

_QUOTE, _BACKSLASH = b'"\\'
_MOST = 20  # of one line


class DuplicateKey(Rule):
    """An object has the same key twice."""

    code = "E120"
    slug = "duplicate-key"
    message = "the key {key} stands {times} times in one object{agreement}"
    hint = "Readers keep the last and drop the others without a word: keep the one that is meant."
    bad = '{"id": "a", "id": "b", "source": "s", "conversations": [{"user": "Hi?", "assistant": "Hello."}]}'
    good = '{"id": "b", "source": "s", "conversations": [{"user": "Hi?", "assistant": "Hello."}]}'


def quotes_in(data: bytes) -> int:
    """Count the quotes in valid JSON that no backslash escapes."""
    characters = np.frombuffer(data, np.uint8)
    quotes = int(np.count_nonzero(characters == _QUOTE))
    return quotes - _escaped_quotes(characters) if _BACKSLASH in data else quotes


def _escaped_quotes(characters: np.ndarray[Any, np.dtype[np.uint8]]) -> int:
    """Count the quotes behind an odd number of backslashes."""
    backslashes = np.flatnonzero(characters == _BACKSLASH)
    begins = np.concatenate(([True], np.diff(backslashes) != 1))  # of a run of backslashes
    run_start = np.maximum.accumulate(np.where(begins, backslashes, 0))
    escaping = backslashes[((backslashes - run_start) % 2 == 0) & (backslashes + 1 < len(characters))]
    return int(np.count_nonzero(characters[escaping + 1] == _QUOTE))


def duplicate_keys(data: bytes) -> list[Problem]:
    """Return the problem of each key that stands more than once in an object of a line that is a record.

    Args:
        data: The line.
    """
    whole = json.loads(data, object_pairs_hook=_Pairs, parse_int=str, parse_float=str, parse_constant=str)
    return [problem for _, problem in zip(range(_MOST), _find("", whole), strict=False)]


class _Pairs(list[tuple[str, Any]]):
    """The pairs of an object, as they are written."""


def _find(pointer: str, value: Any) -> Iterator[Problem]:
    if isinstance(value, _Pairs):
        yield from _repeated(pointer, value)
        for key, inner in value:
            yield from _find(pointer + pointer_to([key]), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _find(f"{pointer}/{index}", inner)


def _repeated(pointer: str, pairs: _Pairs) -> Iterator[Problem]:
    values: dict[str, list[Any]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    for key, held in values.items():
        if len(held) > 1:
            agreement = ", always with the same value" if all(one == held[0] for one in held) else ""
            yield DuplicateKey.problem(
                pointer=pointer + pointer_to([key]), key=quote(key), times=len(held), agreement=agreement
            )
