"""The Cauldron (`HuggingFaceM4/the_cauldron`): fifty datasets in one form, pictures and the questions about them.

A row of `nlvr2/train-00000-of-…parquet`:

    {"images": [<picture>, <picture>], "texts": [{"user": "The first image is the image on the left, …",
     "assistant": "No.", "source": "NLVR2"}]}

It has no split but train, so val is carved off.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from phi3v_data.convert.converter import Reject
from phi3v_data.convert.parquet import ParquetFile
from phi3v_data.convert.pictures import Question, RowPicture
from phi3v_data.errors import SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from phi3v_converters.carved import CarvedConverter
    from phi3v_data.convert.converter import Source

__all__ = ["is_cauldron", "list_cauldron", "other_columns", "read_texts", "yes_or_no"]

_YES_NO = {"Yes.": True, "No.": False}


def is_cauldron(file: ParquetFile) -> bool:
    """Return whether a file has the Cauldron's columns."""
    return {"images", "texts"} <= set(file.columns)


def list_cauldron(
    converter: CarvedConverter[Any],
    splits: Mapping[str, Sequence[str]],
    *,
    pictures: int,
    question: Callable[[str, str], Question],
    group: Callable[[Sequence[Question]], str | None] = lambda questions: None,
) -> dict[str, Iterator[Source | Reject]]:
    """List every row with all of its questions; val is carved off train, rows of one group together.

    Args:
        converter: Makes the sources.
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
                    yield Reject.because(error, f"{file}/{row:07d}", split)
                else:
                    refs = [RowPicture(file, row, "images", index, pictures) for index in range(pictures)]
                    yield converter.row_source(file, row, refs, questions, group(questions))

    return converter.divide({split: partial(listed, split) for split in splits})


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


def other_columns(file: ParquetFile) -> str:
    """Return the end of a sentence about a file whose columns are another dataset's."""
    return f": it has the columns {', '.join(file.columns)[:200]}; move it elsewhere, or give the folder beside it"


def yes_or_no(assistant: str) -> bool:
    """Return what an answer says.

    Raises:
        SourceError: It is neither `Yes.` nor `No.`.
    """
    if assistant not in _YES_NO:
        raise SourceError("bad_label", f"the answer is {assistant[:100]!r}, expected 'Yes.' or 'No.'")
    return _YES_NO[assistant]
