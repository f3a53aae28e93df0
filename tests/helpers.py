"""What several test modules share: run the command as a user does, make tiny videos, read what came out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from phi3v_data.media.video import write_video

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["convert", "make_video", "read_lines", "run", "run_python", "snapshot", "spread"]

WIDTH, HEIGHT = 64, 48


def run_python(
    *args: str | Path, code: int = 0, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the interpreter, hold it to an exit code, and to showing nobody a traceback."""
    done = subprocess.run(
        [sys.executable, *map(str, args)],
        env={**os.environ, **(env or {})},
        cwd=cwd,
        text=True,
        encoding="utf-8",
        capture_output=True,
        check=False,
    )
    shown = f"{' '.join(map(str, args))}\nexit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert done.returncode == code, shown
    assert "Traceback" not in done.stdout + done.stderr, shown
    return done


def run(*args: str | Path, code: int = 0, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `phi3v-data` with these arguments."""
    return run_python("-m", "phi3v_data", *args, code=code, **options)


def convert(source: Path, out_dir: Path, *args: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `phi3v-data convert ucf101` with one worker."""
    return run("convert", "ucf101", "--source", source, "--out_dir", out_dir, "--workers", "1", *args, code=code)


def make_video(path: Path, count: int = 12, blue: int = 0) -> Path:
    """Write a tiny video whose frames differ from each other, and from those of another blue; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = np.full((count, HEIGHT, WIDTH, 3), blue, np.uint8)
    frames[..., :2] = (20 + np.arange(count) * 200 // count)[:, None, None, None]
    write_video(path, frames)
    return path


def spread(root: Path, *paths: str, content: bytes = b"not looked at") -> Path:
    """Write files of the same content below a folder; returns the folder."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, by its relative path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
