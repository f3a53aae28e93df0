"""Conversions for the tests of converters: whole ones in this process, and one that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from phi3v_data.convert.engine import Progress
from phi3v_data.convert.engine import convert as convert_request
from phi3v_data.convert.planning import Request
from phi3v_data.convert.registry import load_converter
from phi3v_data.convert.sources import open_source
from phi3v_data.convert.worker import convert_parts
from tests.helpers import read_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from phi3v_data.convert.job import JobFolder
    from phi3v_data.convert.worker import Message
    from phi3v_schemas import Manifest

__all__ = ["convert_folder", "kill_after_a_part", "rejects"]


_KILLED = """
import os, signal
from phi3v_data.cli import main
from phi3v_data.convert import executors
from phi3v_data.convert.worker import PartDone

convert = executors.LocalExecutor.run

def convert_one_part(self, folder, parts, on_message):
    def kill_when_done(message):
        if isinstance(message, PartDone):
            os.killpg(0, signal.SIGKILL)
        on_message(message)
    convert(self, folder, parts, kill_when_done)

executors.LocalExecutor.run = convert_one_part
main()
"""
"""The command, but for its end: a watcher from outside might come too late."""


class _Here:
    """An executor without workers: what a worker does is done in this process."""

    def run(self, folder: JobFolder, parts: Sequence[int], on_message: Callable[[Message], None]) -> None:
        convert_parts(folder.out_dir, parts, on_message)


def convert_folder(name: str, source: Path, out_dir: Path, **options: Any) -> Manifest:
    """Convert a folder with the converter of that name and return the manifest; errors are raised."""
    converter = load_converter(name)
    opened = open_source(str(source), default=None, patterns=converter.files)
    request = Request(converter, converter.options_type(**options), opened, out_dir)
    silent = Progress(lambda planned, done: None, lambda message: None)
    return convert_request(request, _Here(), silent).manifest


def rejects(out_dir: Path) -> list[tuple[str, str | None, str]]:
    """Return source, split and code of every reject, in order; each says why in a sentence."""
    path = out_dir / "rejects.jsonl"
    rows = read_lines(path) if path.exists() else []
    assert all(row.keys() == {"source", "split", "code", "message"} and row["message"] for row in rows)
    return [(row["source"], row["split"], row["code"]) for row in rows]


def kill_after_a_part(name: str, source: Path, out_dir: Path, *flags: str) -> None:
    """Start a conversion that is killed with -9, its workers too, as soon as its first part is done."""
    words = ["-c", _KILLED, "convert", name, "--source", str(source), "--out_dir", str(out_dir), *flags]
    killed = subprocess.run([sys.executable, *words], start_new_session=True, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (out_dir / ".convert/parts").is_dir() and not (out_dir / "manifest.json").exists()
