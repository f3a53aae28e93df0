"""The cache of unpacked archives: a second run takes the same tree; kills, rivals, full disks do no harm."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from phi3v_data.convert import members as members_module
from phi3v_data.convert.sources import OpenedSource, open_source
from phi3v_data.errors import CannotRun
from tests.archives import GOOD, tree, write_tar


def unpack(archive: Path) -> OpenedSource:
    return open_source(str(archive), default=None, cache_dir=archive.parent / "cache")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(members_module.Members, "_copy", full)
        with pytest.raises(CannotRun, match=r"no space is left for the cache folder .*: free some, or set PHI3V_CACHE"):
            unpack(write_tar(tmp_path / "a.tar"))
    assert tree(unpack(tmp_path / "a.tar").root) == GOOD


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(CannotRun, match=r"the cache folder .* cannot be used .*: set PHI3V_CACHE"):
        open_source(str(write_tar(tmp_path / "a.tar")), default=None, cache_dir=tmp_path / "cache")


def test_the_second_run_takes_the_same_tree(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", GOOD | {"../x": b""})
    first = unpack(path)
    inode = (first.root / "train/A/a.avi").stat().st_ino
    lines: list[str] = []
    second = open_source(str(path), default=None, cache_dir=tmp_path / "cache", on_status=lines.append)
    assert second == first
    assert (first.unsafe, lines) == (("../x",), [])
    assert (second.root / "train/A/a.avi").stat().st_ino == inode
    write_tar(path, {"new": b"new"})
    assert tree(unpack(path).root) == {"new": b"new"}


UNPACK = """
import sys
from pathlib import Path
from phi3v_data.convert.sources import open_source
print(open_source(sys.argv[1], default=None, cache_dir=Path(sys.argv[2])).root)
"""


def start(archive: Path, cache: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", UNPACK, str(archive), str(cache)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def big_tar(path: Path) -> tuple[Path, dict[str, bytes]]:
    files = {f"train/{number:04}": b"%d" % number * 50 for number in range(1200)}
    return write_tar(path, files), files


def test_kill_9_while_unpacking_then_again(tmp_path: Path) -> None:
    archive, files = big_tar(tmp_path / "a.tar")
    cache = tmp_path / "cache"
    process = start(archive, cache)
    deadline = time.monotonic() + 20
    while not list(cache.glob("archives-*/*.tmp/data/train")) and time.monotonic() < deadline:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert len(list(cache.glob("archives-*/*.tmp"))) == 1
    # A run on another archive removes the litter too.
    open_source(str(write_tar(tmp_path / "b.tar")), default=None, cache_dir=cache)
    assert not list(cache.glob("archives-*/*.tmp"))
    assert tree(open_source(str(archive), default=None, cache_dir=cache).root) == files


def test_two_runs_at_once_share_one_tree(tmp_path: Path) -> None:
    archive, files = big_tar(tmp_path / "a.tar")
    processes = [start(archive, tmp_path / "cache") for _ in range(2)]
    roots = {process.communicate()[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert len(roots) == 1
    assert tree(Path(roots.pop())) == files
    assert len([path for path in (tmp_path / "cache").glob("archives-*/*") if path.is_dir()]) == 1


def test_litter_of_a_run_that_lives_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = write_tar(tmp_path / "a.tar"), write_tar(tmp_path / "b.tar", {"b": b"b"})
    inside, go_on = threading.Event(), threading.Event()
    original, opened = members_module.Members.add_file, []

    def slow(self: Any, name: str, size: int, content: Any) -> None:
        if name in GOOD:
            inside.set()
            assert go_on.wait(10)
        original(self, name, size, content)

    monkeypatch.setattr(members_module.Members, "add_file", slow)
    cache = tmp_path / "cache"
    thread = threading.Thread(target=lambda: opened.append(open_source(str(first), default=None, cache_dir=cache)))
    thread.start()
    assert inside.wait(10)
    assert tree(open_source(str(second), default=None, cache_dir=cache).root) == {"b": b"b"}
    go_on.set()
    thread.join(10)
    assert tree(opened[0].root) == GOOD
