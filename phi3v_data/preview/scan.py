"""The first reading: how many records of each class a piece of a file holds, and where each begins."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from xxhash import xxh3_64_intdigest

from phi3v_data.classes import LONGEST_CLASS, MOST_CLASSES
from phi3v_data.errors import DataError
from phi3v_data.formats.kinds import open_record_file
from phi3v_data.image_folder import ImageFolder
from phi3v_data.lines import read_lines
from phi3v_data.validate.decode import try_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from phi3v_data.preview.sources import Source

__all__ = ["CANDIDATE", "Scan", "Scanned", "Search", "find_keys", "scan_piece"]

CANDIDATE = np.dtype([("priority", "u8"), ("file", "i8"), ("line", "i8"), ("key", "i8")])
"""A record that may be chosen: those of the smallest priorities are. The key finds it again in its file."""


@dataclass(frozen=True)
class Scan:
    """A piece to read.

    Args:
        source: The file.
        file: The file's number.
        start: Byte at which the first line begins.
        size: Bytes; of a shard, all.
        seed: Another seed gives other priorities.
    """

    source: Source
    file: int
    start: int
    size: int
    seed: int


class Scanned(NamedTuple):
    """What a piece holds.

    Args:
        lines: Its lines, blank ones too.
        strata: By the answer of the last turn, its candidates, whose lines count from 1 at the piece's begin; those
            without an answer, and lines that are no records, are under None, as are all where there are no classes.
        has_classes: Whether answers may be classes.
        fault: Why no more could be read: the end of a sentence about the file.
    """

    lines: int
    strata: dict[str | None, NDArray[np.void]]
    has_classes: bool
    fault: str | None


def scan_piece(scan: Scan) -> Scanned:
    """Read a piece once; what cannot be read on is told of."""
    rows: dict[str | None, array[int]] = {}
    lines, has_classes, fault = 0, True, None
    seed = scan.seed % (1 << 64)
    try:
        for line, key, data in _lines(scan.source, scan.start, scan.size):
            lines = line
            if data is not None and (not data or data.isspace()):
                continue
            answer = _answer(data) if has_classes else None
            if answer is not None and (len(answer) > LONGEST_CLASS or len(rows) > MOST_CLASSES):
                has_classes, answer = False, None
            priority = xxh3_64_intdigest(b"%d:%d" % (scan.file, key), seed)
            rows.setdefault(answer, array("Q")).extend((priority, scan.file, line, key))
    except DataError as error:
        fault = getattr(error, "fault", str(error))
    except OSError as error:
        fault = f"cannot be read: {error.strerror or error}"
    if not has_classes:
        rows = {None: sum(rows.values(), array("Q"))}
    return Scanned(lines, {answer: _candidates(row) for answer, row in rows.items()}, has_classes, fault)


def _candidates(rows: array[int]) -> NDArray[np.void]:
    return np.frombuffer(rows, dtype=CANDIDATE).copy()


def _answer(data: bytes | None) -> str | None:
    record = try_record(data)
    return None if record is None else record.conversations[-1].assistant


def _lines(source: Source, start: int, size: int) -> Iterator[tuple[int, int, bytes | None]]:
    """Yield number, key and bytes of each line of a piece, or of each record of a shard."""
    if source.is_shard:
        shard = open_record_file(source.path, ImageFolder(source.images))
        for key, sample in zip(shard.iter_keys(), shard.samples(), strict=True):
            yield sample.number, key, sample.data
        return
    with source.path.open("rb") as file:
        file.seek(start)
        for line in takewhile(lambda line: line.offset < size, read_lines(file)):
            yield line.number, start + line.offset, line.data


@dataclass(frozen=True)
class Search:
    """Lines to find in a piece.

    Args:
        scan: The piece.
        lines: Their numbers, from 1 at the piece's begin.
    """

    scan: Scan
    lines: frozenset[int]


def find_keys(search: Search) -> dict[int, int]:
    """Return the keys of lines by their numbers; blank ones, and those that cannot be read, have none."""
    keys: dict[int, int] = {}
    scan = search.scan
    try:
        for line, key, data in _lines(scan.source, scan.start, scan.size):
            if line in search.lines and (data is None or data.strip()):
                keys[line] = key
    except (DataError, OSError):  # the first reading has told
        pass
    return keys
