"""Scores by class, and the table of them: what it shows, what it leaves out, and that nothing in it can do harm."""

from __future__ import annotations

import pytest

from phi3v_train.classes import ClassScore, class_scores, is_classification, render_classes


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["yes", "no", "Yes.", "no"], True),
        (["yes", "no", "maybe", "no"], False),  # three classes of four questions
        (["yes", "YES", " yes. "], False),  # one class
        (["a", "a", "a", "b"], True),
        ([], False),
    ],
)
def test_what_is_classification(answers: list[str], expected: bool) -> None:
    assert is_classification(answers) is expected


def test_scores_of_classes() -> None:
    answers = ["Tennis", "tennis.", "TENNIS", "Golf", "golf", "Tennis", "archery"]
    predictions = ["tennis", "Golf.", "golf", "Golf", "a Cat", "", "Archery"]
    assert class_scores(predictions, answers) == [
        ClassScore("archery", 1, 1, None),
        ClassScore("Golf", 2, 1, ("a cat", 1)),  # no class: normalised
        ClassScore("Tennis", 4, 1, ("Golf", 2)),  # a class: as the data spells it
    ]


def test_a_table() -> None:
    scores = [
        ClassScore("Archery", 1200, 1200, None),
        ClassScore("卓球", 30, 20, ("Tennis", 9)),
        ClassScore("Golf", 3, 1, ("", 2)),
        ClassScore("Tennis", 3, 2, ("卓球", 1)),
    ]
    assert render_classes(scores) == (
        "class    count  correct  accuracy  most often taken for\n"
        "Golf         3        1     33.3%  (nothing) (2)\n"
        "卓球        30       20     66.7%  Tennis (9)\n"  # each of the two takes two places
        "Tennis       3        2     66.7%  卓球 (1)\n"
        "Archery  1,200    1,200    100.0%"
    )


def test_the_worst_of_many_classes() -> None:
    scores = [ClassScore(f"c{number:02}", 30, number, None) for number in range(23)]
    lines = render_classes(scores[::-1]).splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == [f"c{number:02}" for number in range(20)]
    assert lines[-1] == "3 of 23 classes, none of them less accurate, are left out"
    assert len(render_classes(scores[:20]).splitlines()) == 21


def test_names_and_predictions_cannot_move_the_cursor_or_fill_the_screen() -> None:
    name, said = "\x1b[2J\u202egolf", "I think\nthat " + "very " * 50
    table = render_classes([ClassScore(name, 2, 0, (said, 2)), ClassScore("x" * 41, 1, 1, None)])
    assert table.replace("\n", "").isprintable()
    assert r"\x1b[2J\u202egolf" in table
    assert r"I think\nthat very very very very very …" in table
    assert f"{'x' * 39}…  " in table
    assert len(table.splitlines()) == 3
