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
_RENAME = (
    "Give its fields other names: jq -c '{}' FILE > NEW.jsonl; then: "
    "phi3v-data convert messages --source NEW.jsonl --out_dir DIR"
)


def _columns(question: str, answer: str, name: str, program: str = "") -> _Format:
    """Return a format of one question and one answer a row, which are renamed as the converter knows them.

    Args:
        question: The field of the question.
        answer: The field of the answer.
        name: The format's name.
        program: The program for jq, where it does more than to rename.
    """
    hint = _RENAME.format(program or f".prompt = .{question} | .completion = .{answer} | del(.{question}, .{answer})")
    return _Format(frozenset({question, answer}), _NOTHING, f"{name} ('{question}' and '{answer}')", hint)


_ALPACA = (
    '.prompt = ([.instruction, .input] | map(select(. != null and . != "")) | join("\\n")) | .completion = .output'
    " | del(.instruction, .input, .output)"
)
_CAPTION = '.prompt = "Describe the image." | .completion = .caption | del(.caption)'
_FILE_NAME = '.image = .file_name | .prompt = "Describe the image." | .completion = .text | del(.file_name, .text)'
_LABEL = '.prompt = "What is shown?" | .completion = (.label | tostring) | del(.label)'
_ANSWERS = ".prompt = .question | .completion = .answers[0] | del(.question)"
_TEXTS = (
    '.messages = [.texts[] | {role: "user", content: .user}, {role: "assistant", content: .assistant}] | del(.texts)'
)
_HISTORY = (
    '.messages = [(.history // [] | .[]), [.query, .response] | {role: "user", content: .[0]},'
    ' {role: "assistant", content: .[1]}] | del(.history, .query, .response)'
)
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
        frozenset({"prompt", "chosen", "rejected"}),
        _NOTHING,
        "preference tuning's kind ('chosen' and 'rejected')",
        "A record has one answer; to keep the chosen one: "
        + _RENAME.format(".completion = .chosen | del(.chosen, .rejected)"),
    ),
    _columns("instruction", "output", "Alpaca's kind", _ALPACA),
    _columns("query", "response", "ms-swift's kind", _HISTORY),
    _columns("instruction", "response", "Dolly's kind"),
    _columns("prompt", "response", "a common kind", ".completion = .response | del(.response)"),
    _columns("text_input", "text_output", "LAVIS's kind"),
    _columns("input_text", "output_text", "Vertex AI's older kind"),
    _columns("question", "answer", "the kind that question answering has"),
    _columns("question", "answers", "the kind that question answering has", _ANSWERS),
    _columns("image", "caption", "the kind that captions have", _CAPTION),
    _columns("file_name", "text", "imagefolder's kind", _FILE_NAME),
    _columns("image", "label", "the kind that classes have", _LABEL),
    _columns("images", "texts", "The Cauldron's kind", _TEXTS),
    _Format(
        frozenset({"contents"}),
        _NOTHING,
        "Gemini's kind ('contents' with 'role' and 'parts')",
        "Fetch its images, and write each of 'contents' as one of 'messages', with 'content' for 'parts' and the role "
        "'assistant' for 'model'; then: phi3v-data convert messages --source NEW.jsonl --out_dir DIR",
    ),
    _Format(
        frozenset({"images", "annotations"}),
        _NOTHING,
        "COCO's kind ('images' and 'annotations')",
        "Write a table with a row for each annotation, its columns 'image', 'question' and 'answer'; then: phi3v-data "
        "convert csv --source TABLE.csv --out_dir DIR",
    ),
    _Format(
        frozenset({"cells", "nbformat"}),
        _NOTHING,
        "Jupyter's kind, a notebook",
        "A notebook holds no records: name the file that it writes.",
    ),
    _Format(
        frozenset({"text"}),
        _NOTHING,
        "plain text's kind ('text')",
        "Cut each text into questions and answers, and write a turn with 'user' and 'assistant' for each.",
    ),
)
_OF_IMAGES = frozenset({"image", "images", "file_name"})
_NO_FOLDER, _FOLDER = " --out_dir DIR", " --image_dir FOLDER --out_dir DIR"
_OF_ROWS, _OF_ARRAY = "jq -c '", "jq -c '.[] | "


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
            if "array" in what:
                hint = hint.replace(_OF_ROWS, _OF_ARRAY)
            return ForeignFormat.problem(what=what, format=known.name, hint=hint)
    return None
