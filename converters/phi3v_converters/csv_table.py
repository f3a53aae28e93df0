"""A table of pictures and questions about them, as CSV or TSV: anyone's own data.

A row of `animals.csv`, beside `photos/0001.jpg`:

    image,question,answer
    photos/0001.jpg,What is on the chair?,A cat.

becomes

    {"id": "train-0000000000", "source": "csv", "group": "photos/0001.jpg", "conversations": [{
     "images": ["train/animals.csv/0000002.0.jpg"], "user": "What is on the chair?", "assistant": "A cat."}]}

The picture is called after the table and the line on which its row begins. Flags say which column is what. A table's
split is a column's or in its name: `animals_val.csv`. A row without an answer is rejected, but in a test split, where
it is there to be asked; so only tables of a test may have no column of answers. White space around a cell is no part of
it.
"""

from __future__ import annotations

import re
from functools import cached_property, partial
from typing import TYPE_CHECKING, ClassVar

from phi3v_converters.carved import CarvedConverter
from phi3v_converters.csv_columns import ask, check_answers, check_columns
from phi3v_converters.csv_options import CsvOptions
from phi3v_converters.csv_rows import Table
from phi3v_converters.local_folders import path_advice
from phi3v_converters.splits import in_order, split_in_path, split_named
from phi3v_data.convert.annotations import bases
from phi3v_data.convert.converter import Reject
from phi3v_data.convert.pictures import FilePicture
from phi3v_data.errors import SourceError, UsageError
from phi3v_data.image_folder import ImageFolder, UnsafePath

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from phi3v_data.convert.converter import Source

__all__ = ["CsvTable"]

_URL = re.compile(r"[a-z][a-z0-9+.-]*://|data:", re.IGNORECASE)
_MOST_SPLITS = 20


class CsvTable(CarvedConverter[CsvOptions]):
    """Rows of a table, with pictures, questions and answers → a record each."""

    name: ClassVar[str] = "csv"
    version: ClassVar[str] = "1"
    options_type = CsvOptions
    files = ("*.csv", "*.tsv")
    file_option = "tables"

    @cached_property
    def picture_root(self) -> Path:
        """Folder that the paths in the table start from."""
        return self.options.image_dir or self.root / self.shared["base"]

    def sources(self) -> Mapping[str, Iterator[Source | Reject]]:
        """List the rows of every split."""
        if self.options.answers is None:
            self.options.refuse("answers_delimiter", why="--answers names no column")
        tables = self._find_tables()
        if not self.picture_root.is_dir():
            raise UsageError(
                f"--image_dir {self.picture_root} is no folder: give the one that the pictures' paths start from"
            )
        self._pictures = ImageFolder(self.picture_root, follow_links=self.options.follow_links)
        splits = self._find_splits(tables)
        return self.divide({split: partial(self._rows, splits, split) for split in in_order(splits)})

    def _find_tables(self) -> list[Table]:
        """Open the tables that are named, or those of the folder, and remember where in the source they are."""
        paths = self.options.tables
        self.shared["base"] = ""
        for base in () if paths else bases(self.root):
            found = (path for path in (self.root / base).iterdir() if path.suffix.lower() in (".csv", ".tsv"))
            paths = sorted(base + path.name for path in found if path.is_file() and not path.name.startswith("."))
            if paths:
                self.shared["base"] = base
                break
        if not paths:
            raise UsageError(f"no table found in {self.root}: expected .csv or .tsv files there, or --tables PATH")
        return [self._open(path) for path in dict.fromkeys(paths)]

    def _open(self, path: str) -> Table:
        try:
            file = ImageFolder(self.root).path(path)
        except UnsafePath as error:
            raise UsageError(f"--tables {path}: the path {error.fault}: give one below {self.root}") from None
        if not file.is_file():
            raise UsageError(f"--tables {path}: there is no such file in {self.root}")
        return Table(self.root, path, self.options.delimiter)

    def _find_splits(self, tables: Sequence[Table]) -> Mapping[str, Sequence[Table]]:
        """Return the splits, each with the tables that may have rows of it."""
        splits: dict[str, list[Table]] = {}
        column = self.options.split_column
        for table in tables:
            check_columns(table, self.options)
            named = split_in_path(table.path.removeprefix(self.shared["base"]))
            found = {named} if column is None else _told_splits(table, column)
            if not all(split.startswith("test") for split in found):
                check_answers(table, self.options)
            for split in found:
                splits.setdefault(split, []).append(table)
        return splits if column is None else dict.fromkeys(splits or ["train"], tables)

    def _rows(self, splits: Mapping[str, Sequence[Table]], split: str) -> Iterator[Source | Reject]:
        """List the rows of a split; of those whose split is not known, the first split has the rejects."""
        column, first = self.options.split_column, in_order(splits)[0]
        for table in splits[split]:
            for entry in table.rows(split if column is None else None):
                told = split if column is None else _told_split(entry, column)
                if isinstance(told, Reject):
                    if split == first:
                        yield told
                elif isinstance(entry, Reject):
                    yield entry
                elif told == split:
                    yield self._source(*entry, split)

    def _source(self, place: str, row: Mapping[str, str], split: str) -> Source | Reject:
        """Make the source of a row."""
        options = self.options
        try:
            pictures = [self._picture(column, row[column]) for column in options.image]
            question = ask(row, options, split)
        except SourceError as error:
            return Reject.because(error, place, split)
        return self.source(
            path=place,
            name=place.removeprefix(self.shared["base"]),
            pictures=[FilePicture(path) for path in pictures],
            questions=[question],
            group=(row[options.group] if options.group else None) or pictures[0],
        )

    def _picture(self, column: str, cell: str) -> str:
        """Return the path of a cell's picture below the folder of pictures.

        Raises:
            SourceError: The cell names none, or one that may not be read.
        """
        if not cell:
            raise SourceError("no_picture", f"its cell {column!r} is empty: it should name a picture")
        if _URL.match(cell):
            raise SourceError("image_is_url", f"its picture is the URL {cell[:200]!r}: download it, and name the file")
        path = cell.removeprefix(f"{self.picture_root}/").removeprefix("./")
        try:
            self._pictures.locate(path)
        except UnsafePath as error:
            raise SourceError("unsafe_path", f"its picture's path {cell[:200]!r} {path_advice(error)}") from None
        return path

    @classmethod
    def write_sample(cls, folder: Path) -> None:
        """Write discs, squares and triangles, and tables of questions about them."""
        from phi3v_converters.shape_samples import write_csv

        write_csv(folder)


def _told_splits(table: Table, column: str) -> set[str]:
    """Return the splits that a column of a table names."""
    found: set[str] = set()
    for entry in table.rows(None):
        if isinstance(split := _told_split(entry, column), str):
            found.add(split)
        if len(found) > _MOST_SPLITS:
            raise UsageError(
                f"--split_column: {column!r} names more than {_MOST_SPLITS} splits, such as {min(found)}: "
                "name the column that says train, val or test"
            )
    return found


def _told_split(entry: tuple[str, Mapping[str, str]] | Reject, column: str) -> str | Reject:
    """Return the split that a row names in a column, or the reject of one that names none."""
    if isinstance(entry, Reject):
        return entry
    place, row = entry
    message = f"its cell {column!r} is {row[column]!r}: give train, val, test or another plain name"
    return split_named(row[column]) or Reject(source=place, code="bad_split", message=message)
