"""Images of chat messages: found in their blocks, written as numbered tags, and loaded when they are needed."""

from __future__ import annotations

import base64
import os
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image
from transformers.image_utils import load_image

from .image_inputs import UnreadableImage, as_picture, why_unreadable
from .tags import PromptError, deal_images, image_tag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ImageBlock", "conversation_images", "load_block", "number_images"]

_KEYS = ("image", "url", "path", "base64")
"""Where an image block of a message keeps its image, by the convention of transformers."""

_WEB = ("http://", "https://")
_TIMEOUT = 60.0


class ImageBlock(NamedTuple):
    """An image block of a message.

    Attributes:
        place: What an error calls it.
        key: Where the block keeps its image: one of "image", "url", "path" and "base64".
        source: A Pillow image, an array, a file's path, an address, a `data:` address or base64; None where the
            block has nothing.
    """

    place: str
    key: str
    source: Any


def number_images(
    messages: Sequence[Mapping[str, Any]], place: str = ""
) -> tuple[list[dict[str, Any]], list[ImageBlock]]:
    """Write structured contents as text, with tags numbered through the conversation.

    Args:
        messages: Messages whose `content` is a string, which is kept, or a list of blocks `{"type": "text",
            "text": …}`, `{"type": "image", …}` and `{"type": "image_url", "image_url": {"url": …}}`.
        place: What an error says behind a message's number, such as " of conversation 2".

    Returns:
        The messages with text alone, and their image blocks. Nothing is opened.

    Raises:
        PromptError: A block is neither text nor image.
    """
    images: list[ImageBlock] = []
    return [
        {**message, "content": _text_of(message.get("content"), images, f"message {number}{place}")}
        for number, message in enumerate(messages, 1)
    ], images


def conversation_images(
    numbered: Sequence[tuple[Sequence[Mapping[str, Any]], Sequence[ImageBlock]]], given: Any
) -> list[list[Any]]:
    """Return the images of each conversation: those given beside them, or those of its blocks, which are loaded.

    Args:
        numbered: What `number_images` returned for each conversation.
        given: Images as `deal_images` takes them, by the tags in the messages; None or an empty list where there
            are none.

    Raises:
        PromptError: As `deal_images` and `load_block`, as are the next two.
        TypeError: Likewise.
        UnreadableImage: Likewise.
    """
    texts = ["".join(str(message["content"]) for message in messages) for messages, _ in numbered]
    rows = deal_images(texts, None if isinstance(given, (list, tuple)) and not given else given)
    return [row or [load_block(block) for block in blocks] for row, (_, blocks) in zip(rows, numbered, strict=True)]


def load_block(block: ImageBlock) -> Image.Image:
    """Return the image of a block, its pixels as they are stored; one on the web comes through `load_image`.

    Raises:
        PromptError: The block has no image.
        TypeError: What it has is no image and does not lead to one.
        UnreadableImage: The image cannot be had, or not decoded.
    """
    if block.source is None:
        raise PromptError(
            f"{block.place} holds no image: add it under 'image', 'path', 'url' or 'base64', or give all images in "
            "processor_kwargs"
        )
    if not isinstance(block.source, (str, os.PathLike)):
        return as_picture(block.source, block.place)
    try:
        return _open(block.key, os.fspath(block.source))
    except Exception as error:  # of files, of the web and of Pillow, each with types of its own
        what = "base64" if _is_base64(block) else os.fspath(block.source)
        raise UnreadableImage(f"{block.place}: {what} cannot be read: {why_unreadable(error)}") from error


def _text_of(content: Any, images: list[ImageBlock], place: str) -> Any:
    """Return a message's content as text, adding its images to those met before."""
    if not isinstance(content, list):
        return content
    parts = []
    for number, block in enumerate(content, 1):
        kind = block.get("type")
        if kind == "text":
            parts.append(block["text"])
        elif kind in ("image", "image_url"):
            images.append(ImageBlock(f"block {number} of {place}", *_source(block)))
            parts.append(f"{image_tag(len(images))}\n")
        else:
            raise PromptError(f"a block of the type {kind!r} cannot be shown to the model: use 'text' and 'image'")
    return "".join(parts)


def _source(block: Mapping[str, Any]) -> tuple[str, Any]:
    """Return where a block keeps its image, and what is there."""
    if block["type"] == "image_url":
        address = block.get("image_url")
        return "url", address.get("url") if isinstance(address, dict) else address
    return next(((key, block[key]) for key in _KEYS if block.get(key) is not None), ("image", None))


def _is_base64(block: ImageBlock) -> bool:
    return block.key == "base64" or (isinstance(block.source, str) and block.source.startswith("data:"))


def _open(key: str, source: str) -> Image.Image:
    if key in ("image", "url") and source.startswith(_WEB):
        return load_image(source, timeout=_TIMEOUT)
    if _is_base64(ImageBlock("", key, source)):
        data = base64.b64decode(source.rpartition(",")[2])
    else:
        data = Path(source).read_bytes()
    image = Image.open(BytesIO(data))
    image.load()
    return image
