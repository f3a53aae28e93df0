"""The name that was meant, where a folder holds it in other case or with accents written otherwise."""

from __future__ import annotations

import os
from itertools import islice
from unicodedata import normalize

__all__ = ["NearNames"]

_MOST_NAMES = 200_000


class NearNames:
    """Finds paths below a folder by what a person reads in them.

    Args:
        folder: The folder. Its own folders are listed as they are asked for, until many names have been read.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._listed: dict[str, dict[str, str]] = {}
        self._left = _MOST_NAMES

    def find(self, path: str) -> str | None:
        """Return the path that differs from one, which is not there, in case or accents alone; None if none is known.

        Args:
            path: A safe path, with '/'.
        """
        found = ""
        for name in path.split("/"):
            actual = self._names(found).get(_key(name))
            if actual is None:
                return None
            found = f"{found}/{actual}" if found else actual
        return None if found == path else found

    def _names(self, below: str) -> dict[str, str]:
        """Return the names in a folder by their keys."""
        if below not in self._listed and self._left > 0:
            try:
                with os.scandir(os.path.join(self._folder, below)) as entries:  # noqa: PTH118
                    names = [entry.name for entry in islice(entries, self._left)]
            except OSError:
                names = []
            self._left -= len(names) + 1
            self._listed[below] = {_key(name): name for name in names}
        return self._listed.get(below, {})


def _key(name: str) -> str:
    return normalize("NFC", name).casefold()
