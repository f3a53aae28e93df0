"""A folder whose content is replaced as one, at whatever step a run is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from phi3v_data.fs import write_folder
from tests.helpers import snapshot

STEPS = 24  # at least what a run takes to replace OLD; a number beyond the last step kills nothing

RUN = """
import os, signal, sys
from itertools import count
from pathlib import Path
from phi3v_data.fs import write_folder

path, content, number, done = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4] == "done"
steps = count(1)

def deadly(function):
    def step(*args, **options):
        mine = next(steps) == number
        if mine and not done:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return function(*args, **options)
        finally:
            if mine:
                os.kill(os.getpid(), signal.SIGKILL)
    return step

for name in ("mkdir", "rename", "replace", "unlink", "rmdir"):
    setattr(os, name, deadly(getattr(os, name)))
with write_folder(path, last="last") as folder:
    for name in ("a", "last", "only_" + content):
        (folder / name).write_text(content)
"""


def version(content: str) -> dict[str, bytes]:
    """Return the files that a run with this content writes."""
    return dict.fromkeys(("a", "last", f"only_{content}"), content.encode())


OLD = version("old") | {"sub/file": b"old"}


def spread(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def run_killed(path: Path, content: str, number: int, done: str) -> bool:
    """Replace the content in a process that kills itself before or after a step; return whether it came to that."""
    status = subprocess.run([sys.executable, "-c", RUN, path, content, str(number), done], check=False).returncode
    assert status in (0, -signal.SIGKILL)
    return status != 0


def run_failing(path: Path) -> None:
    with pytest.raises(OSError, match="disk full"), write_folder(path, last="last") as folder:
        spread(folder, version("half"))
        raise OSError("disk full")


def run_succeeding(path: Path, content: str) -> None:
    with write_folder(path, last="last") as folder:
        spread(folder, version(content))


def seen(path: Path) -> dict[str, bytes] | None:
    """Return what a reader finds in a folder that may have been left in pieces; nothing where `last` is missing."""
    files = {name: content for name, content in snapshot(path).items() if not name.startswith(".")}
    return files if "last" in files else None


@pytest.mark.parametrize("before", [OLD, {}], ids=["full", "empty"])
@pytest.mark.parametrize("done", ["not done", "done"])
@pytest.mark.parametrize("number", range(1, STEPS))
def test_a_kill_at_any_step_loses_nothing(tmp_path: Path, number: int, done: str, before: dict[str, bytes]) -> None:
    spread(tmp_path, before)
    run_killed(tmp_path, "new", number, done)
    kept = seen(tmp_path) or before
    assert kept in (before, version("new"))
    run_failing(tmp_path)
    assert snapshot(tmp_path) == kept
    run_succeeding(tmp_path, "newer")
    assert snapshot(tmp_path) == version("newer")


def test_a_run_is_killed_at_every_step(tmp_path: Path) -> None:
    spread(tmp_path, OLD)
    assert not run_killed(tmp_path, "new", STEPS, "done")
    assert snapshot(tmp_path) == version("new")


@pytest.mark.parametrize("first", [7, 11], ids=["old moved in part", "new moved but last"])
@pytest.mark.parametrize("second", range(1, 20))
def test_putting_back_can_be_killed_too(tmp_path: Path, first: int, second: int) -> None:
    spread(tmp_path, OLD)
    assert run_killed(tmp_path, "new", first, "done")
    assert seen(tmp_path) is None
    assert run_killed(tmp_path, "newer", second, "done")
    assert seen(tmp_path) in (None, OLD)
    run_failing(tmp_path)
    assert snapshot(tmp_path) == OLD


def test_files_beside_the_folder_are_not_looked_at(tmp_path: Path) -> None:
    mine = dict.fromkeys((".c.new/x", ".c.old/x", ".c.phi3v-writing/x"), b"mine")
    spread(tmp_path, mine)
    run_succeeding(tmp_path / "c", "new")
    assert snapshot(tmp_path) == mine | {f"c/{name}": content for name, content in version("new").items()}


def test_the_folder_stays_the_one_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_succeeding(Path(), "new")
    assert set(snapshot(Path())) == set(version("new"))


def test_a_new_folder_does_not_outlive_an_error(tmp_path: Path) -> None:
    run_failing(tmp_path / "c")
    assert not list(tmp_path.iterdir())


FORKING = """
import os, sys
from pathlib import Path
from phi3v_data.fs import FolderHeld, hold_folder

folder = Path(sys.argv[1])
begins, ends = os.pipe(), os.pipe()
with hold_folder(folder):
    if not os.fork():
        os.write(begins[1], b"x")
        os.close(ends[1])
        os.read(ends[0], 1)
        os._exit(0)
    os.read(begins[0], 1)
    try:
        with hold_folder(folder):
            print("let in")
    except FolderHeld:
        print("held")
with hold_folder(folder):
    print("free")
"""


def test_a_process_forked_meanwhile_does_not_hold_the_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKING, str(tmp_path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=60)
    assert done.stdout.split("\n")[:2] == ["held", "free"]
