"""E1xx: the file and its lines, before anything is known of the record in them."""

from __future__ import annotations

import re

from phi3v_data.validate.rule import Problem, Rule

__all__ = [
    "BOM",
    "BlankLine",
    "ByteOrderMark",
    "EmptyFile",
    "FileUnreadable",
    "InvalidJson",
    "InvalidUtf8",
    "LineTooLong",
    "ShardDamaged",
    "TooDeep",
    "json_problem",
]

BOM = b"\xef\xbb\xbf"

_GOOD = '{"id": "a", "source": "s", "conversations": [{"user": "Hi?", "assistant": "Hello."}]}'
_PLACE = re.compile(r"(.*) at line \d+ column (\d+)", re.DOTALL)


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
    hint = "Save the file as UTF-8; if it came from Windows, it may be cp1252 or UTF-16."
    bad = '{"id": "caf<byte E9>", …}'
    good = '{"id": "café", …} with é as the two bytes C3 A9'


class ByteOrderMark(Rule):
    """The file begins with a byte order mark."""

    code = "E103"
    slug = "byte-order-mark"
    message = "the file begins with a byte order mark, which JSON forbids"
    hint = "Save the file as UTF-8 without BOM."
    bad = "<bytes EF BB BF>" + _GOOD
    good = _GOOD


class BlankLine(Rule):
    """The line holds nothing."""

    code = "W104"
    slug = "blank-line"
    message = "blank line"
    hint = "Readers here pass over it, others stop at it: remove the line."
    bad = _GOOD + "\n\n" + _GOOD.replace('"a"', '"b"')
    good = _GOOD + "\n" + _GOOD.replace('"a"', '"b"')


class LineTooLong(Rule):
    """The line is longer than any record should be."""

    code = "E105"
    slug = "line-too-long"
    message = "the line is longer than {limit:,} bytes and was not read"
    hint = "Images belong in files, not in the text; and every record needs a line of its own, ended by \\n."
    bad = "a line of 40 MB"
    good = _GOOD


class EmptyFile(Rule):
    """The file holds no record."""

    code = "W106"
    slug = "empty-file"
    message = "the file holds no record"
    hint = "Look whether the step that wrote it failed."
    bad = "a file of 0 bytes"
    good = _GOOD


class FileUnreadable(Rule):
    """The file or folder cannot be read."""

    code = "E107"
    slug = "file-unreadable"
    message = "{fault}"
    hint = "Check the path and its permissions."
    bad = "data/trian.jsonl, where there is only data/train.jsonl"
    good = "data/train.jsonl"


class TooDeep(Rule):
    """The JSON is nested deeper than decoders go."""

    code = "E108"
    slug = "nested-too-deeply"
    message = "JSON nested too deeply: the limit is passed at column {column}"
    hint = "Only 'metadata' can nest; make it flatter, or keep it as a string."
    bad = '{"id": "a", …, "metadata": {"x": [[[[ … 300 brackets … ]]]]}}'
    good = '{"id": "a", …, "metadata": {"x": [1, 2, 3]}}'


class ShardDamaged(Rule):
    """A shard cannot be read to its end."""

    code = "E109"
    slug = "shard-damaged"
    message = "the shard {fault}"
    hint = "Fetch it again, or make it again: the records that came before were checked."
    bad = "ucf101_train-00000-of-00002.tar, of which the last megabyte is missing"
    good = "ucf101_train-00000-of-00002.tar as it was written"


def json_problem(data: bytes, error: str) -> Problem:
    """Say why a line could not be decoded.

    Args:
        data: The line.
        error: The decoder's words, ending in "at line 1 column N"; its columns count bytes.
    """
    try:
        data.decode()
    except UnicodeDecodeError as undecodable:
        byte = f"{data[undecodable.start]:02X}"
        return InvalidUtf8.problem(byte=byte, offset=undecodable.start)
    match = _PLACE.fullmatch(error)
    fault, column = (match[1], int(match[2])) if match else (error, 0)
    column = len(data[:column].decode(errors="ignore"))
    if fault == "recursion limit exceeded":
        return TooDeep.problem(column=column)
    return InvalidJson.problem(fault=fault, column=column, hint=_json_hint(data, fault))


def _json_hint(data: bytes, fault: str) -> str | None:
    if data.strip() in (b"[", b"{"):
        return "The file is one JSON document over many lines; write each record on one line of its own."
    if fault == "trailing characters":
        return "One record a line: something follows the record; put it on a line of its own."
    if fault.startswith("EOF"):
        return "The line ends before the record does: it was cut off, or the record runs over several lines."
    return None
