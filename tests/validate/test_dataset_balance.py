"""Classes: which answers are classes, when they are uneven, and when one is missing from a split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from phi3v_data.validate import validate
from tests.formats.shards import line, write_dataset

if TYPE_CHECKING:
    from collections.abc import Mapping


def told(tmp_path: Path, **splits: Mapping[str, int]) -> list[tuple[str, int | None, str, str]]:
    """Return the findings about datasets with so many records of each answer."""
    lines = {
        split: [
            line(f"{split} {answer} {number}", user=f"What is {number}?", answer=answer)
            for answer, count in answers.items()
            for number in range(count)
        ]
        for split, answers in splits.items()
    }
    found = validate([write_dataset(tmp_path / "data", lines)], select=["W507", "W508"]).findings
    return [(Path(finding.file).name, finding.line, finding.code, finding.message) for finding in found]


def test_rare_classes_are_named_rarest_first(tmp_path: Path) -> None:
    counts = {
        "cat": 400,
        "dog": 300,
        "fox": 19,
        "owl": 20,
        "elk": 3,
        "emu": 200,
        "ant": 100,
        "bee": 5,
        "cow": 4,
        "ox": 90,
    }
    assert told(tmp_path, train=counts) == [
        (
            "toy_train.jsonl",
            None,
            "W507",
            "the classes of the split 'train' are uneven: 400 records answer 'cat', but 3 'elk', 4 'cow', 5 'bee' "
            "and 1 more",
        )
    ]


def test_missing_classes_are_named(tmp_path: Path) -> None:
    everything = {"cat": 40, "dog": 40, "fox": 40}
    assert told(tmp_path, test={"cat": 10, "fox": 10}, train=everything, val={"cat": 10, "dog": 10}) == [
        (
            "toy_test.jsonl",
            None,
            "W508",
            "the split 'test' has no record of 1 of 3 classes: 'dog' (50 elsewhere)",
        ),
        ("toy_val.jsonl", None, "W508", "the split 'val' has no record of 1 of 3 classes: 'fox' (50 elsewhere)"),
    ]


def test_a_class_that_is_never_trained_on(tmp_path: Path) -> None:
    found = told(tmp_path, train={"cat": 500, "dog": 400}, val={"cat": 50, "dog": 40, "fox": 45})
    assert [(name, code) for name, _, code, _ in found] == [("toy_train.jsonl", "W508")]


@pytest.mark.parametrize(
    "splits",
    [
        pytest.param({"train": {"Yes.": 3050, "No.": 5450}, "dev": {"Yes.": 250, "No.": 250}}, id="Hateful Memes"),
        pytest.param({"train": {f"class {n}": 72 + n % 50 for n in range(101)}}, id="UCF-101"),
        pytest.param({"train": {"cat": 40, "dog": 1}}, id="tiny"),
        pytest.param({"train": {f"answer {n}": 1 for n in range(900)} | {"yes": 100}}, id="free text"),
        pytest.param({"train": {f"answer {n}": 2000 // (n + 1) for n in range(100)}}, id="long tail"),
        pytest.param({"train": {"yes": 700, "no": 500}, "val": {"yes": 4}}, id="few questions"),
        pytest.param({"train": {"x" * 200: 60, "y": 1}}, id="long answers"),
        pytest.param({"train": {f"class {n}": 30 for n in range(101)}, "val": {"class 1": 20}}, id="a sample"),
    ],
)
def test_what_is_no_reason_to_cry(tmp_path: Path, splits: dict[str, dict[str, int]]) -> None:
    assert told(tmp_path, **splits) == []


def test_evaluation_prompts_have_no_classes(tmp_path: Path) -> None:
    lines = {
        "train": [line(str(number), user=f"{number}?", answer="yes" if number % 2 else "no") for number in range(100)],
        "test": [line(f"t{number}", user=f"t{number}?", answer=None) for number in range(100)],
    }
    assert validate([write_dataset(tmp_path / "data", lines)], select=["W507", "W508"]).counts == {}


def test_hostile_answers_are_told_within_bounds(tmp_path: Path) -> None:
    ((_, _, _, message),) = told(tmp_path, train={"a\n\x1b[31m": 90, "b" * 100: 4})
    assert "\n" not in message and "\x1b" not in message
    assert len(message) < 300
