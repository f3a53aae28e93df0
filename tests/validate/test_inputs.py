"""What a file may be besides a plain one: compressed, a pipe, changed or gone while it is read."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from phi3v_data.validate import unpack as unpacking
from phi3v_data.validate import validate
from tests.formats.shards import reshard, write_dataset

if TYPE_CHECKING:
    from collections.abc import Callable


def line(record_id: str) -> bytes:
    turn = {"user": f"Hi, {record_id}?", "assistant": "Hello."}
    return json.dumps({"id": record_id, "source": "s", "conversations": [turn]}).encode() + b"\n"


ROOT = Path(__file__).parents[2]
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


def test_all_frames_of_zstd_are_unpacked(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    file = tmp_path / "toy_train.jsonl.zst"
    file.write_bytes(b"".join(zstandard.ZstdCompressor().compress(line(name)) for name in "abc"))
    result = validate([file], images="none")
    assert (result.records, result.counts) == (3, {"E111": 1})


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


def test_shards_that_vanish_are_findings_and_stop_nothing(tmp_path: Path) -> None:
    for name in "abc":
        write_dataset(tmp_path / name, {"train": [line(name).strip()]})
        reshard(tmp_path / name, tmp_path / f"{name}.out", "webdataset")
    paths = [next((tmp_path / f"{name}.out").glob("*.tar")) for name in "abc"]

    def delete(done: int, total: int | None) -> None:
        paths[1].unlink(missing_ok=True)
        paths[0].unlink(missing_ok=True)

    result = validate(paths, images="none", workers=2, on_progress=delete)
    found = {(Path(finding.file).parent.name, finding.code) for finding in result.findings}
    assert ("a.out", "E110") in found
    assert found & {("b.out", "E107"), ("b.out", "E110")}
    assert not {code for name, code in found if name == "c.out"}


def test_a_listed_file_that_vanishes_before_its_checksum_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(ROOT / "schemas/examples/valid/dataset", folder)
    names = sorted(path.name for path in folder.glob("*.jsonl"))
    result = validate([folder], on_progress=lambda done, total: (folder / names[1]).unlink(missing_ok=True))
    assert result.records > 0
    assert {finding.code for finding in result.findings if finding.file.endswith(names[1])} <= {"E107", "E110"}
    assert result.errors


def test_a_cut_shard_is_told_once_and_proved_by_its_checksum(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", {"train": [line(name).strip() for name in "abc"]})
    reshard(tmp_path / "data", tmp_path / "out", "parquet")
    [shard] = (tmp_path / "out").glob("*.parquet")
    os.truncate(shard, shard.stat().st_size // 2)
    assert validate([tmp_path / "out"], images="none").counts == {"E109": 1, "E602": 1}


def test_closed_standard_input_is_a_finding() -> None:
    command = [sys.executable, "-m", "phi3v_data", "validate", "-", "--format", "json"]
    done = subprocess.run(["sh", "-c", 'exec "$@" <&-', "sh", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    [finding] = json.loads(done.stdout)["findings"]
    assert (finding["code"], finding["message"]) == ("E107", "cannot be read: standard input is closed")


def test_standard_input_named_twice_is_read_once() -> None:
    command = [sys.executable, "-m", "phi3v_data", "validate", "-", "-", "--images", "none", "--format", "json"]
    done = subprocess.run(command, input=line("a"), capture_output=True, check=False)
    report = json.loads(done.stdout)
    assert (report["files"], report["records"], report["counts"]) == (["<stdin>"], 1, {})


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 143), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_no_copy_behind(tmp_path: Path, number: signal.Signals, code: int) -> None:
    command = [sys.executable, "-m", "phi3v_data", "validate", "-"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    inherited = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored, and would be there too
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        signal.signal(signal.SIGHUP, inherited)
        assert process.stdin is not None
        process.stdin.write(b"x" * (1 << 21))  # more than a pipe holds: so it is being copied
        process.stdin.flush()
        process.send_signal(number)
        process.stdin.close()
        process.stdin = None
        _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert b"Traceback" not in said
    assert list(tmp_path.iterdir()) == []


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
