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
        "Write a caption for this photo: my dog on the sofa.",
        "Is Anna still in the picture?",
        "What is shown in the chart of accounts?",
    ],
)
def test_a_text_about_something_else_is_let_be(text: str) -> None:
    assert check_wording(Record(id="a", source="s", conversations=[Turn(user=text, assistant="b")])) == []


@pytest.mark.parametrize(
    "text",
    [
        "What is the man in the photo wearing?",
        "What does the image show?",
        "Analyze the image and list what you see.",
        "From the image, what can be said of the weather?",
        "According to the chart shown, which year was best?",
        "What does the diagram below show?",
        "What emotion does this photo evoke?",
        "Write a short caption for the image.",
        "Create a detailed description of this photograph",
        "You are given an image. What is in the image?",
        "How many dogs are in the second picture?",
    ],
)
def test_more_ways_to_speak_of_an_image(text: str) -> None:
    assert len(said(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "Describe the image of women in Victorian novels.",
        "Describe the image that a convex lens forms.",
        "In the image of God man was created: which book says this?",
        "Who took the first photo of the Earth from the Moon?",
        "What was the first image on the Internet?",
        "In the video for Thriller, who plays the girlfriend?",
        "What is depicted in the image on the Turin Shroud?",
        "What is the difference between the left and right images of a function?",
        "What is the third figure of pi?",
        "My friend sent me a photo. In the photo she wears a red dress. What should I reply?",
        "The report paints a bleak picture. Do you agree with this picture?",
        "Imagine a picture of a forest. What animals are in the picture?",
        "How many layers does this image have if the Dockerfile has five RUN lines?",
        "In OpenCV, how do I find the largest contour in the image?",
        "May I use this photo on my website if I bought a licence?",
        "Explain the grammar: there is a dog in the picture.",
        "Is it correct to say on the picture or in the picture?",
        "Draw a cat in ASCII, then describe the picture.",
        "Describe the following image in the style of Hemingway: a man alone in a boat.",
        "Was the video shown to the jury?",
        "At the end of the film, what do we see in the photo?",
        "Look at the picture from another side: is debt always bad?",
        "Given the following graph as an adjacency list, find the shortest path.",
    ],
)
def test_pictures_that_a_text_tells_of_are_let_be(text: str) -> None:
    assert said(text) == []


def test_a_later_turn_may_ask_about_a_picture_that_an_earlier_one_told_of() -> None:
    assert said("I took a photo of my dog on the sofa.", "What is unusual in the photo?") == []
    assert len(said("Hello!", "What is unusual in the photo?")) == 1
