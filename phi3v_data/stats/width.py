"""How wide text from the data is where every character takes one column or two, and what fits."""

from __future__ import annotations

import unicodedata
from itertools import accumulate

from phi3v_data.printable import printable

__all__ = ["columns_of", "cut", "left", "right"]

_LEFT_TO_RIGHT = "\u200e"  # takes no column, and keeps what follows a right-to-left text where it belongs


def columns_of(text: str) -> int:
    """Return how many columns a text takes: wide characters two, accents none."""
    return sum(map(_columns, text))


def cut(text: str, columns: int) -> str:
    """Return a text, made printable, in so many columns at most, with an ellipsis where something is missing."""
    text = printable(text)
    if columns_of(text) <= columns:
        return text
    return text[: sum(end < columns for end in accumulate(map(_columns, text)))] + "…"


def left(text: str, columns: int) -> str:
    """Return `cut` at the left of so many columns."""
    text = cut(text, columns)
    mark = _LEFT_TO_RIGHT if any(unicodedata.bidirectional(char) in {"R", "AL"} for char in text) else ""
    return text + mark + " " * (columns - columns_of(text))


def right(text: str, columns: int) -> str:
    """Return `cut` at the right of so many columns."""
    text = cut(text, columns)
    return " " * (columns - columns_of(text)) + text


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
