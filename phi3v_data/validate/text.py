"""E7xx: the texts, which must not speak the model's own control language."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from phi3v_data.printable import quote
from phi3v_data.validate.rule import Problem, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3v_schemas import Record

__all__ = ["ForeignImageTag", "ImageTagInText", "SpecialTokenInText", "check_texts", "concerns"]

_GOOD = '{"id": "a", "source": "s", "conversations": [{"user": "What is it?", "assistant": "A cat."}]}'


class ImageTagInText(Rule):
    """A text holds an image tag of the model."""

    code = "E701"
    slug = "image-tag-in-text"
    message = "{where} holds the image tag {mark}"
    hint = "Delete the tag: the trainer places one for each image of the turn's list 'images'."
    bad = '{"id": "a", "source": "s", "conversations": [{"user": "<|image_1|>\\nWhat is it?", "assistant": "A cat."}]}'
    good = _GOOD


class SpecialTokenInText(Rule):
    """A text holds one of the tokens between which the model is told who speaks."""

    code = "E702"
    slug = "special-token-in-text"
    message = "{where} holds the special token {mark}"
    hint = "Delete the token, or cut the text at it into turns: the trainer places such tokens around each text."
    bad = '{"id": "a", "source": "s", "conversations": [{"user": "What is it?", "assistant": "A cat.<|end|>"}]}'
    good = _GOOD


class ForeignImageTag(Rule):
    """A user's text holds `<image>` or the like, with which other formats mark the place of an image or a video."""

    code = "W703"
    slug = "foreign-image-tag"
    message = "{where} holds {mark}, which is ordinary text to the model"
    hint = "Delete it where it stands for an image, which the turn's list 'images' names; as HTML or XML it may stay."
    bad = '{"id": "a", "source": "s", "conversations": [{"user": "<image>\\nWhat is it?", "assistant": "A cat."}]}'
    good = _GOOD


_LESS_THAN, _BACKSLASH, _U, _THREE = b"<\\u3"  # numbers, which are found ten times as fast as bytes of length 1
_PATTERNS: dict[type[Rule], re.Pattern[str]] = {
    ImageTagInText: re.compile(r"<\|image_[0-9]+\|>"),
    SpecialTokenInText: re.compile(r"<\|(?:user|assistant|system|end|endoftext|image|placeholder[0-9]+)\|>"),
    ForeignImageTag: re.compile(
        r"<(?:image|video|ImageHere|image_placeholder|fim_image|IMG_CONTEXT|image_soft_token|start_of_image)>"
        r"|</?img>|<\|(?:vision_start|vision_end|image_pad|video_pad|image_start|begin_of_image)\|>"
    ),
}


def concerns(block: bytes) -> bool:
    """Return whether a text in some lines may break a rule here, at the cost of a glance: only one with a '<' can."""
    return _LESS_THAN in block or (_BACKSLASH in block and _may_escape(block))


def _may_escape(block: bytes) -> bool:
    r"""Return whether JSON's escape of a '<', \u003c, may be in some lines."""
    characters = np.frombuffer(block, np.uint8)
    places = np.flatnonzero(characters[:-5] == _BACKSLASH)
    return bool(np.any((characters[places + 1] == _U) & (characters[places + 4] == _THREE)))


def check_texts(record: Record) -> list[Problem]:
    """Return what the texts of a record hold that only the trainer may write: of each kind the first in a text."""
    problems: list[Problem] = []
    for turn, field, text in _texts(record):
        if "<" in text:
            problems += _check(turn, field, text)
    return problems


def _texts(record: Record) -> Iterator[tuple[int | None, str, str]]:
    """Iterate over what the model is given to read: the turn from 0, the field and the text."""
    if record.system is not None:
        yield None, "system", record.system
    for index, turn in enumerate(record.conversations):
        yield index, "user", turn.user
        if turn.assistant is not None:
            yield index, "assistant", turn.assistant


def _check(turn: int | None, field: str, text: str) -> Iterator[Problem]:
    where = repr(field) if turn is None else f"{field!r} of turn {turn + 1}"
    pointer = f"/{field}" if turn is None else f"/conversations/{turn}/{field}"
    for rule, pattern in _PATTERNS.items():
        if (mark := pattern.search(text)) and (rule is not ForeignImageTag or field == "user"):
            yield rule.problem(pointer=pointer, where=where, mark=quote(mark[0]))
