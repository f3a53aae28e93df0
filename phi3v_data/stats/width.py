"""Text from the data in columns of a terminal: wide characters take two, accents none."""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len, chop_cells

from phi3v_data.printable import printable

__all__ = ["cut", "left", "right"]

_LEFT_TO_RIGHT = "\u200e"  # takes no column, and keeps what follows a right-to-left text where it belongs


def cut(text: str, columns: int) -> str:
    """Return a text, made printable, in so many columns at most, with an ellipsis where something is missing."""
    text = printable(text)
    return text if cell_len(text) <= columns else chop_cells(text, columns - 1)[0] + "…"


def left(text: str, columns: int) -> str:
    """Return `cut` at the left of so many columns."""
    text = cut(text, columns)
    mark = _LEFT_TO_RIGHT if any(unicodedata.bidirectional(char) in {"R", "AL"} for char in text) else ""
    return text + mark + " " * (columns - cell_len(text))


def right(text: str, columns: int) -> str:
    """Return `cut` at the right of so many columns."""
    text = cut(text, columns)
    return " " * (columns - cell_len(text)) + text
