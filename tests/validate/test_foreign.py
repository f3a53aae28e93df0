"""Rows of other tools' formats: each is told in one finding, and the commands that it names make records of them."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from PIL import Image

from phi3v_data.cli import cli
from phi3v_data.validate import validate

if TYPE_CHECKING:
    from pathlib import Path

ASKED = {"user": "What is it?", "assistant": "A cat."}
SHOWN = {"images": ["train/NEW/000000001.0.jpg"], **ASKED}


def hint_of(path: Path) -> str:
    [finding] = validate([path], images="none").findings
    assert finding.code == "E207"
    return finding.hint


def write(path: Path, row: dict[str, Any], *, as_array: bool) -> None:
    path.write_text(json.dumps([row, row], indent=1) if as_array else json.dumps(row) + "\n", encoding="utf-8")


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not here")
@pytest.mark.parametrize(
    ("row", "turns", "as_array"),
    [
        ({"query": "<image>What is it?", "response": "A cat.", "images": ["a.jpg"]}, [SHOWN], False),
        (
            {"query": "Sure?", "response": "Yes.", "history": [["What is it?", "A cat."]]},
            [ASKED, ("Sure?", "Yes.")],
            True,
        ),
        ({"instruction": "What is", "input": "it?", "output": "A cat."}, [("What is\nit?", "A cat.")], False),
        ({"instruction": "What is it?", "input": "", "output": "A cat."}, [ASKED], False),
        ({"instruction": "What is it?", "response": "A cat.", "context": ""}, [ASKED], False),
        ({"prompt": "What is it?", "response": "A cat."}, [ASKED], False),
        ({"prompt": "What is it?", "chosen": "A cat.", "rejected": "A dog."}, [ASKED], False),
        ({"image": "a.jpg", "text_input": "What is it?", "text_output": "A cat."}, [SHOWN], False),
        ({"input_text": "What is it?", "output_text": "A cat."}, [ASKED], False),
        ({"image": "a.jpg", "question": "What is it?", "answer": "A cat."}, [SHOWN], False),
        ({"image": "a.jpg", "question": "What is it?", "answers": ["A cat.", "Cat"]}, [SHOWN], False),
        ({"image": "a.jpg", "caption": "A cat."}, [SHOWN | {"user": "Describe the image."}], True),
        ({"image": "a.jpg", "label": 3}, [SHOWN | {"user": "What is shown?", "assistant": "3"}], False),
        ({"file_name": "a.jpg", "text": "A cat."}, [SHOWN | {"user": "Describe the image."}], False),
        ({"images": ["a.jpg"], "texts": [{**ASKED, "source": "s"}]}, [SHOWN], False),
    ],
)
def test_the_two_commands_of_a_hint_convert_the_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: Any, turns: list[Any], as_array: bool
) -> None:
    Image.new("RGB", (40, 30), "red").save(tmp_path / "a.jpg")
    write(tmp_path / "FILE", row, as_array=as_array)
    first, second = hint_of(tmp_path / "FILE").rpartition("jq -c ")[2].split("; then: phi3v-data ")
    subprocess.run(f"jq -c {first}", shell=True, check=True, cwd=tmp_path)
    arguments = second.replace("FOLDER", ".").split()
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, [*arguments, "--workers", "1"])
    assert result.exit_code == 0, result.output
    lines = (tmp_path / "DIR" / "messages_train.jsonl").read_text(encoding="utf-8").splitlines()
    expected = [{"user": turn[0], "assistant": turn[1]} if isinstance(turn, tuple) else turn for turn in turns]
    assert len(lines) == 1 + as_array
    assert json.loads(lines[0])["conversations"] == expected


@pytest.mark.parametrize(
    ("row", "words", "way_out"),
    [
        ({"contents": [{"role": "user", "parts": [{"text": "Hi?"}]}]}, "Gemini", "'assistant' for 'model'"),
        ({"info": {}, "images": [{"id": 1}], "annotations": []}, "COCO", "convert csv"),
        ({"text": "Once upon a time."}, "plain text", "'user' and 'assistant'"),
        ({"cells": [], "metadata": {}, "nbformat": 4}, "Jupyter", "name the file that it writes"),
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_what_no_command_converts_is_told_with_what_to_do(
    tmp_path: Path, row: Any, words: str, way_out: str, indent: int | None
) -> None:
    path = tmp_path / "train.json"
    path.write_text(json.dumps(row, indent=indent) + "\n", encoding="utf-8")
    [finding] = validate([path], images="none").findings
    assert finding.code == "E207"
    assert words in finding.message
    assert way_out in finding.hint
