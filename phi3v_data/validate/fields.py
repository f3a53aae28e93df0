"""E2xx: the fields of a record, their types and what they must hold."""

from __future__ import annotations

import json
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from phi3v_data.printable import quote
from phi3v_data.validate.rule import Problem, Rule, pointer_to
from phi3v_schemas import Record, Turn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "AssistantMissing",
    "EmptyConversations",
    "EmptyText",
    "FieldMissing",
    "UnknownField",
    "WrongType",
    "field_problems",
]

_GOOD = '{"id": "a", "source": "s", "conversations": [{"user": "Hi?", "assistant": "Hello."}]}'


class FieldMissing(Rule):
    """A required field is not there."""

    code = "E201"
    slug = "field-missing"
    message = "the field {field} is missing"
    hint = "A record needs 'id', 'source' and 'conversations'; a turn needs 'user'."
    bad = '{"source": "s", "conversations": [{"user": "Hi?", "assistant": "Hello."}]}'
    good = _GOOD


class WrongType(Rule):
    """A field holds another type than it should."""

    code = "E202"
    slug = "wrong-type"
    message = "{what} must be {expected}, not {found}"
    hint = "Write it as that type: a text in quotes, a list in [ ], an object in { }."
    bad = '{"id": 17, "source": "s", "conversations": [{"user": "Hi?", "assistant": "Hello."}]}'
    good = '{"id": "17", "source": "s", "conversations": [{"user": "Hi?", "assistant": "Hello."}]}'


class UnknownField(Rule):
    """A field that the format does not have."""

    code = "E203"
    slug = "unknown-field"
    message = "unknown field {field}"
    hint = "Correct the name, or move the field into 'metadata', where all belongs that should travel with the record."
    bad = '{"id": "a", "source": "s", "conversations": [{"user": "Hi?", "asistant": "Hello."}]}'
    good = _GOOD


class EmptyConversations(Rule):
    """There is no turn."""

    code = "E204"
    slug = "empty-conversations"
    message = "'conversations' holds no turn"
    hint = "A record has at least one turn with a 'user' text; leave out records that have none."
    bad = '{"id": "a", "source": "s", "conversations": []}'
    good = _GOOD


class EmptyText(Rule):
    """A text of no characters."""

    code = "E205"
    slug = "empty-text"
    message = "{what} is empty"
    hint = "Write the text, or leave the field out where it is optional."
    bad = '{"id": "a", "source": "s", "conversations": [{"user": "", "assistant": "Hello."}]}'
    good = _GOOD


class AssistantMissing(Rule):
    """A turn before the last has no answer."""

    code = "E206"
    slug = "assistant-missing"
    message = "turn {turn} of {turns} has no 'assistant'; only the last turn may lack one"
    hint = "Give every turn its answer; only an evaluation prompt ends without one."
    bad = '{"id": "a", "source": "s", "conversations": [{"user": "Hi?"}, {"user": "So?", "assistant": "So."}]}'
    good = '{"id": "a", "source": "s", "conversations": [{"user": "Hi?", "assistant": "Hi."}, {"user": "So?"}]}'


_EXPECTED = {
    "string_type": "a string",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
}
_LISTS = {
    "images": 'Write a list, even for one image: "images": ["a.jpg"].',
    "conversations": 'Write a list of turns, even for one: "conversations": [{"user": …}].',
    "answers": 'Write a list, even for one answer: "answers": ["yes"].',
}
_KNOWN_BY_PLACE = {"missing", "extra_forbidden", "too_short", "string_too_short"}
_LONGEST_NAME = 64
_MOST_TURNS = 1000
_NULL = "null stands for an absent value, and this one is required: write it."
_NUMBER = "Write the number in quotes."
_JOIN = "A turn holds one text; all the answers that an evaluation accepts are the list 'answers' beside it."
_PARTS = "Join the texts into one, and list the image files in the turn's 'images'."
_TURN = 'Write each turn as an object: {"user": …, "assistant": …}.'
_FIELDS = {"record": list(Record.model_fields), "turn": list(Turn.model_fields)}


def field_problems(detail: Mapping[str, Any]) -> Sequence[Problem]:
    """Turn one error of Pydantic's into problems in our words.

    Args:
        detail: The error; with its 'input' where the type is wrong.
    """
    kind, loc = detail["type"], detail["loc"]
    if kind == "assistant_missing":
        unanswered, turns = detail["ctx"]["unanswered"], detail["ctx"]["turns"]
        return [_unanswered(turn, turns) for turn in unanswered[:_MOST_TURNS]]
    if kind in _KNOWN_BY_PLACE:
        is_long = isinstance(loc[-1], str) and len(loc[-1]) > _LONGEST_NAME
        return (_problem_at.__wrapped__ if is_long else _problem_at)(kind, loc)
    expected, value = _EXPECTED.get(kind, "another value"), detail["input"]
    pointer, what, hint = _wrong_at(loc, expected, type(value).__name__)
    return [WrongType.problem(pointer=pointer, what=what, expected=expected, found=_found(value), hint=hint)]


@lru_cache(maxsize=1024)
def _problem_at(kind: str, loc: tuple[str | int, ...]) -> Sequence[Problem]:
    """Return what a kind of error says of a place; a slip is mostly made in every line."""
    pointer, name = pointer_to(loc), loc[-1]
    if kind == "missing":
        return [FieldMissing.problem(pointer=pointer, field=quote(name))]
    if kind == "extra_forbidden":
        hint = _unknown_hint(str(name)[:_LONGEST_NAME], in_turn=len(loc) > 1)
        return [UnknownField.problem(pointer=pointer, field=quote(name), hint=hint)]
    if kind == "too_short":
        return [EmptyConversations.problem(pointer=pointer)]
    return [EmptyText.problem(pointer=pointer, what=_describe(loc))]


@lru_cache(maxsize=1024)
def _wrong_at(loc: tuple[str | int, ...], expected: str, found: str) -> tuple[str, str, str | None]:
    """Return the pointer to a value of the wrong type, its name, and the hint."""
    return pointer_to(loc), _describe(loc), _type_hint(loc, expected, found)


def _unanswered(turn: int, turns: int) -> Problem:
    return AssistantMissing.problem(pointer=f"/conversations/{turn}/assistant", turn=turn + 1, turns=turns)


def _describe(loc: Sequence[str | int]) -> str:
    """Return the name of the value at a place: the subject of a message."""
    if not loc:
        return "the line"
    if isinstance(loc[-1], str):
        return quote(loc[-1])
    return (
        f"turn {loc[-1] + 1}" if loc[0] == "conversations" and len(loc) == 2 else f"item {loc[-1] + 1} of {loc[-2]!r}"
    )


def _found(value: object) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return f"the {'string' if isinstance(value, str) else 'number'} {quote(value)}"


def _type_hint(loc: Sequence[str | int], expected: str, found: str) -> str | None:
    """Name what a value of the wrong type was probably meant to be; `found` is the name of its type in Python."""
    if not loc:
        return None
    name = loc[-1]
    if found == "NoneType":
        return _NULL
    if expected == "a list":
        return _LISTS.get(str(name))
    if expected == "a string" and found in ("int", "float"):
        return _NUMBER
    if name == "assistant" and found == "list":
        return _JOIN
    if name == "user" and found == "list":
        return _PARTS
    return _TURN if len(loc) == 2 and isinstance(name, int) else None


def _unknown_hint(name: str, *, in_turn: bool) -> str | None:
    """Name the field that was probably meant."""
    here, elsewhere = ("turn", "record") if in_turn else ("record", "turn")
    if name in _FIELDS[elsewhere]:
        place = "the record, beside 'conversations'" if in_turn else "a turn of 'conversations'"
        return f"{name!r} is a field of {place}: move it there."
    if name == "image":
        return "Images are the list 'images' of a turn of 'conversations'."
    near = get_close_matches(name.lower(), _FIELDS[here], n=1)
    return f"Did you mean {near[0]!r}?" if near else None
