"""Where the page goes: it is there whole or not at all, and replaces nothing that is not a page."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from phi3v_data.errors import CannotRun, UsageError
from phi3v_data.preview.writer import write_page
from tests.formats.shards import line, write_dataset


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "data", {"train": [line("t", "a.jpg")]}, ["a.jpg"])


def test_folder_is_made(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder" / "page.HTML"
    write_page([data], out, result=None)
    assert [path.name for path in out.parent.iterdir()] == ["page.HTML"]


@pytest.mark.parametrize("name", ["toy_train.jsonl", "page", "manifest.json"])
def test_only_pages_are_written(data: Path, name: str) -> None:
    before = (data / "toy_train.jsonl").read_bytes()
    with pytest.raises(UsageError, match=r"call it NAME\.html"):
        write_page([data], data / name, result=None)
    assert (data / "toy_train.jsonl").read_bytes() == before


def test_places_that_are_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "folder.html").mkdir()
    os.mkfifo(tmp_path / "pipe.html")
    for name in ("folder.html", "pipe.html"):
        with pytest.raises(UsageError, match="is there and is no file"):
            write_page([data], tmp_path / name, result=None)
    with pytest.raises(UsageError, match="is in the images folder"):
        write_page([data], data / "images" / "sub" / "page.html", result=None)
    (tmp_path / "file").touch()
    with pytest.raises(CannotRun, match="cannot be written to"):
        write_page([data], tmp_path / "file" / "page.html", result=None)
    with pytest.raises(CannotRun, match="cannot be written"):
        write_page([data], Path("/proc/page.html"), result=None)


def test_old_page_stays_where_the_new_one_fails(tmp_path: Path) -> None:
    lines = [line(f"t{i}", answer=f"{i}" * 300) for i in range(300)]
    data, out = write_dataset(tmp_path / "data", {"train": lines}), tmp_path / "out" / "page.html"
    out.parent.mkdir()
    out.write_text("old")
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000));"
        "from phi3v_data.preview.writer import write_page;"
        f"write_page([{str(data)!r}], {str(out)!r}, result=None)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "CannotRun: the page cannot be written: no space left" in done.stderr
    assert out.read_text() == "old"
    assert [path.name for path in out.parent.iterdir()] == ["page.html"]


def test_interrupt_leaves_nothing(tmp_path: Path) -> None:
    images = [f"{i}.jpg" for i in range(20)]
    lines = [line(f"t{i}", *images) for i in range(300)]
    data, out = write_dataset(tmp_path / "data", {"train": lines}, images), tmp_path / "out" / "page.html"
    script = (
        "import os, signal\n"
        "from phi3v_data.preview.writer import write_page\n"
        "def interrupt(done, total):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        f"write_page([{str(data)!r}], {str(out)!r}, result=None, workers=2, on_progress=interrupt)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in done.stderr
    assert list(out.parent.iterdir()) == []
