"""The page for those who come from the recipe: each of its commands is run, and each of its flags is there.

Commands are run as the page says for a machine without a GPU and a download: on a tiny checkpoint and clips made up,
one step each. One is started by torchrun, in two processes; of the others torchrun and its flags are left away.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from phi3v_data.convert.command import convert_command
from phi3v_schemas import Record
from phi3v_train.cli import cli
from phi3v_train.flags import given_flags
from phi3v_train.options import TrainOptions
from phi3v_train.settings import gather_options
from tests.helpers import run
from tests.phi3v_train.end_to_end.commands import Commands

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/from-the-recipe.md").read_text()

CONVERSION = "--source videos --num_frames 2"
OTHERS = "--source NAME_sample"
TRAINING = "--model_name_or_path tiny --num_crops 1 --batch_size 2 --max_steps 1"
EVALUATION = "--limit 2 --max_new_tokens 4"
REFUSAL = "flash attention runs on GPUs only: give --attention sdpa"

RUNS = {"first", "output", "full", "v100", "lora", "qlora", "nlvr2"}
"""Folders of the runs on the page."""

TRAINER_FLAGS = {
    *("model_name_or_path", "data_dir", "full_train", "output_dir", "batch_size", "batch_size_per_gpu", "num_crops"),
    *("num_train_epochs", "learning_rate", "wd", "use_flash_attention", "bf16", "freeze_vision_model", "use_lora"),
    *("use_qlora", "lora_rank", "lora_alpha_ratio", "lora_dropout", "no-tqdm"),
}
"""Those of the recipe's four trainers, together."""


def our_lines() -> Iterator[str]:
    """Return our commands, top down; the recipe's stand in blocks of text."""
    for block in re.findall(r"^```bash\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE):
        yield from block.replace("\\\n", " ").splitlines()


def flag_rows(heading: str) -> list[list[str]]:
    """Return the table of flags below a heading: the recipe's, its default, ours, its default, what differs."""
    table = PAGE.split(f"\n## {heading}\n")[1].split("| the recipe's flag ")[1].split("\n\n")[0]
    return [[cell.strip().replace("`", "") for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]


class Newcomer:
    """Types commands of the page in one folder.

    Args:
        folder: The folder.
        commands: Starts `phi3v-train` there.
    """

    def __init__(self, folder: Path, commands: Commands) -> None:
        self._folder = folder
        self._commands = commands
        self._has_seen_torchrun = False

    def type_in(self, line: str) -> None:
        """Run a command to its end, which must be a good one."""
        program, *words = shlex.split(line, comments=True)
        if program == "phi3v-data":
            run(*words, *self._of_a_sample(words), cwd=self._folder)
        elif program == "phi3v-train":
            self._commands.run(*self._on_a_laptop(words))
        elif program == "torchrun":
            words = self._on_a_laptop(words[words.index("phi3v_train") + 1 :])
            if self._has_seen_torchrun:
                self._commands.run(*words)
            else:
                self._has_seen_torchrun = True
                self._commands.start_torchrun(2, *words).wait()
        elif program != "pip":
            subprocess.run(["/bin/sh", "-c", line], cwd=self._folder, check=True)

    def _of_a_sample(self, words: list[str]) -> list[str]:
        """Return what the page adds to a conversion."""
        if words[0] != "convert":
            return []
        return CONVERSION.split() if words[1] == "ucf101" else OTHERS.replace("NAME", words[1]).split()

    def _on_a_laptop(self, words: list[str]) -> list[str]:
        """Do with the words of a command of `phi3v-train` as the page says."""
        if words[0] == "eval":
            return [*words, *EVALUATION.split()]
        if words[0] == "generate":
            return [*words[:-1], str(next((self._folder / "ucf101/images/val").rglob("*.jpg")))]
        if not words[0].startswith("--"):
            return words
        words = [*words, *TRAINING.split()]
        if "--use_flash_attention" in words:
            assert self._commands.run(*words, code=2).stderr == f"Error: {REFUSAL}\n"
            words.remove("--use_flash_attention")
        return words


def test_every_command_runs(tmp_path: Path) -> None:
    assert all(f"`{said}`" in PAGE.replace("\n", " ") for said in (CONVERSION, OTHERS, TRAINING, EVALUATION, REFUSAL))
    with Commands(tmp_path) as commands:
        newcomer = Newcomer(tmp_path, commands)
        for line in our_lines():
            newcomer.type_in(line)
    assert {folder.parent.name for folder in tmp_path.glob("*/final")} == RUNS
    for name in ("lora", "output"):
        assert {file.name for file in (tmp_path / name).glob("eval*")} == {"eval_before.json", "eval_after.json"}
    assert (tmp_path / "merged/model.safetensors").exists()


def test_the_line_of_the_recipe_is_a_record() -> None:
    (line,) = re.findall(r"^```json\n(.*)\n```", PAGE, re.MULTILINE)
    assert Record.model_validate_json(line).model_dump(mode="json", exclude_none=True) == json.loads(line)


def test_what_is_installed_are_extras_that_there_are() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = re.findall(r"^pip install 'phi3v-data\[([a-z,]+)\]'", PAGE, re.MULTILINE)
    assert len(named) == 2 and set(",".join(named).split(",")) <= extras.keys()


def test_no_flag_of_the_recipe_is_missing() -> None:
    assert {row[0].removeprefix("--") for row in flag_rows("Flags")} == TRAINER_FLAGS
    assert {row[0] for row in flag_rows("Data")} == {"--out_dir", "--tmp_dir"}


@pytest.mark.parametrize("row", flag_rows("Flags"), ids=lambda row: row[0].removeprefix("--"))
def test_a_flag_of_ours_has_the_default_that_is_stated(row: list[str]) -> None:
    _, _, flag, stated, _ = row
    if flag == "–":
        assert stated == "–"
        return
    field = TrainOptions.model_fields[flag.removeprefix("--").replace("-", "_")]
    if field.is_required():
        assert stated == "required"
    elif field.default is False:
        assert stated.startswith("off")
    else:
        assert type(field.default)(stated) == field.default


def test_the_flags_are_taken_in_the_spelling_of_the_recipe() -> None:
    """All at once, with its defaults."""
    command_line = ["--data_dir", "ucf101"]
    for flag, default, *_ in flag_rows("Flags"):
        if flag not in ("--data_dir", "--full_train"):
            command_line += [flag] if default.startswith("off") else [flag, default.split(";")[0]]
    context = cli.make_context("phi3v-train", command_line)
    flags = {name: value for name, value in context.params.items() if name in TrainOptions.model_fields}
    options, given = gather_options(given_flags(flags))
    stood_for = {"attention", "precision"}  # by two of them
    assert given - stood_for == {flag.replace("-", "_") for flag in TRAINER_FLAGS} - {"full_train"}
    assert options.method == "qlora_frozen_vision" and options.no_tqdm
    assert (options.precision, options.attention) == ("bf16", "flash")
    assert (options.batch_size, options.num_crops, options.learning_rate) == (16, 16, 4e-5)


def test_the_other_flags_that_are_named_are_there() -> None:
    section = PAGE.split("\n## Flags\n")[1].split("\n## Measure\n")[0].replace("--no-tqdm", "--no_tqdm")
    assert set(re.findall(r"--[a-z][a-z0-9_]*", section)) - {"--full_train"} <= spellings(cli)
    section = PAGE.split("\n## Measure\n")[1].split("\n## ")[0].replace("--nproc_per_node", "")
    assert set(re.findall(r"--[a-z][a-z0-9_]*", section)) <= spellings(cli.commands["eval"])
    assert {row[2] for row in flag_rows("Data")} - {"–"} <= spellings(convert_command("ucf101"))


def spellings(command: click.Command) -> set[str]:
    return {spelling for parameter in command.params for spelling in (*parameter.opts, *parameter.secondary_opts)}
