"""A user's machine beside the stand-in of the hub: each run is a process with real environment variables."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

__all__ = ["Machine", "Runner", "content", "facts"]

WORKER = """\
import contextlib, dataclasses, importlib, json, os, sys, tempfile, time
from pathlib import Path
from phi3v_data.convert import hub_errors, sources
from phi3v_data.errors import Phi3VError
for name in ("httpx2", "httpcore2", "httpx", "requests", "anyio", "yaml", "tqdm.auto", "filelock"):
    with contextlib.suppress(ImportError):
        importlib.import_module(name)

asked, sleep = [], time.sleep

def short(seconds):
    asked.append(seconds)
    sleep(min(seconds, 0.02))

def run(job):
    assert "huggingface_hub" not in sys.modules
    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING"))]:
        del os.environ[name]
    os.environ.update(job["env"])
    time.sleep = short
    default, lines = sources.HubFile(**job["default"]), []
    options = {"default": default, "patterns": job["patterns"], "cache_dir": Path(job["cache"])}
    try:
        opened = sources.open_source(job["spec"], **options, on_status=lines.append)
        result = dataclasses.asdict(opened)
    except Phi3VError as error:
        result = {"error": str(error), "kind": type(error).__name__}
    return result | {"lines": lines, "asked": asked}

for line in sys.stdin:
    if os.fork() == 0:
        with tempfile.TemporaryFile() as stderr:
            os.dup2(stderr.fileno(), 2)
            try:
                result = run(json.loads(line))
            except BaseException:
                import traceback
                traceback.print_exc()
                result = {}
            stderr.seek(0)
            print(json.dumps(result | {"stderr": stderr.read().decode()}, default=str), flush=True)
        os._exit(0)
    os.wait()
"""


class Runner:
    """Runs each job in a process of its own: the hub's client reads its settings when it is imported.

    The processes are forked off one that has loaded what the client loads, for that takes longest.
    """

    def __enter__(self) -> Self:
        command = [sys.executable, "-W", "error", "-c", WORKER]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=10)
        assert self._process.returncode == 0

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return the outcome of one `open_source`, as JSON has it."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        result: dict[str, Any] = json.loads(self._process.stdout.readline())
        return result


def content(result: dict[str, Any]) -> dict[str, bytes]:
    """Return the files below the root of an outcome, by name."""
    root = Path(result["root"])
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def facts(result: dict[str, Any]) -> dict[str, Any]:
    """Return an outcome without what was said and waited on the way."""
    return {key: value for key, value in result.items() if key not in ("lines", "asked")}


class Machine:
    """A user's machine: its own caches, and one process for each run of a converter with these patterns."""

    def __init__(self, folder: Path, url: str, runner: Runner, *patterns: str) -> None:
        self.patterns = patterns
        self.cache = folder / "cache"
        self.hub_cache = folder / "hf" / "hub"
        self.url = url
        self._runner = runner

    def run(self, spec: str | None = None, default: dict[str, Any] | None = None, **env: str) -> dict[str, Any]:
        """Open a source as a user would; return its fields, or `error` and `kind`.

        Beside them, `lines` holds the status lines, and `asked` the seconds it wanted to sleep.
        """
        settings = {
            "HF_HOME": str(self.hub_cache.parent),
            "HF_HUB_CACHE": str(self.hub_cache),
            "NO_PROXY": "*",
        }
        job = {
            "spec": spec,
            "default": default or {"repo": "o/n", "filename": None if self.patterns else "data.tar.gz"},
            "patterns": self.patterns,
            "cache": str(self.cache),
            "env": settings | {"HF_ENDPOINT": self.url} | env,
        }
        result = self._runner.run(job)
        assert result.pop("stderr") == ""
        return result

    def fails(self, spec: str | None = None, default: dict[str, Any] | None = None, **env: str) -> str:
        """Run and return the sentence it failed with; nothing must be left in the cache."""
        result = self.run(spec, default, **env)
        assert result.get("kind") == "CannotRun", result
        assert "\n" not in result["error"]
        assert not list(self.cache.glob("archives-*/hub-*/"))
        return str(result["error"])

    def blobs(self) -> list[Path]:
        """Return the files in the client's own cache."""
        return [path for path in self.hub_cache.rglob("blobs/*") if path.is_file()]
