"""What a file may be besides a plain one: compressed, a pipe, changed or gone while it is read."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from phi3v_data.validate import unpack as unpacking
from phi3v_data.validate import validate

if TYPE_CHECKING:
    from collections.abc import Callable


def line(record_id: str) -> bytes:
    turn = {"user": f"Hi, {record_id}?", "assistant": "Hello."}
    return json.dumps({"id": record_id, "source": "s", "conversations": [turn]}).encode() + b"\n"


LINES = line("a") + b"{broken\n" + line("a")
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("through", ["file", "stdin"])
def test_compressed_files_are_checked_and_told(tmp_path: Path, kind: str, through: str) -> None:
    file = tmp_path / "toy_train.jsonl"
    file.write_bytes(PACKERS[kind](LINES))
    before = set(Path(tempfile.gettempdir()).glob("phi3v-*"))
    command = [sys.executable, "-m", "phi3v_data", "validate", "--images", "none", "--format", "json"]
    with file.open("rb") as stream:
        done = subprocess.run(
            [*command, "-" if through == "stdin" else str(file)], stdin=stream, capture_output=True, check=False
        )
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert [(finding["line"], finding["code"]) for finding in report["findings"]] == [
        (None, "E111"),
        (2, "E101"),
        (3, "E301"),
    ]
    assert kind in report["findings"][0]["message"]
    assert report["records"] == 3
    assert set(Path(tempfile.gettempdir()).glob("phi3v-*")) <= before


def test_a_compressed_file_cut_short_is_checked_as_far_as_it_goes(tmp_path: Path) -> None:
    file = tmp_path / "toy_train.jsonl"
    packed = gzip.compress(b"".join(line(str(number)) for number in range(5000)))
    file.write_bytes(packed[: len(packed) // 2])
    result = validate([file], images="none")
    [first, *_] = result.findings
    assert (first.code, "damaged or cut short" in first.message) == ("E111", True)
    assert 0 < result.records < 5000


def test_zstd_is_told_whether_or_not_it_can_be_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "toy_train.jsonl.zst"
    file.write_bytes(b"\x28\xb5\x2f\xfd" + b"\0" * 50)
    [finding] = [finding for finding in validate([file], images="none").findings if finding.code == "E111"]
    assert "zstd" in finding.message
    assert "zstd -d" in finding.hint


def test_a_bomb_is_not_unpacked_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "_HARMLESS", 1 << 20)
    file = tmp_path / "toy_train.jsonl"
    file.write_bytes(gzip.compress(line("a") + b" " * 200_000_000))
    [first, *_] = validate([file], images="none").findings
    assert (first.code, "unpacks to more than" in first.message) == ("E111", True)


def test_a_named_pipe_is_read_once_and_checked_twice(tmp_path: Path) -> None:
    pipe = tmp_path / "toy_train.jsonl"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(LINES,))
    writer.start()
    found = [(finding.file, finding.line, finding.code) for finding in validate([pipe], images="none").findings]
    writer.join()
    assert found == [(str(pipe), 2, "E101"), (str(pipe), 3, "E301")]


@pytest.mark.parametrize("change", ["append", "replace", "truncate", "delete"])
def test_a_file_that_changes_while_it_is_read_is_a_finding(tmp_path: Path, change: str) -> None:
    first, second = tmp_path / "toy_train.jsonl", tmp_path / "toy_val.jsonl"
    first.write_bytes(line("a"))
    second.write_bytes(line("b"))

    def tamper(done: int, total: int | None) -> None:
        if done > len(line("a")):
            return
        if change == "append":
            with first.open("ab") as file:
                file.write(line("c"))
        elif change == "replace":
            other = tmp_path / "other"
            other.write_bytes(line("d"))
            other.replace(first)
        elif change == "truncate":
            os.truncate(first, 3)
        else:
            first.unlink()

    result = validate([first, second], images="none", on_progress=tamper)
    [finding] = result.findings
    assert (finding.code, finding.file) == ("E110", str(first))
    assert ("vanished" if change == "delete" else "was changed") in finding.message
    assert result.records == 2


def test_no_room_for_what_a_pipe_holds_is_one_sentence(tmp_path: Path) -> None:
    """A copy of standard input goes to TMPDIR; where that cannot be written, the sentence says so."""
    file = tmp_path / "toy_train.jsonl"
    file.write_bytes(LINES)
    readonly = tmp_path / "readonly"
    readonly.mkdir()
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50)); "
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "sys.argv[1:] = ['validate', '-']; from phi3v_data.cli import main; main()"
    )
    with file.open("rb") as stream:
        done = subprocess.run([sys.executable, "-c", code], stdin=stream, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "TMPDIR" in done.stderr
    assert "Traceback" not in done.stderr
