"""A dataset's files from the hub: revision pinned to a commit, bytes checked against the hub's own hashes."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from phi3v_data.convert import cache as _cache
from phi3v_data.convert.archive import open_archive
from phi3v_data.convert.hub_choose import partial_splits
from phi3v_data.convert.hub_download import download, verify
from phi3v_data.convert.hub_errors import explain
from phi3v_data.convert.hub_facts import remember
from phi3v_data.convert.hub_locate import locate
from phi3v_data.errors import Phi3VError
from phi3v_data.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from phi3v_data.convert.cache import Tree
    from phi3v_data.convert.hub_choose import HubRequest
    from phi3v_data.convert.hub_facts import Located

__all__ = ["HubCopy", "fetch"]


@dataclass(frozen=True, slots=True)
class HubCopy:
    """Files of the hub at hand.

    Args:
        located: What the hub says of them.
        tree: The content of the archive, or the files under their names in the repository.
        warnings: What a person should know.
    """

    located: Located
    tree: Tree
    warnings: tuple[str, ...]


def fetch(request: HubRequest, *, cache: Path, status: Callable[[str], None]) -> HubCopy:
    """Return files of the hub: downloaded and verified the first time, and an archive unpacked.

    Args:
        request: What to fetch.
        cache: The cache folder.
        status: Receives one line before each long step or wait.

    Raises:
        CannotRun: No network, no access, no such file, or bytes that are not what the hub says they are.
        MissingExtra: The hub's client is not installed.
    """
    hub = _client()
    note = "hub-" + hashlib.sha256(repr(request).encode()).hexdigest()
    with _quiet(hub):
        try:
            located, warnings = locate(hub, request, cache, note, status)
            tree = _cache.find(cache, located.key) or _content(hub, request.repo, located, cache, status)
        except Phi3VError:
            raise
        except Exception as error:
            raise explain(error, request.repo, request.revision, request.wanted) from error
    remember(cache, note, located)
    return HubCopy(located, tree, warnings + _doubts(request.repo, located))


def _doubts(repo: str, located: Located) -> tuple[str, ...]:
    warnings = []
    if not located.has_hashes:
        warnings.append(f"the hub states no hash for {repo}/{located.name}: it could not be verified")
    if splits := partial_splits(file.name for file in located.files):
        warnings.append(f"the hub's Parquet conversion of {repo} holds only the first part of: {', '.join(splits)}")
    return tuple(warnings)


def _client() -> Any:
    """Return the hub's client; it loads its parts only when they are imported by name."""
    parts = ("huggingface_hub.constants", "huggingface_hub.errors", "huggingface_hub.utils", "huggingface_hub")
    return [require(part, extra="hub", purpose="Downloading from the hub") for part in parts][-1]


def _content(hub: Any, repo: str, located: Located, cache: Path, status: Callable[[str], None]) -> Tree:
    if located.pattern is not None:
        return _linked(hub, repo, located, cache, status)
    (file,) = located.files
    path = download(hub, repo, located.commit, file, status)
    return open_archive(
        path,
        key=located.key,
        name=f"{repo}/{file.name}",
        cache=cache,
        status=status,
        check=lambda: verify(path, file, repo),
    )


def _linked(hub: Any, repo: str, located: Located, cache: Path, status: Callable[[str], None]) -> Tree:
    """Return a folder of links into the cache of the hub's client, so that nothing is stored twice."""
    total = sum(file.size or 0 for file in located.files)
    together = f", {total / 1e9:,.1f} GB together" if total > 1e9 else ""
    targets = {}
    for number, file in enumerate(located.files, 1):
        place = f"file {number} of {len(located.files)}{together}"
        path = download(hub, repo, located.commit, file, status, place=place)
        verify(path, file, repo)
        targets[file.name] = path.resolve()

    def fill(folder: Path) -> tuple[None, tuple[str, ...]]:
        for name, target in targets.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(target)
        return None, ()

    name = f"{repo}/{located.name}"
    return _cache.build(cache, located.key, fill, on_wait=lambda: status(f"Waiting for another run that links {name}"))


@contextlib.contextmanager
def _quiet(hub: Any) -> Iterator[None]:
    """Keep the client's log and progress bars off a stderr that is read by no person."""
    logs, bars = hub.utils.logging, hub.utils
    level = logs.get_verbosity()
    # Whoever sets the variable, either way, has decided already.
    hide = hub.constants.HF_HUB_DISABLE_PROGRESS_BARS is None and not bars.are_progress_bars_disabled()
    hide = hide and not sys.stderr.isatty()
    logs.set_verbosity_error()
    if hide:
        bars.disable_progress_bars()
    try:
        yield
    finally:
        logs.set_verbosity(level)
        if hide:
            bars.enable_progress_bars()
