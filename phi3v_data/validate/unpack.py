"""Compressed files: told by their first bytes, and unpacked so that what is in them can be checked too."""

from __future__ import annotations

import bz2
import gzip
import importlib
import lzma
import zlib
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from phi3v_data.validate.temporary import temporary_space

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any, BinaryIO


__all__ = ["Packing", "packing_of", "unpack"]

_BLOCK = 1 << 20
_SUSPICIOUS = 200  # times its size: JSON lines shrink to a tenth, to a thirtieth where they repeat themselves
_HARMLESS = 1 << 30  # bytes, whatever they were packed into


class Packing(NamedTuple):
    """A kind of compression.

    Args:
        kind: Its name.
        magic: How such files begin.
        command: What unpacks one.
        open: Returns what reads the bytes in a file; None where no library that can is installed.
    """

    kind: str
    magic: bytes
    command: str
    open: Callable[[], Callable[[BinaryIO], Any] | None]


def _zstd() -> Callable[[BinaryIO], Any] | None:
    try:
        opener: Callable[[BinaryIO], Any] = importlib.import_module("compression.zstd").ZstdFile  # Python 3.14
    except ModuleNotFoundError:
        try:
            decompressor = importlib.import_module("zstandard").ZstdDecompressor()
        except ModuleNotFoundError:
            return None
        opener = partial(decompressor.stream_reader, read_across_frames=True)  # as pzstd and cat write them
    return opener


_PACKINGS = (
    Packing("gzip", b"\x1f\x8b", "gunzip", lambda: lambda file: gzip.GzipFile(fileobj=file)),
    Packing("zstd", b"\x28\xb5\x2f\xfd", "zstd -d", _zstd),
    Packing("bzip2", b"BZh", "bunzip2", lambda: bz2.BZ2File),
    Packing("xz", b"\xfd7zXZ\x00", "unxz", lambda: lzma.LZMAFile),
)


def packing_of(head: bytes) -> Packing | None:
    """Return how a file is compressed that begins with some bytes, or None where it is not."""
    return next((packing for packing in _PACKINGS if head.startswith(packing.magic)), None)


def unpack(packing: Packing, source: Path, target: Path) -> str:
    """Unpack a file as far as that goes.

    Args:
        packing: How it is compressed.
        source: The file.
        target: Where to write what is in it.

    Returns:
        What to say of a file that could not be unpacked to its end, such as " and cannot be unpacked here"; else "".

    Raises:
        CannotRun: There is no room.
    """
    if (opener := packing.open()) is None:
        return " and cannot be unpacked here"
    most = max(_HARMLESS, _SUSPICIOUS * source.stat().st_size)
    with source.open("rb") as file, temporary_space(), target.open("wb") as out:
        stream = opener(file)
        while True:
            try:
                data = stream.read1(_BLOCK)  # which gives what there is before it complains of the rest
            except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError):
                return "; it is damaged or cut short, and only what came before was checked"
            except Exception as error:  # the error of zstd's library, whichever is installed
                return f"; it is damaged ({type(error).__name__}), and only what came before was checked"
            if not data:
                return ""
            out.write(data)
            if out.tell() > most:
                return f", unpacks to more than {most:,} bytes, and was not checked further"
