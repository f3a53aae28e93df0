"""E207: records of other tools' formats, and the command that converts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from phi3v_data.validate.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from phi3v_data.validate.rule import Problem

__all__ = ["ForeignFormat", "foreign_problem"]


class ForeignFormat(Rule):
    """The record is in another tool's format."""

    code = "E207"
    slug = "foreign-format"
    message = "this is {what} of {format}, not of this format"
    hint = "Convert the file: one object a turn, with 'images', 'user' and 'assistant'."
    bad = '{"id": "a", "image": "a.jpg", "conversations": [{"from": "human", "value": "<image>\\nWhat?"}]}'
    good = '{"id": "a", "source": "s", "conversations": [{"images": ["a.jpg"], "user": "What?"}]}'


class _Format(NamedTuple):
    """Another tool's format, known by fields that this one lacks."""

    of_record: frozenset[str]
    of_turn: frozenset[str]
    name: str
    hint: str


_NOTHING: frozenset[str] = frozenset()
_CONVERT = "{}; convert the file: phi3v-data convert {} --source FILE --out_dir DIR"
_JOINED = "Each question and its answer become one turn with 'user' and 'assistant'"
_MESSAGES = _CONVERT.format(_JOINED, "messages")
_FORMATS = (
    _Format(
        frozenset({"image"}),
        frozenset({"from", "value"}),
        "LLaVA's kind (turns with 'from' and 'value')",
        _CONVERT.format("'image' moves into the turns, and the <image> tags go", "llava"),
    ),
    _Format(
        _NOTHING,
        frozenset({"from", "value"}),
        "ShareGPT's kind (turns with 'from' and 'value')",
        _CONVERT.format("Each 'human' turn and the 'gpt' turn after it become one", "llava"),
    ),
    _Format(
        frozenset({"messages"}),
        _NOTHING,
        "OpenAI's and TRL's kind ('messages' with 'role' and 'content')",
        _MESSAGES,
    ),
    _Format(
        _NOTHING,
        frozenset({"role", "content"}),
        "OpenAI's and TRL's kind (turns with 'role' and 'content')",
        _MESSAGES,
    ),
    _Format(
        frozenset({"prompt", "completion"}),
        _NOTHING,
        "TRL's kind ('prompt' and 'completion')",
        _MESSAGES,
    ),
    _Format(
        frozenset({"instruction", "output"}),
        _NOTHING,
        "Alpaca's kind ('instruction', 'input' and 'output')",
        "Write one turn a row: 'instruction', a new line and 'input' as its 'user', 'output' as its 'assistant'.",
    ),
    _Format(
        frozenset({"query", "response"}),
        _NOTHING,
        "ms-swift's kind ('query' and 'response')",
        "Write one turn a row: 'images' as its 'images', 'query' without <image> tags as its 'user', 'response' as its "
        "'assistant'.",
    ),
    *(
        _Format(
            frozenset({"question", answer}),
            _NOTHING,
            f"the kind that question answering has (columns 'question' and '{answer}')",
            "Write one turn a row, with 'images', 'user' and 'assistant'; or save the columns as a table and convert "
            "it: phi3v-data convert csv --source TABLE.csv --out_dir DIR",
        )
        for answer in ("answer", "answers")
    ),
)
_OF_IMAGES = frozenset({"image", "images"})
_NO_FOLDER, _FOLDER = " --out_dir DIR", " --image_dir FOLDER --out_dir DIR"


def foreign_problem(
    record: AbstractSet[str], turn: AbstractSet[str] | None, *, what: str = "a record"
) -> Problem | None:
    """Return the problem of a record in another format, if its fields are that format's.

    Args:
        record: Fields of a record, or those of them that this format does not have.
        turn: The same of its turns; None where it has no list 'conversations'.
        what: What the message is about.
    """
    for known in _FORMATS:
        if known.of_record <= record and (turn is None if not known.of_turn else known.of_turn <= (turn or _NOTHING)):
            hint = known.hint if record.isdisjoint(_OF_IMAGES) else known.hint.replace(_NO_FOLDER, _FOLDER)
            return ForeignFormat.problem(what=what, format=known.name, hint=hint)
    return None
