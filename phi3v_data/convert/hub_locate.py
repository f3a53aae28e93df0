"""The wanted files of one commit: what the hub says of them now, or what it said when it was last asked."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phi3v_data.convert import cache as _cache
from phi3v_data.convert.hub_choose import CONVERSION, choose, explain_script
from phi3v_data.convert.hub_errors import is_unreachable, retrying
from phi3v_data.convert.hub_facts import Located, RepoFile, remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from phi3v_data.convert.hub_choose import HubRequest

__all__ = ["locate"]

_COMMIT = re.compile("[0-9a-f]{40}")


def locate(
    hub: Any, request: HubRequest, cache: Path, note: str, status: Callable[[str], None]
) -> tuple[Located, tuple[str, ...]]:
    """Return the files to take: asked from the hub, or remembered where it cannot or need not be asked.

    Args:
        hub: The hub's client.
        request: What to look for.
        cache: The cache folder.
        note: Name of the note an earlier run left there.
        status: Receives one line before each wait.

    Returns:
        The files, and warnings.

    Raises:
        CannotRun: The repository does not hold what is wanted.
        Exception: The client's own.
    """
    known = remembered(cache, note)
    offline = hub.constants.HF_HUB_OFFLINE
    # A commit never changes, so there is nothing to ask about one that is here.
    settled = known and _COMMIT.fullmatch(request.revision) and _cache.find(cache, known.key)
    if offline and known is None:
        known = _downloaded_before(hub, request)
    if known and (offline or settled):
        return known, ()
    try:
        return _ask(hub, request, known, status), ()
    except Exception as error:
        if known is None or not is_unreachable(error):
            raise
        return known, (f"the hub cannot be reached: taking {request.repo} as of the last run, {known.commit}",)


def _ask(hub: Any, request: HubRequest, known: Located | None, status: Callable[[str], None]) -> Located:
    info = retrying(lambda: _info(hub, request), status)
    choice = choose((sibling.rfilename for sibling in getattr(info, "siblings", None) or ()), request)
    if choice is None:
        located = _ask_conversion(hub, request, known, status)
        return replace(located, licence=located.licence or _licence(info))
    # The files of the commit that was just read, though the branch moved in between.
    commit = getattr(info, "sha", None)
    if known and known.commit == commit:
        return known
    commit, files = _files(hub, request, commit, choice.names, status)
    return Located(commit, _licence(info), choice.pattern, files)


def _ask_conversion(hub: Any, request: HubRequest, known: Located | None, status: Callable[[str], None]) -> Located:
    """Locate the files in the hub's own Parquet conversion, which it makes of the main branch."""
    if request.pinned:
        raise explain_script(request)
    try:
        return _ask(hub, replace(request, revision=CONVERSION, pinned=True), known, status)
    except hub.errors.RevisionNotFoundError as error:
        raise explain_script(request) from error


def _licence(info: Any) -> str | None:
    licence = getattr(getattr(info, "card_data", None), "license", None)
    if isinstance(licence, list):
        licence = ", ".join(map(str, licence))
    return str(licence) if licence else None


def _files(
    hub: Any, request: HubRequest, commit: str | None, names: Sequence[str], status: Callable[[str], None]
) -> tuple[str, tuple[RepoFile, ...]]:
    """Return the commit and its files; a mirror that has not told the commit tells it with the first file."""
    files, timeout = [], hub.constants.HF_HUB_ETAG_TIMEOUT
    for name in names:
        url = hub.hf_hub_url(request.repo, name, repo_type="dataset", revision=commit or request.revision)
        metadata = retrying(partial(hub.get_hf_file_metadata, url, timeout=timeout), status)
        commit = commit or metadata.commit_hash
        files.append(RepoFile(name, metadata.etag or "", metadata.size))
    return commit or request.revision, tuple(files)


def _info(hub: Any, request: HubRequest) -> Any:
    """Return what the hub says of the repository, or None where a mirror has only the files."""
    timeout = hub.constants.HF_HUB_ETAG_TIMEOUT
    try:
        return hub.HfApi().dataset_info(request.repo, revision=request.revision, timeout=timeout)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    except Exception as error:
        plain = type(error).__name__ == "HfHubHTTPError"
        if plain and getattr(getattr(error, "response", None), "status_code", None) == 404:
            return None
        raise


def _downloaded_before(hub: Any, request: HubRequest) -> Located | None:
    """Return the archive as the hub's own cache holds it, fetched by other means before going offline."""
    name = request.likely
    path = name and hub.try_to_load_from_cache(request.repo, name, revision=request.revision, repo_type="dataset")
    if not name or not isinstance(path, str):
        return None
    pointer = Path(path)
    commit = pointer.parents[name.count("/")].name
    etag = pointer.readlink().name if pointer.is_symlink() else ""
    return Located(commit, None, None, (RepoFile(name, etag, pointer.stat().st_size),))
