"""Converters of pictures with questions: a source is what the model sees, its records are the questions about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import Field

from phi3v_data.convert.converter import Converter, Example, Image, Options, RawTurn, Reject, Source
from phi3v_data.convert.parquet import ParquetFile
from phi3v_data.convert.parquet_files import shard_name
from phi3v_data.errors import SourceError
from phi3v_data.media.checks import (
    BadImage,
    DamagedImage,
    EmptyImage,
    MissingImage,
    NotAnImage,
    TooManyPixels,
    TruncatedImage,
    UnreadableImage,
    check_exists,
)
from phi3v_data.media.picture import store_picture
from phi3v_data.paths import name_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = [
    "MOST_BYTES",
    "FilePicture",
    "PictureConverter",
    "PictureOptions",
    "Question",
    "RowPicture",
    "image_reject",
    "read_picture",
    "safe_path",
]

MOST_BYTES = 1 << 28
"""Of a file that is to be a picture: more is somebody's video, or a trap."""

_CODES = {
    MissingImage: "missing_image",
    UnreadableImage: "unreadable",
    EmptyImage: "empty_image",
    NotAnImage: "not_an_image",
    TruncatedImage: "truncated",
    TooManyPixels: "too_many_pixels",
    DamagedImage: "damaged",
}


class PictureOptions(Options):
    """What shapes the stored pictures."""

    image_size: int | None = Field(
        default=None, ge=16, description="Shrink pictures so that the longer side has at most this many pixels."
    )
    quality: int = Field(default=90, ge=1, le=100, description="JPEG quality of a JPEG that is shrunk.")
    decode: bool = Field(
        default=False,
        description="Decode every picture too: finds damage inside a PNG, but little of that inside a JPEG.",
    )


@dataclass(frozen=True, slots=True)
class FilePicture:
    """A picture in a file; `path` is below the root of pictures, with '/'."""

    path: str


@dataclass(frozen=True, slots=True)
class RowPicture:
    """A picture in a row of a Parquet file.

    Args:
        file: Path of the file below the root.
        row: Number of the row in the file.
        column: Name of the column.
        index: Which of the row's pictures, where the column holds lists.
        count: How many pictures that list must hold.
    """

    file: str
    row: int
    column: str
    index: int | None = None
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question about a source's pictures: one record.

    Args:
        user: The prompt.
        assistant: The answer; None makes an evaluation record.
        answers: Every accepted answer, where there are several.
        label: Its class.
        metadata: What else the record should carry, such as the question's number.
    """

    user: str
    assistant: str | None = None
    answers: Sequence[str] | None = None
    label: str | None = None
    metadata: Mapping[str, Any] | None = None


OptionsT = TypeVar("OptionsT", bound=PictureOptions)


class PictureConverter(Converter[OptionsT]):
    """Base of converters whose sources are pictures with questions: `sources` is all that is left to write."""

    _file: tuple[str, ParquetFile] | None = None

    @property
    def picture_root(self) -> Path:
        """Folder below which the pictures in files lie; a converter may have them elsewhere than the rest."""
        return self.root

    def source(
        self,
        *,
        path: str,
        name: str,
        pictures: Sequence[FilePicture | RowPicture],
        questions: Sequence[Question],
        group: str | None = None,
    ) -> Source:
        """Make a source of pictures, in the order the model sees them, and of the questions about them."""
        return Source(
            path=path,
            name=name,
            size=sum(self._size(picture.path) for picture in pictures if isinstance(picture, FilePicture)),
            group=group,
            data={"pictures": [asdict(picture) for picture in pictures], "questions": [asdict(q) for q in questions]},
        )

    def row_source(
        self,
        file: str,
        row: int,
        pictures: Sequence[RowPicture],
        questions: Sequence[Question],
        group: str | None = None,
    ) -> Source:
        """Make a source of a row of a Parquet file, named by both."""
        name = f"{shard_name(file)}/{row:07d}"
        return self.source(path=f"{file}/{row:07d}", name=name, pictures=pictures, questions=questions, group=group)

    def row_sources(
        self,
        file: str,
        split: str,
        rows: Iterable[Mapping[str, Any]],
        *,
        columns: Sequence[str],
        key: Callable[[int, Mapping[str, Any]], object],
        ask: Callable[[Mapping[str, Any], str], Sequence[Question]],
        group: Callable[[Mapping[str, Any]], str | None],
    ) -> Iterator[Source | Reject]:
        """Make sources of a Parquet file's rows; rows with the same pictures are one source where they stand together.

        Args:
            file: Path of the file below the root.
            split: The split that its rejects belong to.
            rows: Its rows, without pictures.
            columns: Those of the pictures, in the order the model sees them.
            key: Returns what tells the pictures of a row, given with its number, from others.
            ask: Makes the questions of a row at a place, or raises `SourceError`.
            group: Returns the group of a row.
        """
        for _, same in groupby(enumerate(rows), key=lambda numbered: key(*numbered)):
            first, questions = None, list[Question]()
            for number, row in same:
                place = f"{file}/{number:07d}"
                try:
                    questions += ask(row, place)
                except SourceError as error:
                    yield Reject.because(error, place, split)
                else:
                    first = first or (number, row)
            if first is not None:
                pictures = [RowPicture(file, first[0], column) for column in columns]
                yield self.row_source(file, first[0], pictures, questions, group(first[1]))

    def convert(self, source: Source) -> Iterator[Example]:
        """Store the pictures once, and make an example of every question."""
        images = [self._image(picture) for picture in source.data["pictures"]]
        for question in source.data["questions"]:
            turn = RawTurn(
                images=images,
                user=question["user"],
                assistant=question["assistant"],
                answers=question["answers"],
            )
            yield Example(turns=[turn], label=question["label"], metadata=question["metadata"])

    def _size(self, path: str) -> int:
        """Return a picture's bytes, so that a changed one changes the plan; 0 where its reject will say why."""
        if name_fault(path):
            return 0
        try:
            return (self.picture_root / path).stat().st_size
        except OSError:
            return 0

    def store(self, data: bytes, where: str) -> Image:
        """Return a picture as the options have it stored.

        Args:
            data: The bytes of an image file.
            where: What a reject calls it.

        Raises:
            SourceError: It cannot be used as a picture.
        """
        options = self.options
        try:
            stored = store_picture(
                data, where, image_size=options.image_size, quality=options.quality, decode=options.decode
            )
        except BadImage as error:
            raise image_reject(error, where) from error
        return Image(*stored)

    def _image(self, picture: Mapping[str, Any]) -> Image:
        if "path" in picture:
            path = safe_path(picture["path"])
            return self.store(read_picture(self.picture_root / path, path), path)
        return self.store(self._cell(RowPicture(**picture)), f"the picture in row {picture['row']}")

    def cell(self, file: str, row: int, column: str) -> Any:
        """Return the value of a row of a Parquet file below the root.

        Raises:
            SourceError: The file is damaged, or has no such column.
        """
        try:
            return self.parquet(file).cell(row, column)
        except ValueError as error:
            raise SourceError("unreadable", f"row {row} of {file} is damaged: {error}") from error

    def parquet(self, file: str) -> ParquetFile:
        """Open a Parquet file below the root; it stays open, since the next source is most likely of the same."""
        if self._file is None or self._file[0] != file:
            self._file = (file, ParquetFile(self.root / file))
        return self._file[1]

    def _cell(self, picture: RowPicture) -> bytes:
        value = self.cell(picture.file, picture.row, picture.column)
        if picture.index is not None:
            if len(value or ()) != picture.count:
                held = f"row {picture.row} of {picture.file} holds {len(value or ())} pictures, not {picture.count}"
                raise SourceError("wrong_pictures", held)
            value = value[picture.index]
        data = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(data, bytes):
            fault = "is not in the file, which at most names it: use a copy that holds its pictures"
            raise SourceError("missing_image", f"the picture in row {picture.row} {fault}")
        return data


def safe_path(path: str) -> str:
    """Return a picture's path as it stands in the data, if it may be followed below the root.

    Raises:
        SourceError: It leads elsewhere, or cannot be a path.
    """
    if fault := name_fault(path):
        raise SourceError("unsafe_path", f"its picture's path {path[:200]!r} {fault}")
    return path


def read_picture(file: Path, shown: str) -> bytes:
    """Return the bytes of a picture's file.

    Args:
        file: The file.
        shown: What a reject calls it.

    Raises:
        SourceError: There is no such file, or it is larger than any picture.
    """
    try:
        size = check_exists(str(file))
    except BadImage as error:
        raise image_reject(error, shown) from error
    if size > MOST_BYTES:
        raise SourceError("too_large", f"{shown} has {size:,} bytes, which no picture should: {MOST_BYTES:,} at most")
    return file.read_bytes()


def image_reject(error: BadImage, where: str) -> SourceError:
    """Return the reject that a bad image makes; `where` is what it calls the image."""
    return SourceError(_CODES[type(error)], f"{where} {error.fault}")
