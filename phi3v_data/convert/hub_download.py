"""One file of the hub, in the cache of the hub's client: fetched when it is not there, checked, removed if wrong."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phi3v_data.convert.hub_errors import retrying
from phi3v_data.errors import CannotRun
from phi3v_data.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from phi3v_data.convert.hub_facts import RepoFile

__all__ = ["download", "verify"]


def download(
    hub: Any, repo: str, commit: str, file: RepoFile, status: Callable[[str], None], *, place: str = ""
) -> Path:
    """Return where a file is in the client's cache; a broken download is taken up where it ended.

    Args:
        hub: The hub's client.
        repo: OWNER/NAME.
        commit: The commit to take it from.
        file: The file.
        status: Receives one line before the download and before each wait.
        place: Its place among others, such as "file 1 of 3".

    Raises:
        Exception: The client's own.
    """
    options = {"repo_type": "dataset", "revision": commit}
    if not isinstance(hub.try_to_load_from_cache(repo, file.name, **options), str):
        details = ", ".join(filter(None, (f"{file.size / 1e6:,.0f} MB" if file.size else "", place)))
        status(f"Downloading {repo}/{printable(file.name)}" + (f" ({details})" if details else ""))
    return Path(retrying(partial(hub.hf_hub_download, repo, file.name, **options), status))


def verify(path: Path, file: RepoFile, repo: str) -> str:
    """Return a downloaded file's SHA-256 if its bytes are what the hub says they are; remove it if not.

    The hub's tag is the SHA-256 of a large file; of a small one Git's hash, SHA-1 over a header and bytes.

    Raises:
        CannotRun: They are not.
    """
    size = path.stat().st_size
    sha256, git = hashlib.sha256(), hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as content:
        while chunk := content.read(1 << 20):
            sha256.update(chunk)
            git.update(chunk)
    right_size = file.size in (None, size)
    right_hash = not file.has_hash or file.etag in (sha256.hexdigest(), git.hexdigest())
    if right_size and right_hash:
        return sha256.hexdigest()
    _forget(path)
    problem = f"{size:,} bytes of {file.size:,}" if file.size and not right_size else "another checksum"
    what = f"{repo}/{printable(file.name)} is not what the hub says it is ({problem})"
    raise CannotRun(f"{what}: the download was removed, run it again")


def _forget(path: Path) -> None:
    """Remove a file from the hub's cache: the link in its snapshot, and every file behind it."""
    while path.is_symlink():
        target = path.parent / path.readlink()
        path.unlink()
        path = target
    path.unlink(missing_ok=True)
