"""The folder of an export: whole or not at all, never over anything else, replaced only when asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from phi3v_data import __version__
from phi3v_data.errors import DataError
from phi3v_data.export.exporter import export
from phi3v_data.fs import hold_folder
from phi3v_data.reader import Dataset
from tests.export.made import TRAIN, png, write_dataset, write_lines
from tests.helpers import run, snapshot

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = ["llava", "messages", "hf"]

_STOPPED = """
import os, signal
from phi3v_data.cli import main
from phi3v_data.export import {module}

write = {module}.{target}.write_split
def stop_after(self, split, examples):
    write(self, split, examples)
    os.kill(os.getpid(), signal.{signal})
{module}.{target}.write_split = stop_after
main()
"""
"""The command, stopped when its first split is written: a watcher from outside might come too late."""

_KILLED_IN_MOVES = """
import os, signal
from pathlib import Path
from phi3v_data.cli import main

rename = Path.rename
def kill_at(self, target):
    rename(self, target)
    if Path(target).name == "train.json" and Path(target).parent.name == "out":
        os.kill(os.getpid(), signal.SIGKILL)
Path.rename = kill_at
main()
"""
TARGETS = {"llava": "LlavaTarget", "messages": "MessagesTarget", "hf": "HubTarget"}


def stopped(code: str, *args: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def stop_at_first_split(to: str, number: signal.Signals, *args: str | Path) -> subprocess.CompletedProcess[str]:
    code = _STOPPED.format(module=to, target=TARGETS[to], signal=number.name)
    return stopped(code, "export", "--to", to, *args)


@pytest.mark.parametrize("to", FORMATS)
def test_a_kill_leaves_nothing_that_claims_to_be_whole(to: str, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "data")
    killed = stop_at_first_split(to, signal.SIGKILL, dataset, "--out_dir", tmp_path / "out")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".phi3v-writing"]
    run("export", dataset, "--to", to, "--out_dir", tmp_path / "out")
    run("export", dataset, "--to", to, "--out_dir", tmp_path / "undisturbed")
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "undisturbed")


@pytest.mark.parametrize(("number", "code", "word"), [("SIGINT", 130, "Interrupted"), ("SIGTERM", 143, "Terminated")])
def test_an_interruption_leaves_nothing(number: str, code: int, word: str, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "data")
    done = stop_at_first_split("llava", signal.Signals[number], dataset, "--out_dir", tmp_path / "out")
    assert (done.returncode, done.stderr) == (code, f"{word}. Nothing was exported: run the same command again.\n")
    assert not (tmp_path / "out").exists()


def test_overwriting_replaces_all_that_an_export_wrote(tmp_path: Path) -> None:
    dataset, out = write_dataset(tmp_path / "data"), tmp_path / "out"
    run("export", dataset, "--to", "hf", "--out_dir", out)
    done = run("export", dataset, "--to", "llava", "--out_dir", out, code=2)
    expected = f"Error: {out} holds an export: replace it with --overwrite, or choose another --out_dir\n"
    assert done.stderr == expected
    run("export", dataset, "--to", "llava", "--out_dir", out, "--overwrite")
    run("export", dataset, "--to", "llava", "--out_dir", tmp_path / "anew")
    assert snapshot(out) == snapshot(tmp_path / "anew")


def test_an_export_that_fails_leaves_the_earlier_one(tmp_path: Path) -> None:
    dataset, out = write_dataset(tmp_path / "data"), tmp_path / "out"
    run("export", dataset, "--to", "llava", "--out_dir", out)
    before = snapshot(out)
    (dataset / "images/val/a.png").unlink()
    run("export", dataset, "--to", "messages", "--out_dir", out, "--overwrite", code=1)
    assert snapshot(out) == before


def test_a_kill_amid_the_moves_of_overwriting_is_mended_by_the_next_run(tmp_path: Path) -> None:
    dataset, out = write_dataset(tmp_path / "data"), tmp_path / "out"
    run("export", dataset, "--to", "messages", "--out_dir", out)
    args = ("export", dataset, "--to", "llava", "--out_dir", out, "--overwrite")
    assert stopped(_KILLED_IN_MOVES, *args).returncode == -signal.SIGKILL
    assert (out / "train.json").exists() and not (out / ".phi3v-export.json").exists()
    run(*args)
    run("export", dataset, "--to", "llava", "--out_dir", tmp_path / "anew")
    assert snapshot(out) == snapshot(tmp_path / "anew")


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_a_foreign_folder_is_refused(overwrite: list[str], tmp_path: Path) -> None:
    dataset, out = write_dataset(tmp_path / "data"), tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    done = run("export", dataset, "--to", "llava", "--out_dir", out, *overwrite, code=2)
    assert done.stderr == f"Error: {out} is not empty and holds no export: choose another --out_dir\n"
    assert snapshot(out) == {"thesis.tex": b"years of work"}


@pytest.mark.parametrize("marker", ["{", "[]", '{"files": 3}', '{"format": "llava"}'])
def test_a_marker_that_is_none_makes_no_export(marker: str, tmp_path: Path) -> None:
    dataset, out = write_dataset(tmp_path / "data"), tmp_path / "out"
    out.mkdir()
    (out / ".phi3v-export.json").write_text(marker)
    run("export", dataset, "--to", "llava", "--out_dir", out, "--overwrite", code=2)
    assert snapshot(out) == {".phi3v-export.json": marker.encode()}


def test_what_others_put_beside_an_export_is_not_removed(tmp_path: Path) -> None:
    dataset, out = write_dataset(tmp_path / "data"), tmp_path / "out"
    run("export", dataset, "--to", "llava", "--out_dir", out)
    (out / "checkpoint-100").mkdir()
    done = run("export", dataset, "--to", "llava", "--out_dir", out, "--overwrite", code=2)
    assert "holds 'checkpoint-100' beside an export: move it away" in done.stderr
    assert (out / "checkpoint-100").is_dir()


@pytest.mark.parametrize("where", [".", "export", "images", "images/new", ".."])
def test_a_dataset_is_not_written_onto_into_or_around(where: str, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "data")
    before = snapshot(tmp_path)
    for data in (dataset, dataset / "made_train.jsonl"):
        if data == dataset or where != "export":
            done = run("export", data, "--to", "llava", "--out_dir", dataset / where, "--overwrite", code=2)
            assert done.stderr.endswith(f"and the dataset {data} are not apart: choose another --out_dir\n")
    (tmp_path / "link").symlink_to(dataset)
    run("export", dataset, "--to", "llava", "--out_dir", tmp_path / "link", "--overwrite", code=2)
    (tmp_path / "link").unlink()
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("room", [60, 3 << 20])
@pytest.mark.parametrize("to", FORMATS)
def test_a_full_disk_is_one_sentence(to: str, room: int, tmp_path: Path) -> None:
    dataset, out = write_dataset(tmp_path / "data"), tmp_path / "out"
    with (dataset / "images/train/b.png").open("ab") as file:
        file.write(bytes(20 << 20))
    code = (
        "import resource, signal; from phi3v_data.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, resource.RLIM_INFINITY))\nmain()"
    )
    done = stopped(code, "export", dataset, "--to", to, "--out_dir", out)
    sentence = f"Error: no space left for {out}: free some space and run the same command again\n"
    assert (done.returncode, done.stderr) == (3, sentence)
    assert not out.exists()


def test_another_run_in_the_folder(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "data")
    with hold_folder(tmp_path / "out"):
        done = run("export", dataset, "--to", "llava", "--out_dir", tmp_path / "out", code=3)
    sentence = f"another run is writing into {tmp_path / 'out'}: wait for it or choose another --out_dir"
    assert done.stderr == f"Error: {sentence}\n"


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--to", "hf", "--image_tags"], "--image_tags has no meaning for --to hf: it is for messages"),
        (["--to", "messages", "--llama_factory"], "--llama_factory has no meaning for --to messages: it is for llava"),
        (["--to", "llava", "--shard_mb", "5"], "--shard_mb has no meaning for --to llava: it is for hf"),
    ],
)
def test_a_flag_of_another_format(flags: list[str], says: str, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "data")
    assert run("export", dataset, *flags, "--out_dir", tmp_path / "out", code=2).stderr == f"Error: {says}\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "x\ny"])
def test_a_split_whose_name_cannot_be_a_files(name: str, tmp_path: Path) -> None:
    dataset = write_lines(tmp_path / "data", TRAIN[1])
    with pytest.raises(DataError, match=r"of a split .*, so no file can have it"):
        export(Dataset(dataset / "made_train.jsonl", split=name), "llava", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_marker_says_what_was_written(tmp_path: Path) -> None:
    exported = export(Dataset(write_dataset(tmp_path / "data")), "llava", tmp_path / "out")
    marker: dict[str, Any] = json.loads((tmp_path / "out/.phi3v-export.json").read_text())
    expected = {"phi3v_data": __version__, **exported.document(), "files": ["images", "train.json", "val.json"]}
    assert marker == expected


def test_memory_does_not_grow_with_the_dataset(tmp_path: Path) -> None:
    """Twenty times the records, with an image of a megabyte each, take no more than a few images' worth more."""
    image = png(1) + os.urandom(1 << 20)
    peaks = []
    for count in (10, 200):
        folder = tmp_path / str(count)
        (folder / "images").mkdir(parents=True)
        (folder / "images/0.png").write_bytes(image)
        for number in range(1, count):
            (folder / f"images/{number}.png").hardlink_to(folder / "images/0.png")
        turns = [{"images": [f"{number}.png"], "user": "What?", "assistant": "That."} for number in range(count)]
        records = [{"id": str(n), "source": "made", "conversations": [turn]} for n, turn in enumerate(turns)]
        write_lines(folder, *records)
        code = "import resource; from phi3v_data.cli import cli\ncli(standalone_mode=False)\n"
        code += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        done = stopped(code, "export", folder, "--to", "hf", "--out_dir", folder / "../out" / str(count))
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout.splitlines()[-1]) / 1024)
    assert peaks[1] < peaks[0] + 60, peaks
