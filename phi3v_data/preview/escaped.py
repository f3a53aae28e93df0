"""JSON that stands in HTML: whatever the data hold, a parser of HTML finds no mark in it."""

from __future__ import annotations

import json

__all__ = ["cut_to", "escaped", "escaped_size"]

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_MARKS = [(char, f"\\u{ord(char):04x}") for char in "<>&\u2028\u2029"]


def escaped(value: object) -> str:
    """Return a value as JSON without the characters that HTML, or a script, reads as marks."""
    text = _ENCODER.encode(value)
    for mark, code in _MARKS:  # beyond ASCII, str.translate takes many times as long
        text = text.replace(mark, code)
    return text


def escaped_size(value: object) -> int:
    """Return the bytes of UTF-8 that `escaped` takes."""
    return len(escaped(value).encode())


def cut_to(text: str, size: int) -> str:
    """Return as much of the beginning of a text as takes no more bytes than `size`, its quotation marks included."""
    low, high = 0, min(len(text), max(0, size))  # every character takes a byte at least
    while low < high:
        middle = (low + high + 1) // 2
        if escaped_size(text[:middle]) <= size:
            low = middle
        else:
            high = middle - 1
    return text[:low]
