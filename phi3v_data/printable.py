"""What is shown to a person: texts from outside, made safe for a terminal or a message, and counts in words."""

from __future__ import annotations

__all__ = ["counted", "printable", "quote", "unicode_of"]

_LONGEST_QUOTE = 80


def printable(text: str) -> str:
    """Escape what could move the cursor or hide in a terminal, as Python writes it in a string."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def unicode_of(text: str) -> str:
    """Return a text with what is no Unicode escaped: the name of a file need not be UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def quote(value: object) -> str:
    """Return a value from the data as it may stand in a message: escaped, and cut where it is long."""
    if isinstance(value, str | bytes) and len(value) > _LONGEST_QUOTE:
        value = value[:_LONGEST_QUOTE]
        return f"{value!r}…"
    text = repr(value)
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"


def counted(count: int, noun: str) -> str:
    """Return a number and what it counts: "1 file", "1,200 files"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
