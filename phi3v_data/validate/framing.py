"""E1xx: files whose lines mean nothing, because they are no JSON lines at all; said once for the file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from phi3v_data.validate.decode import BOM
from phi3v_data.validate.foreign import foreign_problem
from phi3v_data.validate.not_lines import not_json_lines
from phi3v_data.validate.rule import Rule

if TYPE_CHECKING:
    from phi3v_data.validate.rule import Problem

__all__ = ["ForeignLineEnds", "JsonDocument", "OtherEncoding", "file_fault"]

_GOOD = '{"id": "a", "source": "s", "conversations": [{"user": "Hi?", "assistant": "Hello."}]}'
_OTHER = _GOOD.replace('"a"', '"b"').replace("Hi?", "So?")


class OtherEncoding(Rule):
    """The file is text in UTF-16 or UTF-32."""

    code = "E112"
    slug = "other-encoding"
    message = "the file is {encoding}, not UTF-8; no line was read"
    hint = "Save it as UTF-8, as with: iconv -f UTF-16 -t UTF-8 FILE > NEW"
    bad = "the same file with two bytes for each character"
    good = _GOOD


class ForeignLineEnds(Rule):
    """The records are parted by something other than newlines."""

    code = "E113"
    slug = "foreign-line-ends"
    message = "the records are parted by {name} instead of newlines; no line was read"
    hint = "Put \\n between the records, as with: tr '\\r' '\\n' < FILE > NEW"
    bad = _GOOD + "<byte 0D>" + _OTHER
    good = _GOOD + "\n" + _OTHER


class JsonDocument(Rule):
    """The file is JSON, but not JSON lines: an array, or objects over many lines."""

    code = "E114"
    slug = "json-document"
    message = "the file is {what}, not one record a line; no line was read"
    hint = "Write each record on one line of its own, as with: jq -c '.[]' FILE > NEW.jsonl"
    bad = "[\n" + _GOOD + ",\n" + _OTHER + "\n]"
    good = _GOOD + "\n" + _OTHER


# The wider ones first: read by half its width, text is the same characters with NULs between.
_ENCODINGS = ("UTF-32LE", "UTF-32BE", "UTF-16LE", "UTF-16BE")
_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_TR = "tr '\\r' '\\n'"
_SEPARATORS = {
    b"\r": ("carriage returns", _TR),
    b"\xe2\x80\xa8": ("U+2028 (line separator)", "perl -pe 's/\\xe2\\x80\\xa8/\\n/g'"),
    b"\xe2\x80\xa9": ("U+2029 (paragraph separator)", "perl -pe 's/\\xe2\\x80\\xa9/\\n/g'"),
    b"\xc2\x85": ("U+0085 (next line)", "perl -pe 's/\\xc2\\x85/\\n/g'"),
}
_BETWEEN = re.compile(rb"\}[ \t]*(" + b"|".join(_SEPARATORS) + rb")[\s\xe2\x80\xa8\xa9\xc2\x85]*\{")


def file_fault(head: bytes, *, whole: bool) -> Problem | None:
    """Return what makes the lines of a file meaningless, or None where they can be read one by one.

    Args:
        head: The first 64 KB of the file.
        whole: Whether that is all of it.
    """
    if (encoding := _encoding(head)) is not None:
        # With a byte order mark iconv finds the order itself, and takes the mark away.
        source = encoding[:6] if head.startswith(_MARKS) else encoding
        return OtherEncoding.problem(encoding=encoding, hint=OtherEncoding.hint.replace("UTF-16", source))
    text = head.removeprefix(BOM).strip()
    if not text.startswith((b"{", b"[")):
        return not_json_lines(head)
    head = text
    if b"\n" not in head:
        return _foreign_ends(head) or _array(head, whole=whole)
    return _document(head, whole=whole)


def _encoding(head: bytes) -> str | None:
    """Return the encoding in which most bytes that may be quotes are quotes; JSON has them whatever its texts are."""
    if 0 not in head:
        return None
    quotes = head.count(b'"')
    return next((name for name in _ENCODINGS if _quotes(head, name) * 2 > quotes), None)


def _quotes(head: bytes, encoding: str) -> int:
    return head.decode(encoding, errors="replace").count('"')


def _foreign_ends(head: bytes) -> Problem | None:
    """Return the problem of what stands behind a first record where the newline should; a text may hold the like."""
    between = _BETWEEN.search(head)
    if between is None or _parse(head[: between.start() + 1])[1]:
        return None
    name, command = _SEPARATORS[between[1]]
    return ForeignLineEnds.problem(name=name, hint=ForeignLineEnds.hint.replace(_TR, command))


def _array(head: bytes, *, whole: bool) -> Problem | None:
    """Return the problem of an array of objects on one line."""
    value, fault = _parse(head)
    is_cut = fault.startswith("EOF") and not whole
    if head.startswith(b"[") and (is_cut or not fault) and _first(value):
        return _told("one array", value)
    return None


def _document(head: bytes, *, whole: bool) -> Problem | None:
    """Return the problem of JSON whose first value runs over several lines."""
    first_line, _, rest = head.partition(b"\n")
    if not _parse(first_line)[1].startswith("EOF"):
        return None
    value, fault = _parse(head)
    if fault.startswith("EOF"):
        # A record whose end is missing, and one more, may look like the beginning of a document.
        second, wrong = _parse(rest.partition(b"\n")[0])
        is_document = not (whole and isinstance(second, dict) and not wrong)
    else:
        is_document = not fault or fault.startswith("trailing characters")
    if not is_document:
        return None
    return _told("one array over many lines" if head.startswith(b"[") else "JSON over many lines", value)


def _parse(text: bytes) -> tuple[Any, str]:
    """Return the value of a text and "", or what there is of it and the decoder's words."""
    text = text.decode(errors="ignore").encode()  # its last character may be cut off
    try:
        return from_json(text), ""
    except ValueError as error:
        fault = str(error)
    try:
        return from_json(text, allow_partial=True), fault
    except ValueError:
        return None, fault


def _first(value: Any) -> dict[str, Any]:
    """Return the first object of a document, or none of its fields."""
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, dict) else {}


def _told(what: str, value: Any) -> Problem:
    first = _first(value)
    turns = first.get("conversations")
    turn = turns[0] if isinstance(turns, list) and turns else {}
    fields = turn.keys() if isinstance(turn, dict) else set[str]()
    foreign = foreign_problem(first.keys(), fields if "conversations" in first else None, what=what)
    if foreign is not None:
        return foreign
    hint = JsonDocument.hint if isinstance(value, list) else JsonDocument.hint.replace("'.[]'", ".")
    return JsonDocument.problem(what=what, hint=hint)
