"""Which file of which commit: what the hub says now, or what it said when it was last asked."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phi3v_data.convert import cache as _cache
from phi3v_data.convert.archive import SUFFIXES
from phi3v_data.convert.hub_errors import is_unreachable, retrying
from phi3v_data.errors import CannotRun

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HubRequest", "Located", "locate"]

_HASH = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_COMMIT = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class HubRequest:
    """What to fetch.

    Args:
        repo: OWNER/NAME of a dataset.
        revision: Branch, tag or commit.
        likely: Name of the archive, if one is known.
        certain: Whether `likely` is the one to take, rather than a guess about somebody else's repository.
    """

    repo: str
    revision: str
    likely: str | None
    certain: bool


@dataclass(frozen=True, slots=True)
class Located:
    """One file of one commit, as the hub states it.

    Args:
        filename: Its name in the repository.
        commit: The commit.
        etag: Its tag, without quotes: a hash of its bytes, at the hub itself.
        size: In bytes, where stated.
        licence: As the dataset's card states it.
    """

    filename: str
    commit: str
    etag: str
    size: int | None
    licence: str | None

    @property
    def has_hash(self) -> bool:
        """Whether the tag is a hash the bytes can be checked against; a mirror may send anything."""
        return _HASH.fullmatch(self.etag) is not None

    @property
    def key(self) -> str:
        """Its name in the cache."""
        if self.has_hash:
            return f"hub-{self.etag}"
        return "hub-" + hashlib.sha256(f"{self.commit}\n{self.filename}\n{self.etag}".encode()).hexdigest()


def locate(
    hub: Any, request: HubRequest, cache: Path, note: str, status: Callable[[str], None]
) -> tuple[Located, tuple[str, ...]]:
    """Return the file to take: asked from the hub, or remembered where it cannot or need not be asked.

    Args:
        hub: The hub's client.
        request: What to look for.
        cache: The cache folder.
        note: Name of the note an earlier run left there.
        status: Receives one line before each wait.

    Returns:
        The file, and warnings.

    Raises:
        Exception: The client's own.
    """
    known = _remembered(cache, note)
    offline = hub.constants.HF_HUB_OFFLINE
    # A commit never changes, so there is nothing to ask about one that is here.
    settled = known and _COMMIT.fullmatch(request.revision) and _cache.find(cache, known.key)
    if offline and known is None:
        known = _downloaded_before(hub, request)
    if known and (offline or settled):
        return known, ()
    try:
        return _ask(hub, request, status), ()
    except Exception as error:
        if known is None or not is_unreachable(error):
            raise
        return known, (f"the hub cannot be reached: taking {request.repo} as of the last run, {known.commit}",)


def _remembered(cache: Path, note: str) -> Located | None:
    try:
        return Located(**(_cache.read_note(cache, note) or {}))
    except TypeError:
        return None


def _ask(hub: Any, request: HubRequest, status: Callable[[str], None]) -> Located:
    info = retrying(lambda: _info(hub, request), status)
    filename = request.likely if request.likely and request.certain else _choose(info, request)
    # The file of the commit that was just read, though the branch moved in between.
    revision = getattr(info, "sha", None) or request.revision
    url = hub.hf_hub_url(request.repo, filename, repo_type="dataset", revision=revision)
    timeout = hub.constants.HF_HUB_ETAG_TIMEOUT
    metadata = retrying(lambda: hub.get_hf_file_metadata(url, timeout=timeout), status)
    licence = getattr(getattr(info, "card_data", None), "license", None)
    if isinstance(licence, list):
        licence = ", ".join(map(str, licence))
    commit = metadata.commit_hash or revision
    return Located(filename, commit, metadata.etag or "", metadata.size, str(licence) if licence else None)


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


def _choose(info: Any, request: HubRequest) -> str:
    """Return the one archive somebody's repository can mean."""
    files = [sibling.rfilename for sibling in getattr(info, "siblings", None) or ()]
    archives = sorted(name for name in files if name.lower().endswith(SUFFIXES))
    if request.likely is not None and request.likely in archives:
        return request.likely
    if len(archives) == 1:
        return str(archives[0])
    found = ", ".join(archives[:10]) + (", ..." if len(archives) > 10 else "") or "none"
    problem = f"the dataset {request.repo} should hold exactly one archive, it holds {found}"
    raise CannotRun(f"{problem}: download what you need and give its path or folder")


def _downloaded_before(hub: Any, request: HubRequest) -> Located | None:
    """Return the file as the hub's own cache holds it, fetched by other means before going offline."""
    name = request.likely
    path = name and hub.try_to_load_from_cache(request.repo, name, revision=request.revision, repo_type="dataset")
    if not name or not isinstance(path, str):
        return None
    pointer = Path(path)
    commit = pointer.parents[name.count("/")].name
    etag = pointer.readlink().name if pointer.is_symlink() else ""
    return Located(name, commit, etag, pointer.stat().st_size, None)
