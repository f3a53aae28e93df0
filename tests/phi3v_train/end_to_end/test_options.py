"""What flags make of a run: a plan alone, a run from a file, a preset, pictures and trackers, several datasets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from transformers import AutoModelForCausalLM, AutoProcessor

import phi3v_train.model  # noqa: F401  # tells transformers about the model
from phi3v_data.manifest.renew import renew_manifest
from tests.helpers import snapshot
from tests.phi3v_train.end_to_end.by_hand import sum_of_losses
from tests.phi3v_train.end_to_end.commands import figures, losses
from tests.phi3v_train.made_data import record, turn, write_split

if TYPE_CHECKING:
    from pathlib import Path

    from tests.phi3v_train.end_to_end.commands import Commands
    from tests.phi3v_train.end_to_end.conftest import Finished, Flags


def test_a_dry_run_shows_all_and_trains_nothing(
    commands: Commands, flags: Flags, data: Path, tiny: Path, tmp_path: Path
) -> None:
    run = commands.run(*flags(tmp_path, "lora_frozen_vision"), "--dry_run")
    lines = dict(re.findall(r"^([A-Z]\w+) {2,}(.*)$", run.stdout, re.MULTILINE))
    assert lines["Model"] == str(tiny)
    assert lines["Method"] == "LoRA on language: rank 4, alpha 8, dropout 0"
    assert lines["Data"].startswith(f"{data} (12) records; 33 to 707 tokens, median 69, 52% of images; ")
    assert lines["Steps"].startswith("8 of 4 records (1 × 2 × 2 accumulated), ")
    assert lines["Rate"].startswith("0.003, up over 1 step, then down to 0; ")
    assert lines["Device"] == "1 × cpu, fp32, sdpa"
    assert re.match(r"about \d+\.\d GB on each device: weights ", lines["Memory"])
    assert re.search(r"^adapters: language +8,864 +0  float32$", run.stdout, re.MULTILINE)
    assert re.search(r"^total +8,864 +204,064  4.16% trains$", run.stdout, re.MULTILINE)
    assert snapshot(tmp_path).keys() == {"data_check.json"}


def test_groups_in_two_splits_are_told_of_and_stop_nothing(commands: Commands, flags: Flags, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    write_split(data, "train", [record(name) | {"group": "one"} for name in ("a", "b")])
    write_split(data, "val", [record("c", turn("Why?", "So.")) | {"group": "one"}])
    assert renew_manifest(data).manifest
    run = commands.run(*flags(tmp_path / "out", data_dir=data), "--dry_run")
    assert f"\nData     {data} (2) records; " in run.stdout
    assert run.stderr.splitlines() == [
        f"Warning: {data} has groups that are in several splits, so that an evaluation on one is no proof: "
        f"phi3v-data validate {data} shows them"
    ]


def test_a_preset_fills_in_what_no_flag_gives(commands: Commands, flags: Flags, tmp_path: Path) -> None:
    changes = {"max_steps": None, "batch_size": None, "learning_rate": 2e-5, "preset": "nlvr2"}
    run = commands.run(*flags(tmp_path, **changes), "--dry_run")
    assert "\nSteps    3 of 64 records (1 × 2 × 32 accumulated), " in run.stdout  # three epochs of twelve records
    assert "\nRate     2e-05, " in run.stdout


def test_a_run_can_be_repeated_from_its_file(commands: Commands, finished: Finished, tmp_path: Path) -> None:
    before = finished("lora")
    commands.run("--config", str(before / "final" / "run.toml"), "--output_dir", str(tmp_path))
    assert figures(tmp_path) == figures(before)


def test_the_picture_shows_something(finished: Finished) -> None:
    for folder in (finished("full"), finished("full") / "final"):
        with Image.open(folder / "training.png") as picture:
            assert picture.format == "PNG"
            assert 800 <= picture.width <= 2000 and 500 <= picture.height <= 1500
            blue = np.array([0x1F, 0x5F, 0xA8])  # the line of the losses
            assert (np.asarray(picture.convert("RGB")) == blue).all(axis=-1).sum() > 100


def test_a_tracker_gets_the_losses(commands: Commands, flags: Flags, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    commands.run(*flags(tmp_path, max_steps=2, eval_steps=None, report_to="tensorboard"))
    (events,) = tmp_path.rglob("events.out.tfevents.*")
    told = EventAccumulator(str(events)).Reload().Scalars("train/loss")
    assert [event.step for event in told] == [1, 2]
    assert [event.value for event in told] == pytest.approx(losses(tmp_path))


def test_datasets_are_mixed_by_weight(commands: Commands, flags: Flags, tiny: Path, tmp_path: Path) -> None:
    """An epoch has as many draws as records, eight, of which three in four are of the second dataset."""
    model, processor = AutoModelForCausalLM.from_pretrained(tiny), AutoProcessor.from_pretrained(tiny)
    expected = np.zeros(2)
    for name, draws in (("short", 2), ("long", 6)):
        (tmp_path / name).mkdir()
        answer = "Me. " if name == "short" else "All of us, and some others. "
        write_split(tmp_path / name, "train", [record(f"{name}{number}", turn("Who?", answer)) for number in range(4)])
        expected += np.array(sum_of_losses(model, processor, tmp_path / name, "train")) * draws / 4
    changes = {"data_dir": [tmp_path / "short", tmp_path / "long"], "weights": ["1,3"], "max_steps": None}
    run = commands.run(*flags(tmp_path / "run", **changes, batch_size=8, eval_steps=None))
    assert "(4) records; " in run.stdout and "\nSteps    1 of 8 records " in run.stdout
    assert losses(tmp_path / "run") == [pytest.approx(expected[0] / expected[1])]
