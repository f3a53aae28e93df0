"""What the hub said of the wanted files, and the note of it for a run without network."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from phi3v_data.convert import cache as _cache

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Located", "RepoFile", "remember", "remembered"]

_HASH = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class RepoFile:
    """A file, as the hub states it.

    Args:
        name: Its name in the repository.
        etag: Its tag, without quotes: a hash of its bytes, at the hub itself.
        size: In bytes, where stated.
    """

    name: str
    etag: str
    size: int | None

    @property
    def has_hash(self) -> bool:
        """Whether the tag is a hash the bytes can be checked against; a mirror may send anything."""
        return _HASH.fullmatch(self.etag) is not None


@dataclass(frozen=True, slots=True)
class Located:
    """The wanted files of one commit.

    Args:
        commit: The commit.
        licence: As the dataset's card states it.
        pattern: What chose the files; None for one archive.
        files: At least one, sorted by name.
    """

    commit: str
    licence: str | None
    pattern: str | None
    files: tuple[RepoFile, ...]

    @property
    def name(self) -> str:
        """What to call the files below OWNER/NAME."""
        return self.pattern or self.files[0].name

    @property
    def has_hashes(self) -> bool:
        """Whether the bytes of every file can be checked."""
        return all(file.has_hash for file in self.files)

    @property
    def key(self) -> str:
        """Their name in the cache."""
        if self.pattern is None and self.has_hashes:
            return f"hub-{self.files[0].etag}"
        # A tag that is no hash says nothing without its commit.
        identity = ["" if self.has_hashes else self.commit]
        for file in self.files:
            identity += [file.name, file.etag]
        return "hub-" + hashlib.sha256("\n".join(identity).encode()).hexdigest()


def remember(cache: Path, note: str, located: Located) -> None:
    """Keep what the hub said for a run without network; a cache that needs no change may be read-only."""
    if remembered(cache, note) != located:
        _cache.write_note(cache, note, asdict(located))


def remembered(cache: Path, note: str) -> Located | None:
    """Return what was kept, or None where there is nothing or it has another shape."""
    kept = _cache.read_note(cache, note) or {}
    try:
        files = tuple(RepoFile(**file) for file in kept["files"])
        return Located(**kept | {"files": files})
    except (KeyError, TypeError):
        return None
