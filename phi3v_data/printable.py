"""Text from outside, as a terminal may show it: names, keys and answers come from the data or from a model."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str) -> str:
    """Escape what could move the cursor or hide in a terminal, as Python writes it in a string."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
