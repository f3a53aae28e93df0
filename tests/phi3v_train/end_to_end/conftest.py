"""A checkpoint, a dataset, a quick way to start runs, and runs that nothing has disturbed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from phi3v_data.manifest.renew import renew_manifest
from phi3v_train.model.tiny import write_tiny
from tests.phi3v_train.end_to_end.commands import Commands, as_flags
from tests.phi3v_train.made_data import record, turn, write_split
from tests.phi3v_train.runs import FLAGS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STEPS = 8
VARIED: dict[str, dict[str, Any]] = {
    "full": {},
    "frozen_vision": {"group_by_length": True, "num_workers": None},
    "lora": {"lora_dropout": 0.1, "vision_learning_rate": 1e-3},
    "qlora": {"lora_dropout": 0.1, "num_workers": 0},
}
"""What the runs of these methods try out besides the method."""

Flags = Callable[..., list[str]]
"""The command line of a short run: `flags(output_dir, method, **changes)`."""

Finished = Callable[[str], "Path"]
"""The folder of a run of a method that went to its end at once, made once; nothing is to be written there."""


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    with Commands(tmp_path_factory.mktemp("commands")) as started:
        yield started


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    write_tiny(folder)
    return folder


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="session")
def flags(tiny: Path, data: Path) -> Flags:
    usual = {
        "data_dir": data,
        "model_name_or_path": tiny,
        "num_crops": 1,
        "batch_size": 4,
        "batch_size_per_gpu": 2,
        "max_steps": STEPS,
        "learning_rate": 3e-3,
        "lora_rank": 4,
        "num_workers": 1,
        "logging_steps": 1,
        "eval_steps": 4,
        "save_steps": 2,
    }

    def command_line(output_dir: Path, method: str = "full", **changes: Any) -> list[str]:
        return as_flags({**usual, **FLAGS[method], **VARIED.get(method, {}), "output_dir": output_dir, **changes})

    return command_line


@pytest.fixture(scope="session")
def finished(commands: Commands, flags: Flags, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    @cache
    def run(method: str) -> Path:
        output_dir = tmp_path_factory.mktemp(f"finished-{method}")
        commands.run(*flags(output_dir, method))
        return output_dir

    return run


def write_dataset(folder: Path, count: int = 12, answer: str = "A cat. ") -> Path:
    """Write so many records to train on and five to evaluate on, some with images, with answers of any length."""
    images = {1: ("64x48-a.png",), 6: ("64x48-b.png", "48x64-c.png")}
    training = [
        record(f"t{number}", turn(f"What is {number}?", answer * (1 + number * 7 % 12) + "So.", images.get(number, ())))
        for number in range(count)
    ]
    evaluation = [record(f"v{number}", turn("Why?", "So. " * 3**number)) for number in range(4)]
    write_split(folder, "train", training)
    write_split(folder, "val", [*evaluation, record("v4", turn("Where?", "There.", ("64x48-d.png",)))])
    assert renew_manifest(folder).manifest
    return folder
