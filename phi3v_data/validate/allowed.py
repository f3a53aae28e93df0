"""What may be in several splits of a dataset, such as images that are there on purpose: a list in a text file."""

from __future__ import annotations

import re
from fnmatch import translate
from typing import TYPE_CHECKING

from phi3v_data.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from phi3v_schemas import Record

__all__ = ["Allowed", "read_allowed"]

_MAGIC = re.compile(r"[*?[]")


class Allowed:
    """Images, groups and ids that may be in several splits.

    Args:
        lines: An image path, a group or an id each, or a pattern with `*`, `?` or `[...]` for them.
    """

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self._names: set[str] = set()
        self._patterns: list[re.Pattern[str]] = []
        for line in lines:
            self._names.add(line)
            if _MAGIC.search(line):
                self._patterns.append(re.compile(translate(line)))

    def __bool__(self) -> bool:
        return bool(self._names)

    def allows(self, record: Record, *names: str) -> bool:
        """Return whether one of some names, or a record's id or group, is listed."""
        return bool(self._names) and any(map(self._lists, (*names, record.id, record.group or "")))

    def _lists(self, name: str) -> bool:
        return name in self._names or any(pattern.match(name) for pattern in self._patterns)


def read_allowed(path: Path) -> Allowed:
    """Read a list: one name or pattern a line; empty lines and those that begin with '#' say nothing.

    Raises:
        UsageError: The file cannot be read, or is no text in UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(
            f"cannot read the list of allowed leaks {path} ({error.strerror or error}): name a text file"
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"the list of allowed leaks {path} is no text in UTF-8: save it as such") from None
    lines = (line.strip() for line in text.split("\n"))
    return Allowed(line for line in lines if line and not line.startswith("#"))
