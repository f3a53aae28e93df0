"""What a person at a terminal sees while a conversion runs."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.helpers import make_video, spread

if TYPE_CHECKING:
    from pathlib import Path


def on_a_terminal(*args: str | Path) -> tuple[int, str, str]:
    """Run `phi3v-data` with its standard error on a terminal; return the exit code, what it printed and showed."""
    master, slave = pty.openpty()
    env = os.environ | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    command = [sys.executable, "-m", "phi3v_data", *map(str, args)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=slave, text=True, encoding="utf-8", env=env
    ) as process:
        os.close(slave)
        shown = b""
        try:
            while block := os.read(master, 4096):
                shown += block
        except OSError:  # Linux ends a terminal whose other side is closed with EIO
            pass
        os.close(master)
        assert process.stdout
        return process.wait(), process.stdout.read(), shown.decode()


def test_a_bar_with_count_and_rejects_on_a_terminal_only(tmp_path: Path) -> None:
    make_video(tmp_path / "raw" / "A" / "good.avi")
    spread(tmp_path / "raw", "A/bad.avi")
    args = ("convert", "ucf101", "--source", tmp_path / "raw", "--out_dir", tmp_path / "out", "--workers", "1")
    code, printed, shown = on_a_terminal(*args)
    assert code == 1
    assert "converting" in shown
    assert "2/2" in shown
    assert "1 reject" in shown
    assert "Traceback" not in shown
    assert "converting" not in printed
    assert "\x1b" not in printed
