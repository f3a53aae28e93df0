"""E2xx: the fields of a record, their types and what they must hold."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from phi3v_data.validate.lines import json_problem
from phi3v_data.validate.rule import Problem, Rule, quote
from phi3v_schemas import Record, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = [
    "AssistantMissing",
    "EmptyConversations",
    "EmptyText",
    "FieldMissing",
    "ForeignFormat",
    "UnknownField",
    "WrongType",
    "read_record",
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
    hint = "Write the value with the type that the format asks for."
    bad = '{"id": 17, "source": "s", "conversations": [{"user": "Hi?", "assistant": "Hello."}]}'
    good = '{"id": "17", "source": "s", "conversations": [{"user": "Hi?", "assistant": "Hello."}]}'


class UnknownField(Rule):
    """A field that the format does not have."""

    code = "E203"
    slug = "unknown-field"
    message = "unknown field {field}"
    hint = "Whatever should travel with the record belongs in 'metadata'."
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


class ForeignFormat(Rule):
    """The record is in another tool's format."""

    code = "E207"
    slug = "foreign-format"
    message = "this is a record of {format}, not of this format"
    hint = "Convert the file: one object a turn, with 'images', 'user' and 'assistant'."
    bad = '{"id": "a", "image": "a.jpg", "conversations": [{"from": "human", "value": "<image>\\nWhat?"}]}'
    good = '{"id": "a", "source": "s", "conversations": [{"images": ["a.jpg"], "user": "What?"}]}'


_LLAVA = (
    "LLaVA's kind (turns with 'from' and 'value')",
    "Join each 'human' turn and the 'gpt' turn after it into one object with 'user' and 'assistant', move "
    "'image' into that turn as the list 'images', delete the <image> tags, and add 'source'.",
)
_MESSAGES = (
    "OpenAI's kind ('messages' with 'role' and 'content')",
    "Rename 'messages' to 'conversations', join each 'user' message and the 'assistant' message after it "
    "into one object with 'user' and 'assistant', put image files into that turn's list 'images' and a "
    "'system' message into the record's field 'system', and add 'id' and 'source'.",
)

# The same as Record.model_validate_json without its handling of options, a sixth of the time.
_decode: Callable[[bytes], Record] = TypeAdapter(Record).validator.validate_json

_EXPECTED = {
    "string_type": "a string",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
}
_WITHOUT_VALUE = {
    "json_invalid",
    "missing",
    "extra_forbidden",
    "too_short",
    "string_too_short",
    "assistant_missing",
}
_HINTS = {
    "images": 'Write a list, even for one image: "images": ["a.jpg"].',
    "conversations": 'Write a list of turns, even for one: "conversations": [{"user": …}].',
    "answers": 'Write a list, even for one answer: "answers": ["yes"].',
}
_FIELDS = {"record": list(Record.model_fields), "turn": list(Turn.model_fields)}


def read_record(data: bytes) -> tuple[Record | None, list[Problem]]:
    """Decode one line and hold it against the schema.

    Args:
        data: The line; it may end in white space.

    Returns:
        The record and no problem, or None and everything that is wrong with the line.
    """
    try:
        return _decode(data), []
    except ValidationError as error:
        details = _details(error)
    if details[0]["type"] == "json_invalid":
        return None, [json_problem(data, details[0]["ctx"]["error"])]
    if foreign := _foreign_format(details):
        return None, [ForeignFormat.problem(format=foreign[0], hint=foreign[1])]
    return None, [problem for detail in details for problem in _translate(detail)]


def _details(error: ValidationError) -> Sequence[Mapping[str, Any]]:
    """Return the errors, with the values at fault only where a message names them: they may be the whole line."""
    details = error.errors(include_url=False, include_input=False)
    if all(detail["type"] in _WITHOUT_VALUE for detail in details):
        return details
    return error.errors(include_url=False)


def _foreign_format(details: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    """Return another format's name and the way out, where the unknown fields are that format's."""
    unknown = {(len(detail["loc"]), detail["loc"][-1]) for detail in details if detail["type"] == "extra_forbidden"}
    if {(3, "from"), (3, "value")} <= unknown:
        return _LLAVA
    if (1, "messages") in unknown or {(3, "role"), (3, "content")} <= unknown:
        return _MESSAGES
    return None


def _translate(detail: Mapping[str, Any]) -> Iterator[Problem]:
    """Turn one error of Pydantic's into problems in our words."""
    kind, loc = detail["type"], detail["loc"]
    pointer = _pointer(loc)
    what = _describe(loc)
    if kind == "missing":
        yield FieldMissing.problem(pointer=pointer, field=quote(loc[-1]))
    elif kind == "extra_forbidden":
        places = ("record", "turn") if len(loc) == 1 else ("turn", "record")
        yield UnknownField.problem(pointer=pointer, field=quote(loc[-1]), hint=_unknown_hint(str(loc[-1]), *places))
    elif kind == "too_short":
        yield EmptyConversations.problem(pointer=pointer)
    elif kind == "string_too_short":
        yield EmptyText.problem(pointer=pointer, what=what)
    elif kind == "assistant_missing":
        for turn in detail["ctx"]["unanswered"]:
            yield AssistantMissing.problem(
                pointer=f"/conversations/{turn}/assistant", turn=turn + 1, turns=detail["ctx"]["turns"]
            )
    else:
        expected = _EXPECTED.get(kind, "another value")
        hint = _HINTS.get(str(loc[-1])) if loc and expected == "a list" else None
        yield WrongType.problem(pointer=pointer, what=what, expected=expected, found=_found(detail["input"]), hint=hint)


def _pointer(loc: Sequence[str | int]) -> str:
    """Return the JSON pointer (RFC 6901) to a place in the record."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in loc)


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
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    return f"the {'string' if isinstance(value, str) else 'number'} {quote(value)}"


@lru_cache(maxsize=1024)
def _unknown_hint(name: str, here: str, elsewhere: str) -> str | None:
    """Name the field that was probably meant; a slip is mostly made in every line, and the search is slow."""
    if name in _FIELDS[elsewhere]:
        place = "a turn of 'conversations'" if elsewhere == "turn" else "the record, beside 'conversations'"
        return f"{name!r} is a field of {place}: move it there."
    if name == "image":
        return "Images are the list 'images' of a turn of 'conversations'."
    near = get_close_matches(name.lower()[:64], _FIELDS[here], n=1)
    return f"Did you mean {near[0]!r}? {UnknownField.hint}" if near else None
