"""Rows of raw data in JSON, one by one, from an array of objects or from JSON lines; nothing is trusted."""

from __future__ import annotations

import json
import math
import re
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from xxhash import xxh3_64_hexdigest

from phi3v_data.convert.converter import Reject
from phi3v_data.convert.json_array import BrokenArray, read_elements
from phi3v_data.errors import CannotRun, SourceError
from phi3v_data.lines import Line, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["MAX_ROW", "JsonRow", "json_rows", "read_row"]

MAX_ROW = 1 << 28
"""Longest row in bytes that is held in memory: pictures may stand in it as text."""

_DEEPEST = 100  # pydantic reads a record back to a depth of less than 200
_BLANK = b" \t\r\n"
_MARK = b"\xef\xbb\xbf"
_HEAD = 1 << 16
_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")


class JsonRow(NamedTuple):
    """One object of a file of rows."""

    number: int
    """Counts from 1: the element of the array, or the line."""
    place: str
    """Where it is, for a person, such as "train.json:17"."""
    offset: int
    """Byte offset of its first byte in the file."""
    length: int
    """Its bytes."""
    digest: str
    """XXH3 of its bytes, so that an edited row is another one."""
    value: dict[str, Any]
    """The object."""


def json_rows(path: Path, shown: str, split: str | None = None) -> Iterator[JsonRow | Reject]:
    """Yield the objects of a JSON array, or of JSON lines, in flat memory; the file's first byte tells which it is.

    Args:
        path: The file: UTF-8, with or without a byte order mark.
        shown: What to call it in places.
        split: The split that its rejects belong to.

    Yields:
        A row, or a reject in its place: `invalid_json`, `not_unicode`, `too_deep` or `too_large`. Where an array is
        broken, what follows cannot be told apart, and one reject stands for the rest.

    Raises:
        CannotRun: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            yield from _rows(file, shown, split)
    except OSError as error:
        raise CannotRun(f"{path} cannot be read: {error.strerror or error}") from error


def read_row(path: Path, offset: int, length: int, digest: str) -> dict[str, Any]:
    """Read again a row that was listed.

    Raises:
        SourceError: The file has changed since, with the code `changed`.
    """
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(length)
    if xxh3_64_hexdigest(data) != digest:
        raise SourceError("changed", "its file has changed since it was listed: convert it anew with --overwrite")
    return _parse(data)


def _rows(file: BinaryIO, shown: str, split: str | None) -> Iterator[JsonRow | Reject]:
    try:
        for line in _find_lines(file):
            if line.is_blank:
                continue
            place = f"{shown}:{line.number}"
            try:
                yield _row(line, place)
            except SourceError as error:
                yield Reject.because(error, place, split)
    except BrokenArray as error:
        place = f"{shown}:{error.number}"
        yield Reject(source=place, split=split, code="invalid_json", message=str(error))


def _find_lines(file: BinaryIO) -> Iterator[Line]:
    """Iterate over what should be rows, undecoded: elements of an array, or lines.

    Raises:
        BrokenArray: It is neither, or an array that cannot be followed to its end.
    """
    start = len(_MARK) if file.read(len(_MARK)) == _MARK else 0
    file.seek(start)
    while (head := file.read(_HEAD)).isspace():
        start += len(head)
    first = start + len(head) - len(head.lstrip(_BLANK))
    opening = head.lstrip(_BLANK).partition(b"\n")[0].rstrip(_BLANK)
    if opening.startswith(b"["):
        file.seek(first + 1)
        return read_elements(file, first + 1, limit=MAX_ROW)
    if opening == b"{":
        raise BrokenArray(1, "the file is one object over many lines, neither an array of rows nor JSON lines")
    if opening and not opening.startswith(b"{"):
        raise BrokenArray(1, f"the file begins with {opening[:20]!r}, so it is neither an array nor JSON lines")
    file.seek(0)
    return _without_mark(read_lines(file, limit=MAX_ROW))


def _without_mark(lines: Iterator[Line]) -> Iterator[Line]:
    for line in lines:
        if line.data is not None and line.data.startswith(_MARK):
            yield Line(line.number, line.offset + len(_MARK), line.data[len(_MARK) :])
        else:
            yield line
        break
    yield from lines


def _row(line: Line, place: str) -> JsonRow:
    if line.data is None:
        raise SourceError("too_large", f"the row has more than {MAX_ROW:,} bytes: keep its pictures in files")
    data = line.data.strip(_BLANK)
    offset = line.offset + line.data.find(data)
    return JsonRow(line.number, place, offset, len(data), xxh3_64_hexdigest(data), _parse(data))


def _parse(data: bytes) -> dict[str, Any]:
    """Return the object that a row's bytes are.

    Raises:
        SourceError: They are none, or one that could not be written again as it is.
    """
    try:
        value = json.loads(data.decode(), parse_constant=_refuse_number, parse_float=_finite)
    except UnicodeDecodeError as error:
        raise SourceError("not_unicode", f"the row is not UTF-8: {error.reason} at its byte {error.start}") from None
    except RecursionError:
        raise SourceError("too_deep", "the row is nested too deep") from None
    except ValueError as error:
        raise SourceError("invalid_json", f"the row is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise SourceError("invalid_json", f"the row is no JSON object: it is a {type(value).__name__}")
    if data.count(b"[") + data.count(b"{") > _DEEPEST and _is_deep(value):
        raise SourceError("too_deep", f"the row is nested too deep: more than {_DEEPEST} levels")
    if _HALF_PAIR.search(data) and not _is_unicode(value):
        raise SourceError("not_unicode", "the row holds half of a surrogate pair, which is no character")
    return value


def _refuse_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:50]} is too large")
    return number


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        level = list(chain.from_iterable(_inside(item) for item in level))
    return bool(level)


def _inside(value: object) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _is_unicode(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
