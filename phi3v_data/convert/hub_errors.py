"""Trouble with the hub: which kinds pass and are tried again, and one sentence for those that stay."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

from phi3v_data.errors import CannotRun, Phi3VError
from phi3v_data.extras import require
from phi3v_data.fs import is_disk_full

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BASE_DELAY", "explain", "is_unreachable", "retrying"]

TRIES = 5
BASE_DELAY = 1.0
"""Seconds before the second try; each further try waits twice as long."""
MAX_DELAY = 60.0

_PASSING_STATUS = (408, 429, 500, 502, 503, 504)
_HTTP_CLIENTS = ("httpx", "httpx2", "httpcore", "requests", "urllib3")
"""The hub's client has changed its own HTTP client twice; their errors share no base."""
_LOGIN = "log in with `hf auth login` or set HF_TOKEN"

ResultT = TypeVar("ResultT")


def retrying(call: Callable[[], ResultT], status: Callable[[str], None]) -> ResultT:
    """Return what a call returns, made again while its trouble is of the kind that passes.

    Args:
        call: Talks to the hub.
        status: Receives one line before each wait.

    Raises:
        Exception: The call's own, when it will not pass or after five tries.
    """
    for attempt in range(1, TRIES):
        try:
            return call()
        except Exception as error:
            if not _passes(error):
                raise
            delay = _delay(error, attempt)
            status(f"The hub {_trouble(error)}; try {attempt + 1} of {TRIES} in {delay:.0f} s")
        time.sleep(delay)
    return call()


def is_unreachable(error: BaseException) -> bool:
    """Tell whether an error means that no answer came, rather than a bad one."""
    return _status_code(error) is None and _passes(error)


def explain(error: Exception, repo: str, revision: str, wanted: str) -> Phi3VError:
    """Return one sentence for an error of the hub's client, with the way out.

    Args:
        error: What the client raised.
        repo: OWNER/NAME.
        revision: As asked for.
        wanted: The file in the repository, or what is known of it while it is not chosen.
    """
    kinds = require("huggingface_hub.errors", extra="hub", purpose="Downloading from the hub")
    error, what = _cause(error), f"the dataset {repo}"
    absent = f"offline mode is on and {wanted} of {what} is not in the cache: "
    sentences = {
        kinds.GatedRepoError: f"{what} is gated: accept its terms on its page on the hub, then {_LOGIN}",
        kinds.RepositoryNotFoundError: f"the hub has no {repo}, or it is private: check it, or {_LOGIN}",
        kinds.RevisionNotFoundError: f"{what} has no revision {revision!r}: give a branch or commit after @",
        kinds.OfflineModeIsEnabled: absent + "unset HF_HUB_OFFLINE for one run",
        kinds.LocalEntryNotFoundError: absent + "unset HF_HUB_OFFLINE for one run",
        kinds.EntryNotFoundError: f"{what} has no file {wanted!r} at revision {revision!r}: check its page",
    }
    for (
        kind,
        sentence,
    ) in sentences.items():  # from the special to the general: each is a subclass of a later one
        if isinstance(error, kind):
            return CannotRun(sentence)
    return _explain_rest(error, what)


def _explain_rest(error: Exception, what: str) -> Phi3VError:
    if (status := _status_code(error)) in (401, 403):
        return CannotRun(f"the hub refuses access to {what} ({status}): {_LOGIN}, with a token that may read it")
    if isinstance(error, OSError) and is_disk_full(error):
        return CannotRun(f"no space is left to download {what}: free some, or set HF_HOME to a roomier disk")
    if isinstance(error, OSError) and error.errno is not None and error.filename:
        return CannotRun(f"{error.filename} cannot be used ({error.strerror}): set HF_HOME to a folder you can write")
    if _passes(error):
        return CannotRun(f"{what} cannot be downloaded, the hub {_trouble(error)}: run it again to go on")
    return CannotRun(f"{what} cannot be downloaded: {' '.join(str(error).split())[:300]}")


def _cause(error: BaseException) -> Any:
    """Return what lies under "not in the cache", which the client also says when the network failed."""
    below = error.__cause__
    return below if type(error).__name__ == "LocalEntryNotFoundError" and below is not None else error


def _status_code(error: BaseException) -> int | None:
    code = getattr(getattr(_cause(error), "response", None), "status_code", None)
    return code if isinstance(code, int) else None


def _passes(error: BaseException) -> bool:
    error = _cause(error)
    if type(error).__name__ == "OfflineModeIsEnabled":
        return False
    if (status := _status_code(error)) is not None:
        return status in _PASSING_STATUS
    if type(error).__module__.partition(".")[0] in _HTTP_CLIENTS:
        return True
    # A plain OSError without a number: the client got another size than it was promised.
    cut = type(error) is OSError and error.errno is None
    return cut or isinstance(error, ConnectionError | TimeoutError)


def _delay(error: BaseException, attempt: int) -> float:
    """Return the seconds to wait: what the hub asks for, else twice as long each time."""
    headers = getattr(getattr(_cause(error), "response", None), "headers", {})
    asked = str(headers.get("Retry-After", "")).strip()
    seconds = float(asked) if asked.isdecimal() else BASE_DELAY * 2 ** (attempt - 1)
    return min(seconds, MAX_DELAY)


def _trouble(error: BaseException) -> str:
    status = _status_code(error)
    return f"answers {status}" if status else "cannot be reached or the connection broke"
