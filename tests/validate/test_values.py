"""Values that the schema allows and that are of no use: what is found, where, and what is left alone."""

from __future__ import annotations

from typing import Any

import pytest

from phi3v_data.validate.decode import decode
from phi3v_data.validate.values import check_values
from phi3v_schemas import Record


def found(**changes: Any) -> list[tuple[str, str, str]]:
    whole = {"id": "a", "source": "s", "conversations": [{"user": "Hi?", "assistant": "Hello."}]} | changes
    return [(problem.rule.code, problem.pointer, problem.message) for problem in check_values(Record(**whole))]


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (" a", "begins or ends with white space"),
        ("a\n", "begins or ends with white space"),
        ("\u00a0a", "begins or ends with white space"),
        ("a\tb", "holds the invisible character U+0009"),
        ("a\x00b", "holds the invisible character U+0000"),
        ("a\u200bb", "holds the invisible character U+200B"),
        ("\ufeffa", "holds the invisible character U+FEFF"),
        ("a\u202eb", "holds the invisible character U+202E"),
        ("cafe\u0301", "spells a character as a letter and an accent after it"),
    ],
)
def test_ids_that_are_not_what_they_seem(value: str, fault: str) -> None:
    [(code, pointer, message)] = found(id=value)
    assert (code, pointer) == ("W208", "/id")
    assert fault in message
    assert value not in message or value.isprintable()


@pytest.mark.parametrize("value", ["a", "val-0000000300", "a b", "caf\u00e9", "图片-1", "a/b:c#d", "\U0001f600"])
def test_plain_ids_are_left_alone(value: str) -> None:
    assert found(id=value) == []


BLANK = [" ", "\n\t\r ", "\u00a0", "\u3000", "\u200b", "\ufeff", " \u200b\u2060\n", "\u2028"]


@pytest.mark.parametrize("text", BLANK)
def test_blank_texts_are_found_wherever_they_are_read(text: str) -> None:
    turns = [{"user": text, "assistant": "a"}, {"user": "u", "assistant": text}, {"user": "u", "answers": ["a", text]}]
    says = "holds only white space or characters without width"
    assert found(system=text, conversations=turns) == [
        ("E209", "/system", f"'system' {says}"),
        ("E209", "/conversations/0/user", f"'user' of turn 1 {says}"),
        ("E209", "/conversations/1/assistant", f"'assistant' of turn 2 {says}"),
        ("E209", "/conversations/2/answers/1", f"item 2 of 'answers' of turn 3 {says}"),
    ]


@pytest.mark.parametrize("text", ["a", " a", "\nYes.", "\u200ba", "图", "é", "\U0001f600", "0", "\x7fa"])
def test_texts_with_anything_to_see_are_left_alone(text: str) -> None:
    assert found(system=text, conversations=[{"user": text, "assistant": text, "answers": [text]}]) == []


def test_numbers_of_metadata_are_pointed_to() -> None:
    line = (
        b'{"id": "a", "source": "s", "conversations": [{"user": "u"}], '
        b'"metadata": {"x": NaN, "y": [1, {"a/b": -1e999}], "z": 1e308, "n": [0.5, -0, 12345678901234567890]}}'
    )
    problems = check_values(decode(line))
    assert [(problem.rule.code, problem.pointer) for problem in problems] == [
        ("E119", "/metadata/x"),
        ("E119", "/metadata/y/1/a~1b"),
    ]
    assert ["NaN" in problem.message for problem in problems] == [True, False]


def test_a_flood_is_cut() -> None:
    assert len(found(metadata={"x": [float("inf")] * 100_000})) == 20
    assert len(found(conversations=[{"user": " ", "assistant": " "}] * 1000)) == 20
