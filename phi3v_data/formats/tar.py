"""Tar archives of plain files, read by place and written as bytes: the blocks of POSIX.1-1988 (ustar).

The standard library's module takes several times as long for each member, and a dataset has millions of them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["END", "Member", "TarFault", "header", "padding", "read_members"]

BLOCK = 512
END = bytes(2 * BLOCK)
"""What ends an archive."""

_LARGEST = 8**11 - 1  # eleven octal digits
_PLAIN = b"0\0"
_FOLDER = b"5"
_PAX = b"xg"  # notes on the next member, or on all: harmless, as long as they change neither name nor size
_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a FIFO",
    b"L": "a name over 100 bytes",
    b"K": "a link's name over 100 bytes",
}


class TarFault(ValueError):
    """The archive cannot be read on; the message is the end of a sentence about it."""


class Member(NamedTuple):
    """A plain file in an archive: its name, where its bytes begin, and how many they are."""

    name: str
    offset: int
    size: int


def header(name: str, size: int) -> bytes:
    """Return the header of a plain file, the same at every time and for every user.

    Args:
        name: Its name, ASCII, of at most 100 bytes.
        size: Its bytes, less than 8 GiB.

    Raises:
        ValueError: The name or the size does not fit.
    """
    raw = name.encode("ascii")
    if len(raw) > 100 or size > _LARGEST:
        raise ValueError(f"{name!r} of {size:,} bytes does not fit into a tar header")
    start = raw.ljust(100, b"\0") + b"0000644\x000000000\x000000000\x00" + b"%011o\0" % size + b"00000000000\0"
    end = b"0" + bytes(100) + b"ustar\x0000" + bytes(247)
    check = sum(start) + 8 * 0x20 + sum(end)  # the sum is taken with its own field as eight spaces
    return start + b"%06o\0 " % check + end


def padding(size: int) -> bytes:
    """Return what fills the last block behind so many bytes."""
    return bytes(-size % BLOCK)


def read_members(descriptor: int, start: int = 0) -> Iterator[Member]:
    """Yield the plain files of an archive in order; their content is not read.

    Args:
        descriptor: The archive, open for reading.
        start: Where to begin: the offset of a header.

    Raises:
        TarFault: It is no tar archive, is cut short, or holds anything else than plain files and folders.
    """
    position, end = start, os.fstat(descriptor).st_size
    while True:
        head = os.pread(descriptor, BLOCK, position)
        if len(head) == BLOCK and not any(head):
            return
        if len(head) < BLOCK:
            raise TarFault("is cut short" if position else _foreign(head))
        size = _check(head, position)
        kind, content = head[156:157], position + BLOCK
        position = content + size + -size % BLOCK
        if content + size > end:
            raise TarFault("is cut short")
        name = _name(head)
        if kind in _PLAIN:
            yield Member(name, content, size)
        elif kind in _PAX:
            _check_notes(os.pread(descriptor, min(size, 1 << 20), content))
        elif kind != _FOLDER:
            raise TarFault(f"holds {_KINDS.get(kind, 'something that is no plain file')} ({name[:100]!r})")


def _check(head: bytes, position: int) -> int:
    """Hold a header against its check sum and return the size it declares."""
    try:
        stated = int(head[148:156].strip(b"\0 "), 8)
        size = int(head[124:136].strip(b"\0 ") or b"0", 8)
    except ValueError:
        raise TarFault("is damaged" if position else _foreign(head)) from None
    if sum(head) - sum(head[148:156]) + 8 * 0x20 != stated or size < 0:
        raise TarFault("is damaged" if position else _foreign(head))
    return size


def _foreign(head: bytes) -> str:
    if head.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ")):
        return "is compressed: decompress it first"
    return "is no tar archive" if head else "is empty"


def _name(head: bytes) -> str:
    """Return a member's name; nothing is ever written under it."""
    name = head[:100].partition(b"\0")[0]
    if head[257:262] == b"ustar" and (prefix := head[345:500].partition(b"\0")[0]) and head[257:265] != b"ustar  \0":
        name = prefix + b"/" + name
    text = name.decode("utf-8", "backslashreplace").removeprefix("./")
    if text.startswith("/") or ".." in text.split("/"):
        raise TarFault(f"holds a path that leaves its folder ({text[:100]!r})")
    return text


def _check_notes(notes: bytes) -> None:
    """Refuse notes that give the next member another name or size than its header does (POSIX.1-2001, pax)."""
    if any(key in notes for key in (b" path=", b" size=", b" linkpath=", b" GNU.sparse")):
        raise TarFault("holds a name or a size that does not fit into a plain header")
