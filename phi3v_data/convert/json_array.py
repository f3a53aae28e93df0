"""The elements of a JSON array, undecoded and one by one: only brackets, commas and strings are looked at."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from phi3v_data.lines import Line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

__all__ = ["BrokenArray", "read_elements"]

_BLOCK = 1 << 20
_DEEPEST = 10_000  # of brackets: a row so deep is refused anyway, and a file of nothing else must not fill the memory
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_INSIDE = re.compile(rb'(?:[^"{}\[\]]++|' + _STRING + rb")*+", re.DOTALL)
_BETWEEN = re.compile(rb'(?:[^",{}\[\]]++|' + _STRING + rb")*+", re.DOTALL)
_REST_OF_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_CLOSING = {ord("{"): ord("}"), ord("["): ord("]")}
_QUOTE, _COMMA = b'",'


class BrokenArray(Exception):
    """An array that cannot be followed any further, from the element of this number on; says why in a sentence."""

    def __init__(self, number: int, sentence: str) -> None:
        super().__init__(sentence)
        self.number = number


def read_elements(file: BinaryIO, offset: int, *, limit: int) -> Iterator[Line]:
    """Iterate over the elements of an array, each with all that stands between two commas; it may be blank.

    Time is linear in the file's size, and memory in that of the largest element up to the limit.

    Args:
        file: Open for reading in binary, behind the array's '['.
        offset: That place in the file.
        limit: Longest element in bytes that is kept; a longer one comes with data None.

    Raises:
        BrokenArray: A bracket is missing or too many, or the file ends early, or goes on behind the array.
    """
    number, ends, kept, size = 1, _Ends(), list[bytes](), 0
    while block := file.read(_BLOCK):
        start = 0
        while (end := _find_end(ends, block, start, number, offset)) is not None:
            kept.append(block[start:end])
            size += end - start
            yield Line(number, offset, b"".join(kept) if size <= limit else None)
            if block[end] != _COMMA:
                _expect_nothing(file, block[end + 1 :], number)
                return
            number, offset, start, kept, size = number + 1, offset + size + 1, end + 1, [], 0
        size += len(block) - start
        if size <= limit:
            kept.append(block[start:])
        else:
            kept.clear()
    raise _broken(number, offset, "has no end: the file is cut short, or lacks a quote or a bracket")


def _find_end(ends: _Ends, block: bytes, start: int, number: int, offset: int) -> int | None:
    try:
        return ends.find(block, start)
    except ValueError as error:
        raise _broken(number, offset, str(error)) from None


def _broken(number: int, offset: int, fault: str) -> BrokenArray:
    where = f"row {number}, which begins at byte {offset:,}"
    return BrokenArray(number, f"{where}, {fault}; mend it there, for the rows behind it cannot be told apart")


def _expect_nothing(file: BinaryIO, rest: bytes, number: int) -> None:
    while not rest.strip():
        rest = file.read(_BLOCK)
        if not rest:
            return
    raise BrokenArray(
        number + 1, f"behind the array's end, after row {number}, stands {rest.strip()[:20]!r}: remove it"
    )


class _Ends:
    """Finds where elements end; remembers from block to block which brackets are open, and whether a string is."""

    def __init__(self) -> None:
        self._open = bytearray()
        self._in_string = False
        self._is_escaped = False

    def find(self, block: bytes, position: int) -> int | None:
        """Return the place of the ',' or ']' that ends the element, or None where it goes on behind the block.

        Raises:
            ValueError: The brackets do not match; the text is the end of a sentence about the element.
        """
        while position < len(block):
            if self._in_string:
                position = self._pass_string(block, position)
                continue
            match = (_INSIDE if self._open else _BETWEEN).match(block, position)
            assert match is not None  # it matches the empty string too
            position = match.end()
            if position == len(block):
                break
            if not self._open and block[position] in b",]":
                return position
            self._note(block[position])
            position += 1
        return None

    def _pass_string(self, block: bytes, position: int) -> int:
        """Return the place behind the string's end, or the block's; its last byte may escape one of the next block."""
        if self._is_escaped:
            self._is_escaped = False
            return position + 1
        match = _REST_OF_STRING.match(block, position)
        assert match is not None  # it matches the empty string too
        if match.end() == len(block):
            return match.end()
        self._in_string = block[match.end()] != _QUOTE
        self._is_escaped = self._in_string
        return match.end() + 1

    def _note(self, mark: int) -> None:
        if mark == _QUOTE:
            self._in_string = True
        elif mark not in _CLOSING:
            if not self._open or self._open.pop() != mark:
                raise ValueError(f"has a {chr(mark)!r} that closes nothing, or not what was opened last")
        elif len(self._open) < _DEEPEST:
            self._open.append(_CLOSING[mark])
        else:
            raise ValueError("is nested too deep")
