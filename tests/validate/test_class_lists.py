"""Answers held against the lists in their own questions: lists as people write them, and what is unsure."""

from __future__ import annotations

import pytest

from phi3v_data.validate.class_lists import check_class_list
from phi3v_schemas import Record, Turn


def is_told(user: str, assistant: str) -> bool:
    record = Record(
        id="a",
        source="s",
        conversations=[{"user": "Hi?"} | {"assistant": "Hi."}, {"user": user, "assistant": assistant}],
    )
    problems = check_class_list(record)
    assert all((problem.rule.code, problem.pointer) == ("W705", "/conversations/1/assistant") for problem in problems)
    return bool(problems)


@pytest.mark.parametrize(
    "user",
    [
        "Classify the video into one of the following classes: cat, dog, guinea pig.",
        "Classify the video into one of the following classes: cat, dog, guinea pig",
        "Classify the image into one of the following categories: cat, dog, and guinea pig.",
        "What is it? Choose from: cat, dog or guinea pig.",
        "What is it? Choose one of: cat, dog, or guinea pig",
        "Answer with one of: cat, dog, guinea pig.",
        "Select from the following options: cat, dog, guinea pig. Answer with the name alone.",
        "Pick one of the following:\n- cat\n- dog\n- guinea pig",
        "Into which of these does it belong? Options:\ncat\ndog\nguinea pig\n\nAnswer with the name alone.",
        "Options:\n(A) cat\n(B) dog\n(C) guinea pig",
        "What is it?\nA. cat\nB. dog\nC. guinea pig\nAnswer with the letter.",
        "What is it?\nA) cat\nB) dog\nC) guinea pig",
    ],
)
def test_lists_are_read(user: str) -> None:
    for right in ("cat", "Dog", "guinea pig.", " Guinea Pig\n", "It is a cat.", "cat, dog"):
        assert not is_told(user, right)
    for wrong in ("bird", "cats", "guinea", "It is a bird."):
        assert is_told(user, wrong)


@pytest.mark.parametrize(
    "user", ["Options:\n(A) cat\n(B) dog", "What is it?\nA. cat\nB. dog", "Which?\nA) cat\nB) dog"]
)
def test_a_letter_stands_for_its_option(user: str) -> None:
    for right in ("A", "(B)", "b.", "A. cat", "B) dog", "B, because it barks"):
        assert not is_told(user, right)
    for wrong in ("C", "(D)", "E. bird"):
        assert is_told(user, wrong)


@pytest.mark.parametrize(
    ("user", "right", "wrong"),
    [
        (
            "Is this meme hateful?\nAnswer yes or no.",
            ["Yes", "no.", "No", "y", "true", "It isn't"],
            ["maybe", "hateful"],
        ),
        ('Does "a, b" hold true? Answer yes or no.', ["Yes.", "No, it does not.", "False"], ["a"]),
        ("Is it so? Please answer with 'yes' or 'no'.", ["yes"], ["perhaps"]),
        ("Is it so? Answer true or false.", ["True", "False.", "yes"], ["perhaps"]),
    ],
)
def test_yes_or_no(user: str, right: list[str], wrong: list[str]) -> None:
    assert [is_told(user, answer) for answer in right] == [False] * len(right)
    assert [is_told(user, answer) for answer in wrong] == [True] * len(wrong)


@pytest.mark.parametrize(
    "user",
    [
        "What is it?",
        "What is the value of TO: on this page?\nAnswer briefly.",
        "Is it so? Answer yes or no, and say why.",
        "Answer yes or no. Then explain.",
        "Why did she answer yes or no questions?",
        "Choose from: cat.",
        "Classify it into one of the following classes: cat, dog, …",
        "Choose from: cat, dog, etc.",
        "Choose from: St. Bernard, poodle. Or say what else it is.",
        "Options: cat, dog. Choices: bird, fish.",
        "Tell me one of the following: a joke that is about nine words in length or more, a poem.",
        "B. dog\nA. cat",
        "The choices: well, that is a long story which I would rather not tell you now, but here it is.",
    ],
)
def test_nothing_is_said_where_it_is_not_sure(user: str) -> None:
    assert not is_told(user, "something else")


def test_classes_with_commas_may_be_answers() -> None:
    user = "Classify the image into one of the following classes: crane, bird, crane, machine."
    assert not is_told(user, "crane, machine")


def test_a_question_without_an_answer_is_left_alone() -> None:
    assert check_class_list(Record(id="a", source="s", conversations=[{"user": "Choose from: cat, dog."}])) == []


def test_one_question_after_another_is_held_against_its_own_list() -> None:
    first, second = "Choose from: cat, dog.", "Choose from: bird, fish."
    assert [is_told(user, "fish") for user in (first, second, first, second)] == [True, False, True, False]


LETTERS = "What is it?\nA. a cat\nB. a dog\nC. a horse\nAnswer with the letter."


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (LETTERS, "The answer is B."),
        (LETTERS, "Option B"),
        (LETTERS, "Final answer: (C)"),
        (LETTERS, "\\boxed{B}"),
        (LETTERS, "<answer>B</answer>"),
        (LETTERS, "AB"),
        (LETTERS, "dog"),
        (LETTERS, "It has hooves and a mane, which neither of the other two has."),
        ("Is it?\nOptions:\n1. cat\n2. dog", "Option 2"),
        ("Classify into one of the following classes: hot_dog, cat.", "Hot dog"),
        ("Choose one of the following options: yes (it is), no (it is not).", "yes"),
        ("Compare the following options: renting, buying.", "Cheaper"),
        ("Explain the following classes: nobility, clergy.", "Estates"),
        ("Write a Python enum with choices: RED, GREEN", "Enum"),
        ("Translate the following options: Ja, Nein", "Yes, No"),
        ("Is it a cat? Answer yes or no.", "unanswerable"),
    ],
)
def test_sound_answers_and_lists_that_permit_nothing(question: str, answer: str) -> None:
    record = Record(id="a", source="s", conversations=[Turn(user=question, assistant=answer)])
    assert check_class_list(record) == []
