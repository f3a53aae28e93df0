"""Image tags: where the images of a prompt stand in its text, and which image each tag means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from phi3v_data.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Prompt", "PromptError", "image_tag", "number_images", "split_prompts"]

_TAG = re.compile(r"<\|image_([0-9]+)\|>")
_IMAGE_KEYS = ("image", "url", "path", "base64")
"""Where an image block of a message keeps its image, by the convention of transformers."""


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
            them all); or a list with one list of images for each text.

    Returns:
        One prompt per text, with its images in the order in which their tags appear.

    Raises:
        PromptError: A text's tags are not exactly those of its images, each once.
    """
    rows = _deal(texts, images)
    if len(texts) == 1:
        return [_split(texts[0], rows[0], "the text")]
    return [
        _split(text, row, f"text {number} of {len(texts)}")
        for number, (text, row) in enumerate(zip(texts, rows, strict=True), 1)
    ]


def number_images(messages: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[Any]]:
    """Write structured contents as text, with tags numbered through the conversation.

    Args:
        messages: Messages whose `content` is a string, which is kept, or a list of blocks `{"type": "text",
            "text": …}` and `{"type": "image"}`; an image block may carry its image.

    Returns:
        The messages with text alone, and for each image block its image, or None where it carries none.

    Raises:
        PromptError: A block is neither text nor image.
    """
    images: list[Any] = []
    return [{**message, "content": _text_of(message.get("content"), images)} for message in messages], images


def _text_of(content: Any, images: list[Any]) -> Any:
    """Return a message's content as text, adding its images to those met before."""
    if not isinstance(content, list):
        return content
    parts = []
    for block in content:
        kind = block.get("type")
        if kind == "text":
            parts.append(block["text"])
        elif kind == "image":
            images.append(next((block[key] for key in _IMAGE_KEYS if key in block), None))
            parts.append(f"{image_tag(len(images))}\n")
        else:
            raise PromptError(f"a block of the type {kind!r} cannot be shown to the model: use 'text' and 'image'")
    return "".join(parts)


def _deal(texts: Sequence[str], images: Any) -> list[list[Any]]:
    """Return the images of each text."""
    if images is None:
        return [[] for _ in texts]
    if not isinstance(images, (list, tuple)):
        images = [images]
    if images and all(row is None or isinstance(row, (list, tuple)) for row in images):
        if len(images) != len(texts):
            raise PromptError(f"{len(images)} lists of images were given for {len(texts)} texts: give one to each")
        return [list(row or ()) for row in images]
    if len(texts) == 1:
        return [list(images)]
    counts = [len(_TAG.findall(text)) for text in texts]
    if sum(counts) != len(images):
        raise PromptError(f"the texts have {sum(counts)} image tags, and {len(images)} images were given")
    rest = iter(images)
    return [[next(rest) for _ in range(count)] for count in counts]


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
