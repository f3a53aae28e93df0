"""Raw lines of a JSONL file: where each begins, in bounded memory whatever the file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["MAX_LINE", "Block", "Line", "Readable", "TooLong", "read_blocks", "read_lines"]

MAX_LINE = 32 * 1024 * 1024
"""Longest line in bytes that is held in memory; a record is text, and real ones are a few kilobytes."""

_CHUNK = 1 << 17  # small enough that its lines are still in the cache when they are decoded


class Readable(Protocol):
    """What bytes can be read from, piece by piece."""

    def read(self, size: int, /) -> bytes:
        """Return up to so many bytes, and none at the end."""
        ...


class TooLong(NamedTuple):
    """Stands for a line over the limit, which was not kept."""

    size: int
    """Its bytes, without the newline."""


class Block(NamedTuple):
    """Some lines that follow each other."""

    data: bytes
    """Them all, with the newlines between them; empty where they are not kept."""
    lines: list[bytes | TooLong]
    """Each without its newline."""
    is_ended: bool = True
    """Whether a newline follows the last of them; without one the file ends here."""


class Line(NamedTuple):
    r"""One line without its newline; only '\n' ends a line."""

    number: int
    """Counts from 1."""
    offset: int
    """Byte offset of its first byte."""
    data: bytes | None
    """The bytes, or None for a line over the limit."""

    @property
    def is_blank(self) -> bool:
        """Whether the line holds nothing but white space."""
        return self.data is not None and (not self.data or self.data.isspace())


def read_lines(
    file: Readable, *, limit: int = MAX_LINE, on_chunk: Callable[[bytes], object] | None = None
) -> Iterator[Line]:
    r"""Iterate over the lines of a binary file, from where it stands.

    Args:
        file: Open for reading in binary; it need not be seekable.
        limit: Longest line in bytes that is kept; a longer one comes with data None and is never held.
        on_chunk: Called with each piece as it was read, for checksums and progress.

    Yields:
        Every line in order. A last line without a newline counts; nothing after the last newline is no line.
    """
    number = offset = 0
    for block in read_blocks(file, limit=limit, on_chunk=on_chunk):
        for line in block.lines:
            number += 1
            if isinstance(line, TooLong):
                yield Line(number, offset, None)
                offset += line.size + 1
            else:
                yield Line(number, offset, line)
                offset += len(line) + 1


def read_blocks(
    file: Readable, *, limit: int = MAX_LINE, on_chunk: Callable[[bytes], object] | None = None
) -> Iterator[Block]:
    """Iterate over the lines of a binary file in blocks of some hundred kilobytes, or of one longer line.

    Args:
        file: As `read_lines`.
        limit: As `read_lines`.
        on_chunk: As `read_lines`.
    """
    begun, size = bytearray(), 0  # a line whose end has not been read yet; over the limit only its size is kept
    while data := file.read(_CHUNK):
        if on_chunk is not None:
            on_chunk(data)
        end = data.rfind(b"\n") + 1
        if end and size > min(_CHUNK, limit):  # it becomes a block by itself
            first = data.find(b"\n")
            yield _single(begun, size, data[:first], limit, is_ended=True)
            begun.clear()
            data, end = data[first + 1 :], end - first - 1
            size = 0
        if end:
            yield _several(b"".join((begun, memoryview(data)[:end])), limit)
            begun.clear()
            size = 0
        size += len(data) - end
        if size <= limit:
            begun += data[end:]
        else:
            begun.clear()
    if size:
        yield _single(begun, size, b"", limit, is_ended=False)


def _single(begun: bytearray, size: int, rest: bytes, limit: int, *, is_ended: bool) -> Block:
    size += len(rest)
    if size > limit:
        return Block(b"", [TooLong(size)], is_ended)
    begun += rest
    line = bytes(begun)
    return Block(line, [line], is_ended)


def _several(data: bytes, limit: int) -> Block:
    lines: list[bytes | TooLong] = list(data.split(b"\n"))
    lines.pop()  # nothing stands behind the last newline
    if len(data) > limit:
        lines = [line if len(line) <= limit else TooLong(len(line)) for line in lines]
    return Block(data, lines)
