"""Raw lines of a JSONL file: where each begins, in bounded memory whatever the file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

__all__ = ["MAX_LINE", "Line", "read_lines"]

MAX_LINE = 32 * 1024 * 1024
"""Longest line in bytes that is held in memory; a record is text, and real ones are a few kilobytes."""

_CHUNK = 1 << 16  # small enough that its lines are still in the cache when they are decoded


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
    file: BinaryIO, *, limit: int = MAX_LINE, on_chunk: Callable[[bytes], object] | None = None
) -> Iterator[Line]:
    r"""Iterate over the lines of a binary file, from where it stands.

    Args:
        file: Open for reading in binary; it need not be seekable.
        limit: Longest line in bytes that is kept; a longer one comes with data None and is never held.
        on_chunk: Called with each block as it was read, for checksums and progress.

    Yields:
        Every line in order. A last line without a newline counts; nothing after the last newline is no line.
    """
    number = offset = 0
    begun = _Begun(limit)
    while chunk := file.read(_CHUNK):
        if on_chunk is not None:
            on_chunk(chunk)
        pieces = chunk.split(b"\n")
        begun.add(pieces[0])
        if len(pieces) == 1:
            continue
        number += 1
        yield Line(number, offset, begun.data())
        offset += begun.size + 1
        for data in pieces[1:-1]:
            number += 1
            length = len(data)
            yield Line(number, offset, data if length <= limit else None)
            offset += length + 1
        begun = _Begun(limit)
        begun.add(pieces[-1])
    if begun.size:
        yield Line(number + 1, offset, begun.data())


class _Begun:
    """A line whose end has not been read yet; over the limit only its size is kept."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self.parts: list[bytes] = []

    def add(self, part: bytes) -> None:
        self.size += len(part)
        if self.size <= self.limit:
            self.parts.append(part)
        else:
            self.parts.clear()

    def data(self) -> bytes | None:
        return b"".join(self.parts) if self.size <= self.limit else None
