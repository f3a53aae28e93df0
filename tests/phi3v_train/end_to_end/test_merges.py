"""The command `merge` on what runs have left: what it says, and that kills and full disks leave nothing in part."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.helpers import snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.phi3v_train.end_to_end.commands import Commands
    from tests.phi3v_train.end_to_end.conftest import Finished


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_it_says_what_it_did(commands: Commands, finished: Finished, tiny: Path, tmp_path: Path, method: str) -> None:
    run = commands.run("merge", str(finished(method)), str(tmp_path / "out"))
    merged, wrote, agree, _ = run.stdout.splitlines()
    as_seen = " as QLoRA saw it, quantised to 4 bits and back" if method == "qlora" else ""
    assert re.fullmatch(rf"Merged an adapter of rank 4 on \d+ layers into {tiny}{as_seen}\.", merged)
    size = sum(map(len, snapshot(tmp_path / "out").values())) / 1e6
    assert wrote == f"Wrote {tmp_path / 'out'}: fp32, {size:.1f} MB." and run.stderr == ""
    assert re.fullmatch(r"Logits agree: largest difference \S+, largest logit [\d.]+\.", agree)


def test_a_fresh_process_loads_it_with_one_line(commands: Commands, finished: Finished, tmp_path: Path) -> None:
    run = commands.run("merge", str(finished("lora")), str(tmp_path / "out"))
    shell = run.stdout.splitlines()[-1].removeprefix("Next: ").replace("python", shlex.quote(sys.executable), 1)
    pasted = subprocess.run(["/bin/sh", "-c", shell], capture_output=True, text=True, check=True)
    assert pasted.stdout.startswith("Phi3VForCausalLM(")


def test_a_checkpoint_is_merged_into_shards_and_replaced(
    commands: Commands, finished: Finished, tmp_path: Path
) -> None:
    command = ["merge", str(finished("lora") / "checkpoint-8"), str(tmp_path / "out")]
    commands.run(*command, "--max_shard_size", "100KB")
    assert len(list((tmp_path / "out").glob("*.safetensors"))) > 1
    assert "is not empty: give another folder, or --overwrite" in commands.run(*command, code=2).stderr
    commands.run(*command, "--overwrite")
    assert [file.name for file in (tmp_path / "out").glob("*.safetensors*")] == ["model.safetensors"]


def test_a_whole_model_is_not_merged(commands: Commands, finished: Finished, tmp_path: Path) -> None:
    run = commands.run("merge", str(finished("full")), str(tmp_path / "out"), code=2)
    assert run.stderr == f"Error: {finished('full')} is no adapter: it is whole already\n"


def test_no_room_on_the_disk(commands: Commands, finished: Finished, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = commands.run("merge", str(finished("lora")), str(out), limits={"RLIMIT_FSIZE": 100_000}, code=3)
    assert run.stderr == f"Error: no space left for {out}: free some space and run the same command again\n"
    assert not out.exists()


@pytest.mark.parametrize("moment", ["model.safetensors", "tokenizer.json"])
def test_a_kill_leaves_no_checkpoint_and_the_next_call_writes_it(
    commands: Commands, finished: Finished, tmp_path: Path, moment: str
) -> None:
    out = tmp_path / "out"
    command = ["merge", str(finished("lora")), str(out)]
    run = commands.start(*command).until(lambda: any(out.glob(f".*/new/{moment}")))
    run.send(signal.SIGKILL).wait(-signal.SIGKILL)
    assert not (out / "config.json").exists()
    commands.run(*command)
    assert (out / "config.json").exists() and not list(out.glob(".*"))


@pytest.mark.parametrize(("number", "code", "word"), [(2, 130, "Interrupted"), (15, 143, "Terminated")])
def test_an_interruption_says_how_to_go_on(
    commands: Commands, finished: Finished, tmp_path: Path, number: int, code: int, word: str
) -> None:
    out = tmp_path / "out"
    run = commands.start("merge", str(finished("lora")), str(out))
    run.until(lambda: any(out.glob(".*/new"))).send(number).wait(code)
    assert run.stderr == f"{word}. {out} is as it was: run the same command again.\n"
    assert not out.exists()
