"""A dataset's archive from the hub: revision pinned to a commit, bytes checked against the hub's own hash."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phi3v_data.convert import cache as _cache
from phi3v_data.convert.archive import open_archive
from phi3v_data.convert.hub_errors import explain, retrying
from phi3v_data.convert.hub_locate import locate
from phi3v_data.errors import CannotRun, Phi3VError
from phi3v_data.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from phi3v_data.convert.cache import Tree
    from phi3v_data.convert.hub_locate import HubRequest, Located

__all__ = ["HubCopy", "fetch"]


@dataclass(frozen=True, slots=True)
class HubCopy:
    """An archive of the hub, unpacked.

    Args:
        filename: Its name in the repository.
        commit: The commit it was taken from.
        licence: As the dataset's card states it.
        size: Of the archive in bytes, where the hub states it.
        tree: Its content.
        warnings: What a person should know.
    """

    filename: str
    commit: str
    licence: str | None
    size: int | None
    tree: Tree
    warnings: tuple[str, ...]


def fetch(request: HubRequest, *, cache: Path, status: Callable[[str], None]) -> HubCopy:
    """Return an archive of the hub, downloaded, verified and unpacked the first time.

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
            tree = _content(hub, request, located, cache, status)
        except Phi3VError:
            raise
        except Exception as error:
            raise explain(error, request.repo, request.revision, request.likely or "") from error
    _remember(cache, note, located)
    if not located.has_hash:
        warnings += (f"the hub states no hash for {request.repo}/{located.filename}: it could not be verified",)
    return HubCopy(located.filename, located.commit, located.licence, located.size, tree, warnings)


def _remember(cache: Path, note: str, located: Located) -> None:
    """Keep what the hub said for a run without network; a cache that needs no change may be read-only."""
    if _cache.read_note(cache, note) != asdict(located):
        _cache.write_note(cache, note, asdict(located))


def _client() -> Any:
    """Return the hub's client; it loads its parts only when they are imported by name."""
    parts = ("huggingface_hub.constants", "huggingface_hub.utils", "huggingface_hub")
    return [require(part, extra="hub", purpose="Downloading from the hub") for part in parts][-1]


def _content(hub: Any, request: HubRequest, located: Located, cache: Path, status: Callable[[str], None]) -> Tree:
    if tree := _cache.find(cache, located.key):
        return tree
    name = f"{request.repo}/{located.filename}"
    status(f"Downloading {name}" + (f" ({located.size / 1e6:,.0f} MB)" if located.size else ""))
    path = Path(
        retrying(
            lambda: hub.hf_hub_download(request.repo, located.filename, repo_type="dataset", revision=located.commit),
            status,
        )
    )
    return open_archive(
        path,
        key=located.key,
        name=name,
        cache=cache,
        status=status,
        check=lambda: _verify(path, located, name),
    )


def _verify(path: Path, located: Located, name: str) -> str:
    """Return the file's SHA-256 if its bytes are what the hub says they are; remove it if not.

    The hub's tag is the SHA-256 of a large file; of a small one Git's hash, SHA-1 over a header and bytes.
    """
    size = path.stat().st_size
    sha256, git = hashlib.sha256(), hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            sha256.update(chunk)
            git.update(chunk)
    right_size = located.size in (None, size)
    right_hash = not located.has_hash or located.etag in (sha256.hexdigest(), git.hexdigest())
    if right_size and right_hash:
        return sha256.hexdigest()
    _forget(path)
    problem = f"{size:,} bytes of {located.size:,}" if located.size and not right_size else "another checksum"
    raise CannotRun(f"{name} is not what the hub says it is ({problem}): the download was removed, run it again")


def _forget(path: Path) -> None:
    """Remove a file from the hub's cache: the link in its snapshot, and every file behind it."""
    while path.is_symlink():
        target = path.parent / path.readlink()
        path.unlink()
        path = target
    path.unlink(missing_ok=True)


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
