"""Each dataset that has a preset: its sample, converted, trained on as the recipe says, and evaluated."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from phi3v_train.model.tiny import write_tiny
from tests.helpers import run
from tests.phi3v_train.end_to_end.commands import Commands

if TYPE_CHECKING:
    from pathlib import Path

QUESTIONS = {"docvqa": 9, "hateful_memes": 4, "nlvr2": 4}
"""Of each sample's val."""


@pytest.mark.parametrize("name", QUESTIONS)
def test_convert_train_evaluate(name: str, tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny")
    run("sample", name, tmp_path / "raw")
    run("convert", name, "--source", tmp_path / "raw", "--out_dir", tmp_path / "data")
    with Commands(tmp_path) as commands:
        train = ["--data_dir", "data", "--model_name_or_path", "tiny", "--output_dir", "out", "--preset", name]
        commands.run(*train, "--batch_size", "2", "--max_steps", "1", "--num_crops", "1")
        said = commands.run("eval", "out", "--max_new_tokens", "4").stdout
    for when in ("before", "after"):
        report = json.loads((tmp_path / f"out/eval_{when}.json").read_text())
        assert report["metric"] == ("anls" if name == "docvqa" else "accuracy")
        assert report["questions"] == QUESTIONS[name] == len(report["predictions"])
    assert ("ANLS" if name == "docvqa" else "accuracy") in said
