"""Names that come from data: which of them may become a path below a folder."""

from __future__ import annotations

import re

__all__ = ["name_fault"]

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_LONGEST = 240  # bytes; file systems allow 255, and the engine appends a number and a suffix


def name_fault(name: str) -> str | None:
    """Return why a relative path must not be used below a folder, or None when it may.

    The answer is the end of a sentence about the name: "leaves the folder", "holds a backslash".
    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "is not valid UTF-8"
    if "\\" in name:
        return "holds a backslash"
    if name.startswith("/") or name[1:2] == ":":
        return "is absolute"
    if _CONTROL.search(name):
        return "holds a control character"
    parts = name.split("/")
    if ".." in parts:
        return "leaves the folder"
    if "" in parts or "." in parts:
        return "has an empty part"
    if size > _LONGEST and any(len(part.encode()) > _LONGEST for part in parts):
        return f"has a part longer than {_LONGEST} bytes"
    return None
