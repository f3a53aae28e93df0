"""E7xx: the texts, which must not speak the model's own control language."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from phi3v_data.validate.rule import Problem, Rule, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3v_schemas import Record

__all__ = ["ForeignImageTag", "ImageTagInText", "SpecialTokenInText", "check_texts", "may_break_a_rule"]

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
    """A user's text holds `<image>`, with which other formats mark the place of an image."""

    code = "W703"
    slug = "foreign-image-tag"
    message = "{where} holds {mark}, which is ordinary text to the model"
    hint = "Delete it where it stands for an image, which the turn's list 'images' names; as HTML or XML it may stay."
    bad = '{"id": "a", "source": "s", "conversations": [{"user": "<image>\\nWhat is it?", "assistant": "A cat."}]}'
    good = _GOOD


_LESS_THAN, _BACKSLASH = b"<\\"  # numbers, which are found ten times as fast as bytes of length 1
_PATTERNS: dict[type[Rule], re.Pattern[str]] = {
    ImageTagInText: re.compile(r"<\|image_[0-9]+\|>"),
    SpecialTokenInText: re.compile(r"<\|(?:user|assistant|system|end|endoftext|image|placeholder[0-9]+)\|>"),
    ForeignImageTag: re.compile("<image>"),
}


def may_break_a_rule(line: bytes) -> bool:
    """Return whether a text of a line may break a rule here, at the cost of a glance: only one with a '<' can."""
    return _LESS_THAN in line or (_BACKSLASH in line and b"\\u00" in line)  # JSON may write it as an escape


def check_texts(record: Record) -> list[Problem]:
    """Return what the texts of a record hold that only the trainer may write: of each kind the first in a text."""
    problems: list[Problem] = []
    for turn, field, text in _texts(record):
        if "<|" in text or "<image>" in text:
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
