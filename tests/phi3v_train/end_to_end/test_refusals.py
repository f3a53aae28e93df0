"""What cannot be trained: one sentence and an exit code, and what an earlier run has saved stays as it is."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from phi3v_train.model import Phi3VConfig
from tests.helpers import snapshot
from tests.phi3v_train.end_to_end.commands import Command, complete_steps, figures
from tests.phi3v_train.end_to_end.conftest import write_dataset
from tests.phi3v_train.made_data import record, turn, write_split

if TYPE_CHECKING:
    from pathlib import Path

    from tests.phi3v_train.end_to_end.commands import Commands
    from tests.phi3v_train.end_to_end.conftest import Finished, Flags


def sentence(run: Command) -> str:
    """Return the error that a run has ended with, which must be one line and the last."""
    lines = [line for line in run.stderr.splitlines() if not line.startswith("Warning: ")]
    assert len(lines) == 1 and lines[0].startswith("Error: "), run.stderr
    return lines[0].removeprefix("Error: ")


@pytest.mark.parametrize(
    ("flag", "value", "code", "says"),
    [
        (
            "batch_size",
            5,
            2,
            "--batch_size 5 is no multiple of 1 processes × --batch_size_per_gpu 2: the nearest is 4 or 6",
        ),
        ("precision", "fp16", 2, "a CPU does not compute in fp16: give --precision bf16"),
        ("attention", "flash", 2, "flash attention runs on GPUs only: give --attention sdpa"),
        ("deepspeed", "zero4", 2, "--deepspeed 'zero4' is no file: give zero2, zero3, none or a configuration's path"),
        ("data_dir", "nowhere", 3, "nowhere"),
        ("train_split", "day", 3, "has no split 'day', it has train, val: name one by --train_split"),
        ("eval_split", "test", 3, "no --data_dir has the split 'test' for --eval_steps"),
        ("model_name_or_path", "nowhere/at/all", 3, "there is no folder nowhere/at/all: check the name"),
        ("config", "nowhere.toml", 3, "--config nowhere.toml cannot be read: No such file or directory"),
        ("report_to", "nobody", 2, "--report_to nobody is no tracker that transformers knows"),
    ],
)
def test_flags_that_cannot_be_followed(
    commands: Commands, flags: Flags, tmp_path: Path, flag: str, value: Any, code: int, says: str
) -> None:
    assert says in sentence(commands.run(*flags(tmp_path / "run", **{flag: value}), code=code))
    assert not snapshot(tmp_path).keys() - {"run/data_check.json"}


class TestModels:
    def test_of_another_type(self, commands: Commands, flags: Flags, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
        run = commands.run(*flags(tmp_path / "run", model_name_or_path=tmp_path), code=3)
        assert sentence(run) == f"{tmp_path} is a model of the type 'llama', and only 'phi3_v' is trained here"

    def test_an_adapter(
        self,
        commands: Commands,
        flags: Flags,
        finished: Finished,
        tiny: Path,
        tmp_path: Path,
    ) -> None:
        final = finished("lora") / "final"
        run = commands.run(*flags(tmp_path / "run", model_name_or_path=final), code=3)
        assert sentence(run).startswith(
            f"{final} holds an adapter, not a model: give the model that it was trained on, "
        )
        assert sentence(run).endswith(str(tiny))

    def test_the_real_one_on_a_device_that_is_too_small(self, commands: Commands, flags: Flags, tmp_path: Path) -> None:
        """Its weights are not looked for: there are none."""
        Phi3VConfig().save_pretrained(tmp_path)
        run = commands.run(*flags(tmp_path / "run", model_name_or_path=tmp_path, device_memory=24), code=3)
        assert sentence(run).startswith("training needs ")
        assert "a device has 25.8 GB: it fits with --" in sentence(run)


class TestData:
    @pytest.fixture
    def own(self, tmp_path: Path) -> Path:
        (tmp_path / "own").mkdir()
        return write_dataset(tmp_path / "own")

    def test_changed_after_its_manifest(self, commands: Commands, flags: Flags, own: Path, tmp_path: Path) -> None:
        write_split(own, "train", [record("another")])
        run = commands.run(*flags(tmp_path / "run", data_dir=own), code=3)
        assert f"phi3v-data manifest {own} accepts them" in run.stderr

    def test_an_image_is_gone_when_its_turn_comes(
        self,
        commands: Commands,
        flags: Flags,
        finished: Finished,
        own: Path,
        tmp_path: Path,
    ) -> None:
        """What was found out about the data is known before, and is not found out again."""
        output_dir = tmp_path / "run"
        command = flags(output_dir, data_dir=own)
        commands.run(*command, "--dry_run")
        image = own / "images" / "64x48-b.png"
        content = image.read_bytes()
        image.unlink()
        assert sentence(commands.run(*command, code=3)).startswith(f"{own / 'made_train.jsonl'}:7: ")
        saved = complete_steps(output_dir)[-1]
        image.write_bytes(content)
        assert commands.run(*command).went_on_from() == saved
        assert figures(output_dir) == figures(finished("full"))


class TestFailures:
    def test_another_run_is_at_work_in_the_folder(self, commands: Commands, flags: Flags, tmp_path: Path) -> None:
        first = commands.start(*flags(tmp_path, max_steps=3)).until_step(1)
        assert sentence(commands.run(*flags(tmp_path, max_steps=3), code=3)) == (
            f"another run is at work in {tmp_path}: wait for it, or give another --output_dir"
        )
        first.wait()

    def test_no_room_on_the_disk(self, commands: Commands, flags: Flags, tmp_path: Path) -> None:
        """The checkpoint that is there stays, and the same command goes on from it once there is room."""
        changes = {"eval_steps": None, "num_workers": 0}
        commands.run(*flags(tmp_path, max_steps=2, **changes))
        before = snapshot(tmp_path / "checkpoint-2")
        command = flags(tmp_path, max_steps=3, **changes)
        run = commands.run(*command, limits={"RLIMIT_FSIZE": 100_000}, code=3)
        full = f"no space left for {tmp_path / 'checkpoint-3'}: free some space and run the same command again"
        assert sentence(run) == full
        assert snapshot(tmp_path / "checkpoint-2") == before and complete_steps(tmp_path) == [2]
        assert commands.run(*command).went_on_from() == 2
        assert complete_steps(tmp_path) == [2, 3]

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to RLIMIT_AS")
    def test_no_room_in_memory(self, commands: Commands, flags: Flags, tmp_path: Path) -> None:
        write_split(tmp_path, "train", [record("long", turn("Say it.", "A cat. " * 2000))])
        changes = {"attention": "eager", "batch_size": 2, "eval_steps": None, "num_workers": 0}
        command = flags(tmp_path / "run", data_dir=tmp_path, **changes)
        run = commands.run(*command, limits={"RLIMIT_AS": commands.address_space + (2 << 30)}, code=3)
        assert sentence(run).startswith("out of memory in step 1")
        assert ": lower it with --batch_size_per_gpu 1 or " in sentence(run)

    def test_a_loss_that_is_no_number(self, commands: Commands, flags: Flags, tmp_path: Path) -> None:
        run = commands.run(*flags(tmp_path, learning_rate=1e30, save_steps=1, eval_steps=None), code=3)
        said = re.fullmatch(
            r"the loss is (?:nan|inf) in step (\d) at (t\d+) of \S+, (t\d+) of \S+: (.*)", sentence(run)
        )
        assert said is not None and said[4].startswith("look at these records, then try a lower --learning_rate")
        assert complete_steps(tmp_path)[-1] == int(said[1]) - 1
