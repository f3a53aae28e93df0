"""Where raw data comes from: a folder, an archive, or a dataset on the hub; always a folder in the end."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from phi3v_data.convert.archive import open_local_archive
from phi3v_data.convert.cache import default_cache
from phi3v_data.convert.hub import fetch
from phi3v_data.convert.hub_choose import HubRequest
from phi3v_data.errors import CannotRun, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from phi3v_data.convert.hub import HubCopy

__all__ = ["HubFile", "OpenedSource", "open_source"]

_HUB = re.compile(r"hub:(?P<repo>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>[^\s@]+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class HubFile:
    """What a converter takes from the hub when no source is given.

    Args:
        repo: OWNER/NAME of the dataset.
        filename: The archive in it; None takes the files that fit the converter's patterns.
        revision: Branch, tag or commit.
        known_size: Bytes of the archive, as somebody once saw them; another size is worth a warning, never an error.
        known_sha256: Likewise.
    """

    repo: str
    filename: str | None = None
    revision: str = "main"
    known_size: int | None = None
    known_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class OpenedSource:
    """Raw data at hand.

    Args:
        root: The folder that holds it, to be read only.
        kind: How it was given.
        name: The archive's file name, OWNER/NAME/FILE or OWNER/NAME/PATTERN; None for a folder.
        revision: The hub's commit.
        sha256: Of the archive, where there is one.
        licence: As the hub's card states it.
        unsafe: Members that were not unpacked: links, devices, paths that leave the folder; sorted, escaped.
        warnings: What a person should know.
    """

    root: Path
    kind: Literal["folder", "archive", "hub", "dataset"]
    name: str | None
    revision: str | None
    sha256: str | None
    licence: str | None
    unsafe: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def open_source(
    spec: str | None,
    *,
    default: HubFile | None,
    patterns: Sequence[str] = (),
    cache_dir: Path | None = None,
    on_status: Callable[[str], None] | None = None,
) -> OpenedSource:
    """Return raw data as a folder, downloaded and unpacked or linked into the cache where need be.

    Args:
        spec: A folder, an archive, or hub:OWNER/NAME[@REVISION]; None takes the default.
        default: The converter's own source, if it has one.
        patterns: Of file names in a dataset on the hub, matched by case, `*` also crossing `/`; the first that fits any
            file chooses all files it fits, and where none does the dataset must hold exactly one archive.
        cache_dir: Where to unpack; by default `$PHI3V_CACHE` or the user's cache folder.
        on_status: Receives one line before each step that takes long.

    Raises:
        UsageError: There is no such folder or file, or nothing was given where there is no default.
        CannotRun: The data cannot be had: no network, no access, no space, a damaged archive.
    """
    status = on_status or _silent
    if spec is None and default is None:
        raise UsageError("this converter has no default source: give --source, a folder or an archive")
    if spec is None or spec.startswith("hub:"):
        return _open_hub(_parse_hub(spec, default, patterns), default, cache_dir or default_cache(), status)
    if not spec:
        raise UsageError("--source is empty: give a folder, an archive or hub:OWNER/NAME")
    return _open_path(Path(os.path.expanduser(spec)), cache_dir, status)  # noqa: PTH111 - an unknown ~user stays


def _silent(_line: str) -> None:
    pass


def _open_path(path: Path, cache_dir: Path | None, status: Callable[[str], None]) -> OpenedSource:
    try:
        mode_known = path.exists()
    except OSError as error:
        raise CannotRun(f"{path} cannot be read: {error.strerror}") from error
    if not mode_known:
        raise UsageError(f"there is no {path}: --source takes a folder, an archive or hub:OWNER/NAME")
    if path.is_dir():
        return OpenedSource(path.resolve(), "folder", None, None, None, None, ())
    if not path.is_file():
        raise UsageError(f"{path} is neither a folder nor a file: --source takes a folder or an archive")
    tree = open_local_archive(path, cache=cache_dir or default_cache(), status=status)
    return OpenedSource(tree.root, "archive", path.name, None, tree.sha256, None, tree.unsafe)


def _open_hub(request: HubRequest, default: HubFile | None, cache: Path, status: Callable[[str], None]) -> OpenedSource:
    copy = fetch(request, cache=cache, status=status)
    located, tree = copy.located, copy.tree
    name = f"{request.repo}/{located.name}"
    # What was seen of the default's archive says nothing about any other.
    seen = default if default and name == f"{default.repo}/{default.filename}" else None
    warnings = copy.warnings + _differences(copy, seen)
    return OpenedSource(tree.root, "hub", name, located.commit, tree.sha256, located.licence, tree.unsafe, warnings)


def _parse_hub(spec: str | None, default: HubFile | None, patterns: Sequence[str]) -> HubRequest:
    if spec is None:
        assert default is not None
        return HubRequest(default.repo, default.revision, default.filename, certain=True, patterns=tuple(patterns))
    match = _HUB.fullmatch(spec)
    if match is None:
        raise UsageError(f"{spec!r} is not of the form hub:OWNER/NAME or hub:OWNER/NAME@REVISION")
    repo, own = match["repo"], default is not None and match["repo"] == default.repo
    revision = match["revision"] or (default.revision if default and own else "main")
    likely, pinned = default.filename if default else None, match["revision"] is not None
    return HubRequest(repo, revision, likely, certain=own, patterns=tuple(patterns), pinned=pinned)


def _differences(copy: HubCopy, seen: HubFile | None) -> tuple[str, ...]:
    """Say that an archive is not the one known at second hand; it has passed the hub's own check."""
    if seen is None:
        return ()
    same_size = seen.known_size is None or copy.located.files[0].size in (None, seen.known_size)
    if same_size and seen.known_sha256 in (None, copy.tree.sha256):
        return ()
    return (f"{seen.repo}/{seen.filename} has changed since this converter was written: results may differ",)
