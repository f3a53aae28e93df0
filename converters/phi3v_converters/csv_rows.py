"""Rows of a table as text (CSV, TSV), one by one in bounded memory; what is no row costs itself alone."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

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
        _, cells = next(self._read(), (0, "it is empty"))
        if isinstance(cells, str):
            raise UsageError(f"{self._file} cannot be read ({cells}): its first row should name the columns")
        self.columns = cells

    def rows(self, split: str | None) -> Iterator[tuple[str, dict[str, str]] | Reject]:
        """Yield the rows below the header, each with its place, such as "pictures.csv/0000017"; empty lines are none.

        Args:
            split: The split that rejects belong to.

        Yields:
            A place, by the line on which the row begins, and the stripped cells by column; for a row that cannot be
            read a reject with the code `bad_row`, for one of another length `wrong_cells`.

        Raises:
            UsageError: The file is not UTF-8.
        """
        rows = self._read()
        next(rows)
        for line, cells in rows:
            place = f"{self.path}/{line:07d}"
            if isinstance(cells, str):
                yield Reject(source=place, split=split, code="bad_row", message=f"the row cannot be read: {cells}")
            elif len(cells) != len(self.columns):
                message = f"the row has {len(cells)} cells, and the header {len(self.columns)}"
                yield Reject(source=place, split=split, code="wrong_cells", message=message)
            else:
                yield place, dict(zip(self.columns, cells, strict=True))

    def _read(self) -> Iterator[tuple[int, list[str] | str]]:
        """Yield the line on which each row begins, and its stripped cells, or what is wrong with it."""
        with self._file.open("rb") as file:
            lines = _Lines(self._file, file)
            # Strict, or a stray quote would swallow rows unnoticed.
            reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
            while True:
                begins = lines.begin()
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield begins, str(error)
                else:
                    if cells:
                        yield begins, [cell.strip() for cell in cells]


class _Lines:
    """The lines of a table, as `csv.reader` asks for them; it may go on after one that cannot be read."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._lines = read_lines(file, limit=_LONGEST)
        self._number = 0
        self._size = 0

    def begin(self) -> int:
        """Return the number of the next line, on which a new row begins."""
        self._size = 0
        return self._number + 1

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._number = line.number
        self._size += _LONGEST + 1 if line.data is None else len(line.data)
        if line.data is None or self._size > _LONGEST:
            raise csv.Error(f"it is longer than {_LONGEST:,} bytes")
        try:
            text = line.data.decode("utf-8-sig" if line.number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise UsageError(f"line {line.number} of {self._path} is not UTF-8: save the table as UTF-8") from None
        if "\0" in text:
            raise csv.Error("it holds a NUL byte")
        return text.removesuffix("\r") + "\n"  # inside cells too: no model should learn a carriage return
