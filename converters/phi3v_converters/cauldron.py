"""The Cauldron (`HuggingFaceM4/the_cauldron`): fifty datasets in one form, pictures and the questions about them.

A row of `nlvr2/train-00000-of-…parquet`:

    {"images": [<picture>, <picture>], "texts": [{"user": "The first image is the image on the left, …",
     "assistant": "No.", "source": "NLVR2"}]}

It has no split but train, so val is carved off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from phi3v_data.convert.carve import carve
from phi3v_data.convert.converter import Reject
from phi3v_data.convert.parquet import ParquetFile
from phi3v_data.convert.pictures import PictureConverter, PictureOptions, Question, RowPicture
from phi3v_data.errors import SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from phi3v_data.convert.converter import Source

__all__ = ["CarvedOptions", "is_cauldron", "list_cauldron", "read_texts", "yes_or_no"]

_YES_NO = {"Yes.": True, "No.": False}


class CarvedOptions(PictureOptions):
    """What shapes the pictures, and the val that is carved off where the source has no split but train."""

    val_fraction: float = Field(
        default=0.1, ge=0, lt=1, description="Part carved off as val, where the source has no split but train."
    )
    seed: int = Field(default=0, description="Seed of the carving.")

    def refuse_carving(self) -> None:
        """Refuse the flags of the carving where the source has its own splits."""
        self.refuse("val_fraction", "seed", why="it has its own splits")


def is_cauldron(file: ParquetFile) -> bool:
    """Return whether a file has the Cauldron's columns."""
    return {"images", "texts"} <= set(file.columns)


def list_cauldron(
    converter: PictureConverter[Any],
    splits: Mapping[str, Sequence[str]],
    *,
    pictures: int,
    question: Callable[[str, str], Question],
    group: Callable[[Sequence[Question]], str | None] = lambda questions: None,
) -> dict[str, Iterator[Source | Reject]]:
    """List every row with all of its questions; val is carved off train, rows of one group together.

    Args:
        converter: Makes the sources; its options are `CarvedOptions`.
        splits: Files below its root, by split.
        pictures: How many each row holds.
        question: Makes a question of what the user and the assistant say, or raises `SourceError`.
        group: Returns the group of a row with these questions.
    """

    def listed(split: str) -> Iterator[Source | Reject]:
        for file in splits[split]:
            for row, texts in enumerate(read_texts(converter.root / file)):
                try:
                    questions = [question(user, assistant) for user, assistant in texts]
                    if not questions:
                        raise SourceError("no_answer", "a text of the row lacks its question or its answer")
                except SourceError as error:
                    place = f"{file}/{row:07d}"
                    yield Reject(source=place, split=split, code=error.code, message=error.message)
                else:
                    refs = [RowPicture(file, row, "images", index, pictures) for index in range(pictures)]
                    yield converter.row_source(file, row, refs, questions, group(questions))

    options: CarvedOptions = converter.options
    if set(splits) != {"train"}:
        options.refuse_carving()
        return {split: listed(split) for split in splits}
    return carve(lambda: listed("train"), options.val_fraction, seed=options.seed)


def read_texts(path: Path) -> Iterator[list[tuple[str, str]]]:
    """Yield the questions of every row of a file, each with its answer; of a row that lacks any, nothing.

    Raises:
        UsageError: The file has not the Cauldron's columns.
    """
    file = ParquetFile(path)
    if not is_cauldron(file):
        raise UsageError(f"{path} is not the Cauldron's, as others beside it are: move it elsewhere")
    for row in file.rows(["texts"]):
        try:
            said = [(text["user"].strip(), text["assistant"].strip()) for text in row["texts"]]
        except (AttributeError, KeyError, TypeError):  # null, or no texts of the Cauldron's form
            said = []
        yield said if all(user and assistant for user, assistant in said) else []


def yes_or_no(assistant: str) -> bool:
    """Return what an answer says.

    Raises:
        SourceError: It is neither `Yes.` nor `No.`.
    """
    if assistant not in _YES_NO:
        raise SourceError("bad_label", f"the answer is {assistant[:100]!r}, expected 'Yes.' or 'No.'")
    return _YES_NO[assistant]
