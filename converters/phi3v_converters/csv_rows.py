"""Rows of a table as text (CSV, TSV), one by one in bounded memory.

What is no row costs itself alone as long as it is known where it ends. Where that is not known, as behind a quote that
is never closed, what follows might be the inside of a cell, and nothing more is read.
"""

from __future__ import annotations

import csv
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from phi3v_data.convert.converter import Reject
from phi3v_data.errors import UsageError
from phi3v_data.lines import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["Table"]

_LONGEST = 4 << 20
"""Bytes of a row: it is text about a few pictures."""


class _Row(NamedTuple):
    first: int
    """Number of the line on which it begins."""
    last: int
    cells: list[str] | str
    """Its stripped cells, or what is wrong with it."""


class Table:
    """A table with a header, on disk.

    Args:
        root: Folder of the source.
        path: The file, below the root; it is called so in places.
        delimiter: What stands between cells; None takes a tab for `.tsv`, and a comma else.

    Raises:
        UsageError: The file is empty or not UTF-8, or its first row cannot be read.
    """

    def __init__(self, root: Path, path: str, delimiter: str | None) -> None:
        self.path = path
        self._file = root / path
        self._delimiter = delimiter or ("\t" if path.lower().endswith(".tsv") else ",")
        header = next(self._read(), _Row(0, 0, "it is empty")).cells
        if isinstance(header, str):
            raise UsageError(f"{self._file} cannot be read ({header}): its first row should name the columns")
        self.columns = header

    def rows(self, split: str | None) -> Iterator[tuple[str, dict[str, str]] | Reject]:
        """Yield the rows below the header, each with its place, such as "pictures.csv/0000017"; empty lines are none.

        Args:
            split: The split that rejects belong to.

        Yields:
            A place, by the line on which the row begins, and the stripped cells by column; for a row that cannot be
            read a reject with the code `bad_row`, for one of another length `wrong_cells`.

        Raises:
            UsageError: The file is not UTF-8, or cannot be read to its end.
        """
        rows = self._read()
        next(rows)
        for row in rows:
            place = f"{self.path}/{row.first:07d}"
            if isinstance(row.cells, str):
                yield Reject(source=place, split=split, code="bad_row", message=f"the row cannot be read: {row.cells}")
            elif len(row.cells) != len(self.columns):
                message = f"the row has {len(row.cells)} cells, and the header {len(self.columns)}"
                if row.last > row.first:
                    message += f"; it runs to line {row.last}: is a quote in it not closed?"
                yield Reject(source=place, split=split, code="wrong_cells", message=message)
            else:
                yield place, dict(zip(self.columns, row.cells, strict=True))

    def _read(self) -> Iterator[_Row]:
        """Yield every row that is not empty."""
        with self._file.open("rb") as file:
            lines = _Lines(self._file, file)
            # Strict, or a stray quote would swallow rows unnoticed.
            reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
            while True:
                lines.begin()
                try:
                    with _long_cells():
                        cells = next(reader, None)
                except csv.Error as error:
                    if lines.are_lost:
                        raise self._lost(lines, error) from None
                    yield _Row(lines.first, lines.last, str(error))
                    continue
                if cells is None:
                    return
                if cells:
                    yield _Row(lines.first, lines.last, lines.fault or [cell.strip() for cell in cells])

    def _lost(self, lines: _Lines, error: csv.Error) -> UsageError:
        return UsageError(
            f"the row on line {lines.first} of {self._file} cannot be read ({error}; it runs to line {lines.last}), "
            "nor can what is behind it: close every quote, and double those within a cell"
        )


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let cells be as long as rows may be; the limit is the whole process's, so it is as it was between two rows."""
    before = csv.field_size_limit(_LONGEST)
    try:
        yield
    finally:
        csv.field_size_limit(before)


class _Lines:
    """The lines of a table, as `csv.reader` asks for them; it may go on after one that cannot be read.

    Attributes:
        first: Number of the line on which the row begins.
        last: That of the line which was read last.
        fault: What is wrong with the row's text, if so.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._lines = read_lines(file)
        self.last = 0
        self.begin()

    def begin(self) -> None:
        """Begin a new row."""
        self.first = self.last + 1
        self.fault: str | None = None
        self._size = self._quotes = 0

    @property
    def are_lost(self) -> bool:
        """Whether a row that the reader gave up may go on behind the last line, for all that is known."""
        return self.last > self.first or self._quotes % 2 == 1

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.last = line.number
        # A line too long to be seen may hold a quote that opens a cell.
        size, quotes = (_LONGEST, 1) if line.data is None else (len(line.data), line.data.count(b'"'))
        self._size += size + 1
        self._quotes += quotes
        if line.data is None or self._size > _LONGEST:
            raise csv.Error(f"it is longer than {_LONGEST:,} bytes")
        try:
            text = line.data.decode("utf-8-sig" if line.number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise UsageError(f"line {line.number} of {self._path} is not UTF-8: save the table as UTF-8") from None
        if "\0" in text:
            self.fault = "it holds a NUL byte"  # raised, it would leave the rest of a cell to be read as rows
        return text.removesuffix("\r") + "\n"  # inside cells too: no model should learn a carriage return
