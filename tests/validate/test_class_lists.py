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


@pytest.mark.parametrize(
    "user",
    [
        "What is it? A. cat B. dog C. horse",
        "What is it? (A) cat (B) dog (C) horse",
        "What is it? A) cat, B) dog, C) horse",
        "Question: What is it?\nOptions: (A) cat (B) dog (C) horse\nAnswer:",
        "Question: What is it? Choices: A. cat, B. dog, C. horse. Answer with the letter.",
        "What is it?\n (A) cat\n (B) dog\n (C) horse\nAnswer directly with the letter of the option and nothing else.",
        "Which animal is it\uff1f\nA. cat\nB. dog\nC. horse",
        "Select the right one.\nA: cat\nB: dog\nC: horse",
    ],
)
def test_layouts_of_multiple_choice(user: str) -> None:
    for right in ("A", "(B)", "C. horse", "dog", "The answer is B.", "None of the above", "It cannot be seen"):
        assert not is_told(user, right)
    for wrong in ("D", "bird"):
        assert is_told(user, wrong)


@pytest.mark.parametrize(
    "user",
    [
        "Classify it into one of the following classes: cat; dog; horse",
        "Which is it? Options: cat | dog | horse\nAnswer:",
        "Classify it into one of the following classes:\n- cat: small\n- dog: barks\n- horse: is ridden",
        "Classify it into one of the following classes:\n- cat: small, soft\n- dog: barks, bites\n- horse: is ridden",
        "Classify it into one of the following classes:\n1. cat, small\n2. dog, loud\n3. horse",
        "Classify it into one of the following classes:\ncat - small and soft\ndog - barks\nhorse - is ridden",
        "Choose exactly one from: cat, dog, horse.\n\nText: It purrs.",
    ],
)
def test_layouts_of_classes(user: str) -> None:
    for right in ("cat", "Dog", "horse.", "Unknown", "neither"):
        assert not is_told(user, right)
    assert is_told(user, "bird")


@pytest.mark.parametrize(
    ("user", "answer"),
    [
        ("Choose from: $1,000, $2,000, $3,000", "$2,000"),
        ("Choose from: 0.5, 0.75", "0.75"),
        ("Classify it into one of the following classes: 001.Black_Albatross, 002.Crow.", "Black Albatross"),
        ("Choose from: T-shirt/top, dress.", "T-shirt"),
        ("Choose one of the following labels: news, blog. If none applies, answer 'misc'.", "misc"),
        ("Choose one of the following labels: news, blog.\nOtherwise reply with 'misc'.", "misc"),
        ("Choose one of the following: love, war. Write a title about it.", "Quiet Hearts"),
        ("Answer with one of the following options: A, B or C.\nQuestion: What is 2+2?\nA 3\nB 4\nC 5", "4"),
        ("Is the man older? Answer yes or no.", "Unknown"),
        ("Fix my code:\noptions: a, b", "Done."),
        ("Here is my outline:\nA. Method\nB. Results\n\nCan you suggest a title?", "Deep Roots"),
        ("Here is a recipe:\nA. Boil water\nB. Add pasta\nHow long does this take?", "Ten minutes"),
        ("Read the plan.\nA. Method\nB. Results\nWhich part is longer, and why?", "Too long"),
        ("What do they talk about?\nA: Hello, where were you?\nB: At the match.", "Sport"),
        ("A: Did you see Tom?\nB: Yes, at the bank.\nWhere was Tom seen?", "the bank"),
        ("Blood groups?\nA. 40%\nB. 11%\nWhat share has another?", "49%"),
        ("Match them.\nA. cat\nB. dog\n1. barks\n2. meows\nWhich belong together?", "A2 B1"),
    ],
)
def test_answers_that_a_text_permits_otherwise_and_lists_that_are_its_matter(user: str, answer: str) -> None:
    assert not is_told(user, answer)
