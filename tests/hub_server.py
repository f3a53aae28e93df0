"""A stand-in of the hub on loopback: the real client talks real HTTP to it, and it fails when told to."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["Fault", "HubServer", "Repo", "Request", "git_hash"]

_RESOLVE = re.compile(r"/datasets/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
_INFO = re.compile(r"/api/datasets/(?P<repo>[^/]+/[^/]+)/revision/(?P<revision>[^/]+)")


def git_hash(content: bytes) -> str:
    """Return the hash Git gives a file's content, which is the hub's tag for small files."""
    return hashlib.sha1(b"blob %d\0%s" % (len(content), content), usedforsecurity=False).hexdigest()


@dataclass
class Repo:
    """A dataset repository.

    Args:
        files: Content by name.
        commit: The commit its branches point at.
        branches: The names that resolve to the commit.
        card: The card's data, such as {"license": "mit"}; None for a repository without a card.
        refusal: Status and X-Error-Code given for every file, such as (403, "GatedRepo").
        tags: ETag by file name, where it is not to be the true one.
        large: Whether tags are SHA-256, as for large files, or Git's hash.
        elsewhere: Whether files are served from another host, as large files are.
        revisions: What else there is, by branch or commit.
    """

    files: dict[str, bytes]
    commit: str = "c" * 40
    branches: tuple[str, ...] = ("main",)
    card: dict[str, Any] | None = None
    refusal: tuple[int, str] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    large: bool = True
    elsewhere: bool = False
    revisions: dict[str, Repo] = field(default_factory=dict)

    def at(self, revision: str) -> Repo | None:
        """Return the repository as a branch or commit has it."""
        if revision in (*self.branches, self.commit):
            return self
        commits = {repo.commit: repo for repo in self.revisions.values()}
        return self.revisions.get(revision) or commits.get(revision)

    def tag(self, name: str) -> str:
        """Return a file's ETag, without quotes."""
        content = self.files[name]
        return self.tags.get(name) or (hashlib.sha256(content).hexdigest() if self.large else git_hash(content))


@dataclass(frozen=True)
class Fault:
    """One misbehaviour, spent when it has happened.

    Args:
        method: The request it waits for.
        ending: How that request's path ends.
        status: Answer with this status instead.
        headers: Further headers of that answer.
        cut_after: Send so many bytes of the body, then close the connection.
        before: Called before the request is answered.
    """

    method: str
    ending: str
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    cut_after: int | None = None
    before: Callable[[], None] | None = None


@dataclass(frozen=True)
class Request:
    """A request that was received."""

    method: str
    path: str
    range: str | None


class HubServer:
    """Serves repositories until its `with` block ends; every request is kept in `requests`."""

    def __init__(self, **repos: Repo) -> None:
        self.repos: dict[str, Repo] = dict(repos)
        self.faults: deque[Fault] = deque()
        self.requests: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def count(self, method: str, ending: str) -> int:
        """Return how many requests of a method had a path with this ending."""
        return sum(seen.method == method and seen.path.endswith(ending) for seen in self.requests)

    def take_fault(self, method: str, path: str) -> Fault | None:
        """Return the next fault if it is meant for this request."""
        if self.faults and self.faults[0].method == method and path.endswith(self.faults[0].ending):
            return self.faults.popleft()
        return None


def _handler(hub: HubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each body waits 40 ms for the headers to be acknowledged

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            quoted = urlsplit(self.path).path
            path = unquote(quoted)
            hub.requests.append(Request(self.command, path, self.headers.get("Range")))
            fault = hub.take_fault(self.command, path)
            if fault and fault.before:
                fault.before()
            if fault and fault.status:
                return self._send(fault.status, dict(fault.headers))
            for pattern, answer in ((_RESOLVE, self._file), (_INFO, self._info)):
                # A revision's own slashes are quoted, so they do not end it.
                if match := pattern.fullmatch(quoted.removeprefix("/elsewhere")):
                    return answer({key: unquote(value) for key, value in match.groupdict().items()}, fault)
            return self._send(404)

        def _repo(self, wanted: dict[str, str]) -> Repo | None:
            repo = hub.repos.get(wanted["repo"])
            if repo is None:
                self._send(404, {"X-Error-Code": "RepoNotFound"})
            elif (found := repo.at(wanted["revision"])) is None:
                self._send(404, {"X-Error-Code": "RevisionNotFound"})
            else:
                return found
            return None

        def _info(self, wanted: dict[str, str], _fault: Fault | None) -> None:
            if repo := self._repo(wanted):
                siblings = [{"rfilename": name} for name in repo.files]
                info = {"id": wanted["repo"], "sha": repo.commit, "siblings": siblings, "cardData": repo.card}
                self._send(200, {"Content-Type": "application/json"}, json.dumps(info).encode())

        def _file(self, wanted: dict[str, str], fault: Fault | None) -> None:
            repo, name = self._repo(wanted), wanted["file"]
            if repo is None:
                return None
            if repo.refusal:
                return self._send(repo.refusal[0], {"X-Error-Code": repo.refusal[1]})
            headers = {"X-Repo-Commit": repo.commit, "Accept-Ranges": "bytes"}
            if name not in repo.files:
                return self._send(404, headers | {"X-Error-Code": "EntryNotFound"})
            tag = f'"{repo.tag(name)}"'
            if repo.elsewhere and not self.path.startswith("/elsewhere"):
                size = str(len(repo.files[name]))
                # The same machine under another name is another host to the client.
                headers |= {"Location": f"http://localhost:{hub.port}/elsewhere{self.path}"}
                return self._send(302, headers | {"X-Linked-Etag": tag, "X-Linked-Size": size})
            return self._content(repo.files[name], headers | {"ETag": tag}, fault)

        def _content(self, content: bytes, headers: dict[str, str], fault: Fault | None) -> None:
            wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
            if wanted is None:
                return self._send(200, headers, content, fault)
            start = int(wanted[1])
            if start >= len(content):
                return self._send(416, {"Content-Range": f"bytes */{len(content)}"})
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return self._send(206, headers | {"Content-Range": span}, content[start:], fault)

        def _send(
            self,
            status: int,
            headers: dict[str, str] | None = None,
            body: bytes = b"",
            fault: Fault | None = None,
        ) -> None:
            self.send_response(status)
            for key, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            cut = fault.cut_after if fault else None
            self.wfile.write(body[:cut])
            if cut is not None:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test output clean."""

    return Handler
