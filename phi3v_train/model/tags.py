"""Image tags: where the images of a prompt stand in its text, which image each means, and the ids they turn into."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from transformers.utils import to_py_obj

from phi3v_data.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Prompt", "PromptError", "deal_images", "image_tag", "split_prompts", "without_images"]

_TAG = re.compile(r"<\|image_([0-9]+)\|>")


class PromptError(DataError, ValueError):
    """The text of a prompt, its images and the length allowed do not go together."""


class Prompt(NamedTuple):
    """A text cut at its image tags.

    Attributes:
        chunks: The text before, between and after the tags, one more than there are tags. A text without images
            is one chunk, whatever it holds.
        tags: Numbers of the tags in order of appearance.
        images: The images in the same order.
    """

    chunks: list[str]
    tags: list[int]
    images: list[Any]


def image_tag(number: int) -> str:
    """Return the tag of an image, counted from 1."""
    return f"<|image_{number}|>"


def split_prompts(texts: Sequence[str], images: Any) -> list[Prompt]:
    """Cut each text at its tags and give it its images.

    Args:
        texts: One text or more.
        images: None; one image; a list of images, dealt out by each text's number of tags (a single text gets
            them all); or a list with one list of images, or None, for each text.

    Returns:
        One prompt per text, with its images in the order in which their tags appear.

    Raises:
        PromptError: A text's tags are not exactly those of its images, each once, or an image is None.
    """
    rows = deal_images(texts, images)
    if len(texts) == 1:
        return [_split(texts[0], rows[0], "the text")]
    return [
        _split(text, row, f"text {number} of {len(texts)}")
        for number, (text, row) in enumerate(zip(texts, rows, strict=True), 1)
    ]


def deal_images(texts: Sequence[str], images: Any) -> list[list[Any]]:
    """Give each text its images, in the forms that `split_prompts` takes.

    Raises:
        PromptError: There are not as many lists or images as there must be, or an image is None.
    """
    if images is None:
        return [[] for _ in texts]
    rows = _rows(texts, list(images) if isinstance(images, (list, tuple)) else [images])
    for number, row in enumerate(rows, 1):
        place = "" if len(texts) == 1 else f" for text {number}"
        _check_given(row, place)
    return rows


def without_images(token_ids: Any) -> Any:
    """Return ids as lists (or a number alone as it is), without negative ones."""
    ids = to_py_obj(token_ids)
    if isinstance(ids, int):
        return ids if ids >= 0 else []
    return [
        without_images(token) if isinstance(token, list) else token
        for token in ids
        if isinstance(token, list) or token >= 0
    ]


def _rows(texts: Sequence[str], images: list[Any]) -> list[list[Any]]:
    lists = [isinstance(row, (list, tuple)) for row in images]
    if any(lists) and all(a_list or row is None for a_list, row in zip(lists, images, strict=True)):
        if len(images) != len(texts):
            raise PromptError(f"{len(images)} lists of images were given for {len(texts)} texts: give one to each")
        return [list(row or ()) for row in images]
    _check_given(images)
    if len(texts) == 1:
        return [images]
    counts = [len(_TAG.findall(text)) for text in texts]
    if sum(counts) != len(images):
        raise PromptError(f"the texts have {sum(counts)} image tags, and {len(images)} images were given")
    rest = iter(images)
    return [[next(rest) for _ in range(count)] for count in counts]


def _check_given(images: list[Any], place: str = "") -> None:
    for number, image in enumerate(images, 1):
        if image is None:
            raise PromptError(f"image {number} of {len(images)}{place} is None: give an image, or leave out its tag")


def _split(text: str, images: list[Any], name: str) -> Prompt:
    if not images:
        return Prompt([text], [], [])
    tags = [int(number) for number in _TAG.findall(text)]
    _check(tags, len(images), name)
    chunks = _TAG.split(text)[::2]  # every other piece is a tag's number
    return Prompt(chunks, tags, [images[tag - 1] for tag in tags])


def _check(tags: list[int], count: int, name: str) -> None:
    """Hold the tags of a text to be those of its images, each once."""
    wrong = [
        *(f"{image_tag(tag)} has no image" for tag in tags if not 1 <= tag <= count),
        *(f"{image_tag(tag)} stands there {tags.count(tag)} times" for tag in tags if tags.count(tag) > 1),
        *(f"{image_tag(tag)} is missing" for tag in range(1, count + 1) if tag not in tags),
    ]
    if wrong:
        raise PromptError(
            f"{name} has {_count(len(tags), 'image tag')} for {_count(count, 'image')}: {wrong[0]}; "
            f"the tags must be {' … '.join(image_tag(tag) for tag in sorted({1, count}))}, each once"
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
