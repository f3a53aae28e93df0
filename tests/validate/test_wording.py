"""Questions about images that are not there: English that speaks of one, and English that only seems to."""

from __future__ import annotations

import pytest

from phi3v_data.validate.wording import check_wording
from phi3v_schemas import Record, Turn


def said(*texts: str) -> list[str]:
    turns = [{"user": text, "assistant": "In the image."} for text in texts]
    return [problem.message for problem in check_wording(Record(id="a", source="s", conversations=turns))]


@pytest.mark.parametrize(
    "text",
    [
        "What is in the image?",
        "What is shown in the picture?",
        "Describe this image.",
        "Describe the photo in one sentence.",
        "Classify the video into one of the following classes: A, B.",
        "What is happening in this video",
        "Who is the man in the left photograph?",
        "How many dogs are in both images?",
        "What colour is the car in\nthe IMAGE?",
        "Is this meme hateful?",
        "Given the left and right images, does the statement hold true?",
        "What does the axis shown in the chart mean?",
        "Explain the following diagram.",
        "What happens in the video shown?",
        "Look at the screenshot and answer.",
    ],
)
def test_a_reference_to_an_image_is_found(text: str) -> None:
    [message] = said("Hi?", text)
    assert message.startswith("'user' of turn 2 says ")
    assert message.endswith(", and the record has no image")


@pytest.mark.parametrize(
    "text",
    [
        "Imagine a house.",
        "Picture this: a cat.",
        "What is image processing?",
        "What is the best library for the image processing task?",
        "Write a story about a photographer.",
        "Which is the image format of the web?",
        "How do I open this image file in Python?",
        "Who wrote the video game Pong?",
        "What happens in the video game industry?",
        "Who is on the picture-postcard council?",
        "Please keep me in the picture.",
        "A figure of speech is what?",
        "In this figure of 5 million, what share is tax?",
        "What is the bigger picture here?",
        "Draw a chart.",
        "Videos are large. Why?",
        "What are the imagery and the imaginary?",
        "Was zeigt das Image der Firma?",
        "In the images directory, which file is largest?",
    ],
)
def test_other_uses_of_the_words_are_left_alone(text: str) -> None:
    assert said(text) == []


def test_a_long_text_may_speak_of_pictures_of_its_own() -> None:
    assert said("She saw the man in the picture. " * 100) == []


@pytest.mark.parametrize(
    "text",
    [
        "Correct the grammar: There is many people in the picture.",
        "Translate 'Look at this picture.' into German.",
        "How do I centre this image in CSS?",
        "Write a caption for this photo.",
        "Is Anna still in the picture?",
        "What is shown in the chart of accounts?",
    ],
)
def test_a_text_about_something_else_is_let_be(text: str) -> None:
    assert check_wording(Record(id="a", source="s", conversations=[Turn(user=text, assistant="b")])) == []
