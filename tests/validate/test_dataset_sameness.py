"""Records that repeat others, and records that contradict them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from phi3v_data.validate import validate
from tests.formats.shards import SHARDED, line, reshard, write_dataset

SAMENESS = ("E301", "W505", "W506")


def told(*paths: Path, **options: Any) -> list[tuple[str, int | None, str]]:
    found = validate(paths, **{"select": SAMENESS, "images": "none"} | options).findings
    return [(Path(finding.file).name, finding.line, finding.code) for finding in found]


def turns(record_id: str, *turns: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps({"id": record_id, "source": "toy", "conversations": turns, **fields}).encode()


def test_a_repeated_conversation(tmp_path: Path) -> None:
    data = write_dataset(
        tmp_path / "data",
        {"train": [line("1", "a.jpg"), line("2", "a.jpg"), line("3", "b.jpg"), line("4", "a.jpg", system="Be brief.")]},
    )
    (found,) = validate([data], select=SAMENESS, images="none").findings
    assert (found.line, found.code, found.pointer) == (2, "W505", "")
    assert found.message == f"the conversation, images and all, is that of {data}/toy_train.jsonl:1"
    assert "remove one" in found.hint.lower() and "split" not in found.hint


def test_a_repetition_in_another_split_is_a_leak(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", {"train": [line("1")], "val": [line("2")]})
    (found,) = validate([data], select=SAMENESS).findings
    assert (Path(found.file).name, found.line, found.code) == ("toy_val.jsonl", 1, "W505")
    assert "phi3v-data split" in found.hint


def test_a_copy_with_its_id_is_a_duplicate_id_alone(tmp_path: Path) -> None:
    lines = [line("1"), line("1"), line("2"), line("2"), line("1", answer="No cat.")]
    data = write_dataset(tmp_path / "data", {"train": lines})
    assert told(data) == [
        ("toy_train.jsonl", 2, "E301"),
        ("toy_train.jsonl", 4, "E301"),
        ("toy_train.jsonl", 5, "E301"),
        ("toy_train.jsonl", 3, "W505"),
        ("toy_train.jsonl", 5, "W506"),
    ]


@pytest.mark.parametrize("output", SHARDED)
def test_in_shards(tmp_path: Path, output: Any) -> None:
    lines = {"train": [line("1"), line("2"), line("3", answer="A dog.")], "val": [line("4")]}
    reshard(write_dataset(tmp_path / "data", lines), tmp_path / "out", output, shard_records=1)
    suffix = {"webdataset": "tar", "parquet": "parquet"}[output]
    assert told(tmp_path / "out") == [
        (f"toy_train-00001-of-00003.{suffix}", 1, "W505"),
        (f"toy_val-00000-of-00001.{suffix}", 1, "W505"),
        (f"toy_train-00002-of-00003.{suffix}", 1, "W506"),
    ]


def test_a_contradiction_says_what_and_where(tmp_path: Path) -> None:
    lines = [
        line("1", "a.jpg", answer="Yes."),
        b"{",
        line("2", "b.jpg", answer="No."),
        line("3", "a.jpg", answer="No."),
    ]
    data = write_dataset(tmp_path / "data", {"train": lines})
    (found,) = validate([data], select=SAMENESS, images="none").findings
    assert (found.line, found.code, found.pointer) == (4, "W506", "/conversations/0/assistant")
    assert found.message == f"{data}/toy_train.jsonl:1 answers the same question with 'Yes.', not 'No.'"


@pytest.mark.parametrize(
    ("first", "second", "contradict"),
    [
        ({"assistant": "Yes."}, {"assistant": " yes"}, False),
        ({"assistant": "Yes."}, {"assistant": "Yes, it is."}, True),
        ({"assistant": "12 May", "answers": ["12 May", "May 12"]}, {"assistant": "may 12."}, False),
        ({"assistant": "may 12."}, {"assistant": "12 May", "answers": ["12 May", "May 12"]}, False),
        ({"assistant": "12 May", "answers": ["12 May", "May 12"]}, {"assistant": "13 May"}, True),
        ({"assistant": "Yes."}, {}, False),
        ({}, {"assistant": "Yes."}, False),
    ],
)
def test_which_answers_contradict(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any], contradict: bool
) -> None:
    lines = [turns(str(number), {"user": "When?", **turn}) for number, turn in enumerate((first, second))]
    data = write_dataset(tmp_path / "data", {"train": lines})
    assert told(data) == ([("toy_train.jsonl", 2, "W506")] if contradict else [])


def test_later_turns_do_not_contradict(tmp_path: Path) -> None:
    hot = {"user": "Hot?", "assistant": "Yes."}
    lines = [turns("1", hot, {"user": "Why?", "assistant": "A."}), turns("2", hot, {"user": "Why?", "assistant": "B."})]
    assert told(write_dataset(tmp_path / "data", {"train": lines})) == []


def test_each_record_is_held_against_the_first_with_an_answer(tmp_path: Path) -> None:
    answers = [None, "Yes.", "No.", "yes", "No.", "Maybe."]
    lines = [line(str(number), answer=answer) for number, answer in enumerate(answers)]
    found = validate([write_dataset(tmp_path / "data", {"train": lines})], select=["W506"]).findings
    assert [finding.line for finding in found] == [3, 5, 6]
    assert all(":2 answers the same question with 'Yes.'" in finding.message for finding in found)


def test_a_dataset_made_by_repetition(tmp_path: Path) -> None:
    """Every fault is counted, whether it is kept or not."""
    lines = [line(f"{number}", user=f"Is it {number % 10}?", answer="Yes.") for number in range(3000)]
    lines += [line(f"no {number}", user=f"Is it {number % 10}?", answer="No.") for number in range(3000)]
    data = write_dataset(tmp_path / "data", {"train": lines})
    for kept in (0, 1, 4000, 1000):
        result = validate([data], select=SAMENESS, images="none", max_findings=kept)
        assert result.counts == {"W505": 5980, "W506": 3000}
        assert len(result.findings) == (kept or 8980)


def test_evaluation_prompts_contradict_nothing(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", {"test": [line(str(number), answer=None) for number in range(3)]})
    assert told(data) == [("toy_test.jsonl", 2, "W505"), ("toy_test.jsonl", 3, "W505")]
