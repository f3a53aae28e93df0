"""E1xx: lines that are no JSON, and why."""

from __future__ import annotations

import re

from phi3v_data.validate.rule import Problem, Rule

__all__ = [
    "InvalidJson",
    "InvalidUtf8",
    "LoneSurrogate",
    "NullByte",
    "SeveralRecords",
    "TooDeep",
    "TruncatedLine",
    "json_problem",
]

_GOOD = '{"id": "a", "source": "s", "conversations": [{"user": "Hi?", "assistant": "Hello."}]}'
_OTHER = _GOOD.replace('"a"', '"b"').replace("Hi?", "So?")


class InvalidJson(Rule):
    """The line is not JSON."""

    code = "E101"
    slug = "invalid-json"
    message = "not valid JSON: {fault} at column {column}"
    hint = "Every line is one complete JSON object; write it with a JSON library."
    bad = '{"id": "a", "source": "s", "conversations": [{"user": "Hi?", "assistant": "Hello."}],}'
    good = _GOOD


class InvalidUtf8(Rule):
    """The line is not UTF-8."""

    code = "E102"
    slug = "invalid-utf8"
    message = "not UTF-8: byte {byte} at byte {offset} of the line"
    hint = "Save the file as UTF-8; if it came from Windows, it may be cp1252."
    bad = '{"id": "caf<byte E9>", …}'
    good = '{"id": "café", …} with é as the two bytes C3 A9'


class TooDeep(Rule):
    """The JSON is nested deeper than decoders go."""

    code = "E108"
    slug = "nested-too-deeply"
    message = "JSON nested too deeply: the limit is passed at column {column}"
    hint = "Only 'metadata' can nest; make it flatter, or keep it as a string."
    bad = '{"id": "a", …, "metadata": {"x": [[[[ … 300 brackets … ]]]]}}'
    good = '{"id": "a", …, "metadata": {"x": [1, 2, 3]}}'


class SeveralRecords(Rule):
    """A line holds more than one record."""

    code = "E115"
    slug = "several-records-in-a-line"
    message = "the record ends at column {end} and another begins at column {begin} of the same line"
    hint = "Write every record on a line of its own, with nothing but \\n between two."
    bad = _GOOD + _OTHER
    good = _GOOD + "\n" + _OTHER


class TruncatedLine(Rule):
    """The file ends within a record."""

    code = "E116"
    slug = "truncated-last-line"
    message = "the file ends within the record, at column {column} of its last line"
    hint = "The step that wrote or copied the file was stopped: run it again, or cut the line off."
    bad = '{"id": "a", "source": "s", "conversations": [{"user": "Hi?", "assi'
    good = _GOOD


class LoneSurrogate(Rule):
    """An escape stands for half a character."""

    code = "E117"
    slug = "lone-surrogate"
    message = "the escape {escape} at column {column} is half of a pair of surrogates, which stands for no character"
    hint = "The text was cut within an emoji or the like: cut it between characters, and write JSON with a library."
    bad = _GOOD.replace("Hello.", "Hello \\ud83d")
    good = _GOOD.replace("Hello.", "Hello \\ud83d\\ude00")


class NullByte(Rule):
    """The line holds bytes of value 0."""

    code = "E118"
    slug = "null-byte"
    message = "{count} NUL {unit} from byte {offset} of the line on"
    hint = "Write the file again: the computer crashed meanwhile, or room was set aside and never filled."
    bad = _GOOD + "<300 bytes of value 0>"
    good = _GOOD


_ANOTHER = re.compile(rb'[\s,]*(\{)\s*["}]')
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89aAbB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_GLANCE = 80
_HINTS_AT = {  # what stands where the decoder stopped, and what was probably meant
    "'": "JSON has double quotes only: the line may be Python's repr; write it with json.dumps.",
    r"(?:True|False|None)\b": "JSON writes true, false and null: write the line with a JSON library.",
    "//|/\\*|#": "JSON has no comments: delete it.",
    "\ufeff": "A byte order mark, invisible in editors, stands in the middle of the file, as where files with one were "
    "joined: delete it.",
    r"[A-Za-z_$]\w*\s*:": "Keys stand in double quotes.",
    "[“”„]": "These are typographic quotes; JSON has straight ones.",
}
_MEANT = re.compile("|".join(f"({pattern})" for pattern in _HINTS_AT))
_UTF_16 = "The line is UTF-16, as Windows writes it, in a file of UTF-8: convert what was put together before."
_HINTS = {
    "trailing comma": "Delete the comma before the closing bracket.",
    "invalid escape": 'A backslash itself is written as \\\\, as in "C:\\\\data".',
    "number out of range": "Keep numbers of so many digits as strings.",
    "invalid number": "JSON writes numbers as 1, -0.5 or 1e9: no leading zero, and digits on both sides of the point.",
}


def json_problem(data: bytes, error: str, *, ended: bool = True) -> Problem:
    """Say why a line could not be decoded.

    Args:
        data: The line.
        error: The decoder's words, ending in "at line 1 column N"; its columns count bytes.
        ended: Whether a newline follows; without one the file ends here.
    """
    if 0 in data:
        nulls = data.count(0)
        hint = None if nulls == 1 or b"\0\0" in data else _UTF_16
        unit = "byte" if nulls == 1 else "bytes"
        return NullByte.problem(count=f"{nulls:,}", unit=unit, offset=data.index(0), hint=hint)
    fault, end = _place(data, error)
    cut_off = fault.startswith("EOF") and not ended
    try:
        data.decode()
    except UnicodeDecodeError as wrong:
        if not (cut_off and wrong.reason == "unexpected end of data"):
            return InvalidUtf8.problem(byte=f"{data[wrong.start]:02X}", offset=wrong.start)
    if cut_off:
        return TruncatedLine.problem(column=_column(data, end))
    if fault == "recursion limit exceeded":
        return TooDeep.problem(column=_column(data, end))
    if fault == "trailing characters" and data.startswith(b"{") and (another := _ANOTHER.match(data, end - 1)):
        first = data[: end - 1].rstrip()
        return SeveralRecords.problem(end=_column(first, len(first)), begin=_column(data, another.start(1) + 1))
    if "hex escape" in fault and (lone := _lone_surrogate(data)):
        return LoneSurrogate.problem(escape=lone[0].decode(), column=_column(data, lone.start() + 1))
    return InvalidJson.problem(fault=_in_words(fault), column=_column(data, end), hint=_json_hint(data, fault, end))


def _place(data: bytes, error: str) -> tuple[str, int]:
    """Return what the decoder says and after how many bytes; only a shard's record may run over several lines."""
    fault, _, place = error.rpartition(" at line ")
    line, _, column = place.partition(" column ")
    if not column.isdecimal():
        return error, 0
    start = 0
    for _ in range(int(line) - 1):
        start = data.index(b"\n", start) + 1
    return fault, start + int(column)


def _column(data: bytes, end: int) -> int:
    """Return the column, in characters from 1, of the byte that is number `end` from 1."""
    return max(1, min(end, len(data)) if data.isascii() else len(data[:end].decode(errors="ignore")))


def _lone_surrogate(data: bytes) -> re.Match[bytes] | None:
    return next((escape for escape in _ESCAPE.finditer(data) if escape[1]), None)


def _in_words(fault: str) -> str:
    """Return the decoder's words, without its own name for keywords."""
    return "expected true, false or null" if fault == "expected ident" else fault


def _json_hint(data: bytes, fault: str, end: int) -> str | None:
    if data.strip() in (b"[", b"{"):
        return "The file is one JSON document over many lines; write each record on one line of its own."
    if fault.startswith("EOF"):
        return "The line ends before the record does: it was cut off, or the record runs over several lines."
    if fault.startswith("control character"):
        return "Within a string, a tab is written as \\t and a new line as \\n: write the line with a JSON library."
    if fault == "trailing characters" and data[end - 1 :].strip() == b",":
        return "Delete the comma behind the record: in JSON lines nothing but the newline parts records."
    if fault == "expected ident":  # the decoder stopped within the word
        end -= 1
    behind = data[max(end - 1, 0) : end + _GLANCE].decode(errors="ignore")
    if (meant := _MEANT.match(behind)) and meant.lastindex:
        return list(_HINTS_AT.values())[meant.lastindex - 1]
    if fault == "trailing characters":
        return "One record a line: something follows the record; put it on a line of its own."
    return _HINTS.get(fault)
