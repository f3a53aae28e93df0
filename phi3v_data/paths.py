"""Names that come from data: which of them may become a path below a folder."""

from __future__ import annotations

import unicodedata

__all__ = ["name_fault"]

_LONGEST = 240  # bytes; file systems allow 255, and the engine appends a number and a suffix


def name_fault(name: str) -> str | None:
    """Return why a relative path must not be used below a folder, or None when it may.

    The answer is the end of a sentence about the name: "leaves the folder", "holds a backslash".
    """
    try:
        parts = [(part, len(part.encode())) for part in name.split("/")]
    except UnicodeEncodeError:
        return "is not valid UTF-8"
    if "\\" in name:
        return "holds a backslash"
    if name.startswith("/") or name[1:2] == ":":
        return "is absolute"
    if any(unicodedata.category(character) == "Cc" for character in name):
        return "holds a control character"
    if any(part == ".." for part, _ in parts):
        return "leaves the folder"
    if any(part in ("", ".") for part, _ in parts):
        return "has an empty part"
    if any(size > _LONGEST for _, size in parts):
        return f"has a part longer than {_LONGEST} bytes"
    return None
