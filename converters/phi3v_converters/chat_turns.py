"""From messages, in whose texts images have places, to turns, of which each has its images before its text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from phi3v_converters.carried_images import CarriedImage
from phi3v_data.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Chat", "ChatTurn", "Message", "Piece", "Role", "make_chat", "place_images", "split_at_tags", "text_of"]

Role = Literal["system", "user", "assistant"]

Piece = str | CarriedImage | None
"""A part of a message: text, an image, or a place that takes the next image of the row."""

_TAG = "<image>"
_OTHER_TAG = re.compile("<(?:video|audio)>")
_NAMED_IN_TEXT = re.compile("<img>[^<>\n]*</img>")  # Qwen-VL's way


@dataclass(frozen=True, slots=True)
class Message:
    """What one side says, piece by piece."""

    role: Role
    pieces: list[Piece]


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """A question with its images, and the answer, which the last turn may lack."""

    images: list[CarriedImage]
    user: str
    assistant: str | None = None


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation."""

    system: str | None
    turns: list[ChatTurn]

    def images(self) -> list[CarriedImage]:
        """Return the images of all turns, in the order the model sees them."""
        return [image for turn in self.turns for image in turn.images]


def split_at_tags(text: str) -> list[Piece]:
    """Return a text cut at every `<image>`, each of which is a place.

    Raises:
        SourceError: It has a place for a video or a sound, or names an image itself.
    """
    if other := _OTHER_TAG.search(text):
        raise SourceError("not_images", f"a text has the tag {other[0]}, and only images can be converted")
    if named := _NAMED_IN_TEXT.search(text):
        fault = f"a text names an image itself, {named[0][:100]}: put <image> there, and the file into 'image'"
        raise SourceError("misplaced_image", fault)
    pieces: list[Piece] = []
    for part in text.split(_TAG):
        pieces += [part, None]
    return [piece for piece in pieces[:-1] if piece != ""]


def text_of(value: object, role: str) -> str:
    """Return the text of a message.

    Raises:
        SourceError: It is no text.
    """
    if not isinstance(value, str):
        raise SourceError("no_text", f"a message of the {role} has {str(value)[:100]!r} where its text should be")
    return value


def place_images(messages: Sequence[Message], images: Sequence[CarriedImage]) -> list[Message]:
    """Return the messages with the row's images in their places, in order.

    Raises:
        SourceError: There are more places than images, or fewer, or one outside a question.
    """
    for message in messages:
        if message.role != "user" and not all(isinstance(piece, str) for piece in message.pieces):
            fault = f"a text of the {message.role} has an image, which only the user's may have"
            raise SourceError("misplaced_image", fault)
    places = sum(piece is None for message in messages for piece in message.pieces)
    if places != len(images):
        code = "tag_without_image" if places > len(images) else "image_without_tag"
        raise SourceError(code, f"the texts have {places} places for images, and the row has {len(images)} images")
    following = iter(images)
    return [
        Message(message.role, [next(following) if piece is None else piece for piece in message.pieces])
        for message in messages
    ]


def make_chat(messages: Sequence[Message], *, number_inner: bool = False) -> Chat:
    """Make a conversation of messages whose images are in their places.

    Images before or after all of a question's text lose their places, for a turn's images come before its text anyway.

    Args:
        messages: A system prompt, perhaps, and then questions and answers in turn.
        number_inner: Whether an image within a text leaves "image 2" there; otherwise it is refused.

    Raises:
        SourceError: Somebody speaks out of turn, a text is empty, or an image stands within one.
    """
    system = None
    if messages and messages[0].role == "system":
        system, messages = _text(messages[0]), messages[1:]
    _check_order(messages)
    turns = []
    for index in range(0, len(messages), 2):
        user, images = _question(messages[index].pieces, number_inner)
        answers = messages[index + 1 : index + 2]
        turns.append(ChatTurn(images, user, _text(answers[0]) if answers else None))
    return Chat(system, turns)


def _check_order(messages: Sequence[Message]) -> None:
    if not messages:
        raise SourceError("no_conversation", "the row has no question")
    for index, message in enumerate(messages):
        expected = ("user", "assistant")[index % 2]
        if message.role == expected:
            continue
        if message.role == "user":
            raise SourceError("no_answer", f"question {index // 2 + 1} has no answer, which only the last may lack")
        raise SourceError("roles_out_of_order", f"the {message.role} speaks where the {expected} should")


def _text(message: Message) -> str:
    """Return the text of a message without images."""
    return _not_empty("".join(map(str, message.pieces)), message.role)


def _not_empty(text: str, role: str) -> str:
    if not text.strip():
        raise SourceError("empty_text", f"a message of the {role} has no text")
    return text


def _question(pieces: Sequence[Piece], number_inner: bool) -> tuple[str, list[CarriedImage]]:
    """Return a question's text, and all its images in order."""
    images, rest = _strip_images(pieces)
    after, inner = _strip_images(rest[::-1], reverse=True)
    texts = list[str]()
    for piece in inner[::-1]:
        if isinstance(piece, CarriedImage):
            if not number_inner:
                raise SourceError(
                    "inner_tag",
                    "an image stands within a text, and the model sees images only before it: "
                    'with --inner_tags number the text says "image 1", "image 2" there',
                )
            images.append(piece)
            texts.append(f"image {len(images)}")
        else:
            texts.append(str(piece))
    return _not_empty("".join(texts), "user"), images + after[::-1]


def _strip_images(pieces: Sequence[Piece], *, reverse: bool = False) -> tuple[list[CarriedImage], list[Piece]]:
    """Return the images at the start, and the pieces without them and without the white space that parted them."""
    images: list[CarriedImage] = []
    for index, piece in enumerate(pieces):
        if isinstance(piece, CarriedImage):
            images.append(piece)
        elif piece is not None and piece.strip():
            if not images:
                return [], list(pieces)
            return images, [piece.rstrip() if reverse else piece.lstrip(), *pieces[index + 1 :]]
    return images, []
