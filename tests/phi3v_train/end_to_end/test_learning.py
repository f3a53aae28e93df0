"""Runs that learn: a model that knew nothing answers right about images that it has not seen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from phi3v_data.manifest.renew import renew_manifest
from tests.phi3v_train.end_to_end.commands import as_flags
from tests.phi3v_train.made_data import record, turn, write_split
from tests.phi3v_train.runs import FLAGS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.phi3v_train.end_to_end.commands import Commands

COLOURS = {"red": (200, 60, 60), "green": (60, 200, 60), "blue": (60, 60, 200)}
IN_GERMAN = {"red": "Rot", "green": "Gruen", "blue": "Blau"}


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plain images of three colours in every shade, 48 to train on and 15 others to be asked about."""
    return write_colours(tmp_path_factory.mktemp("colours"), {name: name for name in COLOURS})


@pytest.fixture(scope="module")
def learnt(commands: Commands, tiny: Path, colours: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learnt them from scratch."""
    output_dir = tmp_path_factory.mktemp("learnt")
    train(commands, tiny, colours, output_dir, learning_rate=1e-2)
    return output_dir


def test_a_model_learns_from_scratch(commands: Commands, learnt: Path, tmp_path: Path) -> None:
    before, after = scores(commands, learnt, tmp_path)
    assert before <= 1 / 3 and after >= 0.9


@pytest.mark.parametrize("method", ["lora", "frozen_vision"])
def test_it_learns_other_names(
    commands: Commands, learnt: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, method: str
) -> None:
    """With vision as it is, or with nothing but adapters."""
    data = write_colours(tmp_path_factory.mktemp("renamed"), IN_GERMAN)
    train(commands, learnt / "final", data, tmp_path, learning_rate=5e-3, **FLAGS[method])
    before, after = scores(commands, tmp_path, tmp_path)
    assert before == 0 and after >= 0.9


def write_colours(folder: Path, names: dict[str, str]) -> Path:
    shade = np.random.default_rng(0)
    (folder / "images").mkdir()
    for split, count in (("train", 16), ("test", 5)):
        records = []
        for name, colour in COLOURS.items():
            for number in range(count):
                image = f"{split}-{name}-{number}.png"
                Image.new("RGB", (48, 48), tuple(colour + shade.integers(-50, 50, 3))).save(folder / "images" / image)
                records.append(record(image, turn("Red, green or blue?", names[name], (image,))))
        write_split(folder, split, records)
    assert renew_manifest(folder).manifest
    return folder


def train(commands: Commands, model: Path, data: Path, output_dir: Path, **options: Any) -> None:
    usual = {"num_crops": 1, "batch_size": 12, "batch_size_per_gpu": 12, "max_steps": 60, "lora_rank": 16}
    paths = {"data_dir": data, "model_name_or_path": model, "output_dir": output_dir}
    commands.run(*as_flags({**usual, **paths, **options}), "--no_gradient_checkpointing")


def scores(commands: Commands, run: Path, output_dir: Path) -> tuple[float, float]:
    """Return the accuracy before and after a run."""
    asked = {"split": "test", "batch_size_per_gpu": 15, "max_new_tokens": 8, "output_dir": output_dir}
    commands.run("eval", str(run), *as_flags(asked))
    before, after = (json.loads((output_dir / f"eval_{when}.json").read_text()) for when in ("before", "after"))
    return before["score"], after["score"]
