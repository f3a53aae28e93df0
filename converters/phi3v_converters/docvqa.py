r"""DocVQA: questions about scanned pages.

An entry of `train_v1.0_withQT.json`, beside `spdocvqa_images/xnbl0037_1.png`:

    {"questionId": 337, "question": "what is the date mentioned in this letter?", "question_types": ["handwritten",
     "form"], "image": "documents/xnbl0037_1.png", "docId": 279, "ucsf_document_id": "xnbl0037",
     "ucsf_document_page_no": "1", "answers": ["1/8/93"], "data_split": "train"}

becomes

    {"id": "train-0000000000", "source": "docvqa", "group": "xnbl0037", "conversations": [{
     "images": ["train/xnbl0037_1.0.png"], "user": "what is the date mentioned in this letter?\nAnswer briefly.",
     "assistant": "1/8/93", "answers": ["1/8/93"]}], "metadata": {"question_id": 337}}

A page is a source, its questions are its records. The test split has no answers: its records are there to be evaluated.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from phi3v_converters import cauldron
from phi3v_converters.carved import CarvedConverter, CarvedOptions
from phi3v_converters.docvqa_cauldron import cauldron_answer, cauldron_question
from phi3v_converters.docvqa_entry import (
    COLUMNS,
    answers_of,
    document_of,
    is_docvqa,
    number_of,
    page_of,
    question_of,
)
from phi3v_converters.docvqa_layout import Annotations, find_annotations
from phi3v_data.convert.converter import Reject
from phi3v_data.convert.parquet import ParquetFile
from phi3v_data.convert.pictures import FilePicture, Question
from phi3v_data.convert.prompts import Prompt, requires
from phi3v_data.convert.sources import HubFile
from phi3v_data.errors import SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from phi3v_data.convert.converter import Source

__all__ = ["DocVQA", "DocVQAOptions"]


class DocVQAOptions(CarvedOptions):
    """What shapes the pictures, the prompt, the target and the splits."""

    prompt: Annotated[Prompt, requires("{question}")] = Field(
        default="{question}\nAnswer briefly.",
        description="The prompt; {question} becomes the question.",
    )
    answer: Literal["first", "random", "each"] = Field(
        default="first",
        description="Which accepted answer is the target in train; each makes a record of every one. "
        "Other splits take the first.",
    )
    seed: int = Field(default=0, description="Seed of the carving and of --answer random.")

    def refuse_carving(self) -> None:
        """Refuse the flags of the carving where the source has its own splits."""
        idle = ("val_fraction",) if self.answer == "random" else ("val_fraction", "seed")
        self.refuse(*idle, why="it has its own splits")


class DocVQA(CarvedConverter[DocVQAOptions]):
    """Scanned pages → questions with short answers."""

    name: ClassVar[str] = "docvqa"
    version: ClassVar[str] = "1"
    options_type = DocVQAOptions
    default_source = HubFile(repo="nielsr/docvqa_1200_examples")
    files = ("docvqa/*.parquet", "DocVQA/*.parquet", "default/*.parquet", "data/*.parquet", "*.parquet")

    def sources(self) -> Mapping[str, Iterator[Source | Reject]]:
        """List the pages of every split, each with its questions."""
        splits = self.parquet_files()
        if not splits:
            return self.divide({found.split: partial(self._pages, found) for found in find_annotations(self.root)})
        if cauldron.is_cauldron(self.first_file(splits)):
            self.options.refuse("answer", why="the Cauldron keeps one answer to each question")
            return cauldron.list_cauldron(self, splits, pictures=1, question=self._told)
        return self.divide({split: partial(self._rows, files, split) for split, files in splits.items()})

    def _pages(self, found: Annotations) -> Iterator[Source | Reject]:
        """List the pages of one original file; the questions about a page need not stand together."""
        pages: defaultdict[str, list[Question]] = defaultdict(list)
        groups: dict[str, str | None] = {}
        known: dict[int | str, str] = {}
        for number, entry in enumerate(found.entries()):
            place = f"{found.file}#/data/{number}"
            try:
                picture = found.picture(entry)
                pages[picture] += self._ask(entry, found.split, place, known)
            except SourceError as error:
                yield Reject.because(error, place, found.split)
            else:
                groups.setdefault(picture, document_of(entry))
        for picture, questions in pages.items():
            if questions:
                name = picture.rpartition("/")[2].rpartition(".")[0] or picture
                refs = [FilePicture(picture)]
                yield self.source(path=picture, name=name, pictures=refs, questions=questions, group=groups[picture])

    def _rows(self, files: Sequence[str], split: str) -> Iterator[Source | Reject]:
        """List the rows of Parquet files; those about one page are one source where they stand together."""
        known: dict[int | str, str] = {}
        for name in files:
            file = ParquetFile(self.root / name)
            if not is_docvqa(set(file.columns), split):
                raise UsageError(f"{name} is not DocVQA{cauldron.other_columns(file)}")
            columns = [column for column in file.columns if column in COLUMNS]
            yield from self.row_sources(
                name,
                split,
                file.rows(columns),
                columns=["image"],
                key=page_of,
                ask=lambda row, place: self._ask(row, split, place, known),
                group=document_of,
            )

    def _ask(self, entry: Mapping[str, Any], split: str, place: str, known: dict[int | str, str]) -> list[Question]:
        """Make the questions of one entry, one for each target.

        Raises:
            SourceError: The question or its answers are missing, or its number was there before or is of a wrong type.
        """
        question, answers, number = question_of(entry), answers_of(entry), number_of(entry)
        if not answers and split != "test":
            raise SourceError("no_answers", f"question {number} has no answer, which only the test split may lack")
        if number is not None and (first := known.setdefault(number, place)) != place:
            raise SourceError("duplicate_id", f"question {number} is also at {first}")
        targets: Sequence[str | None] = answers or [None]
        if split != "train" or self.options.answer == "first":
            targets = targets[:1]
        elif self.options.answer == "random":
            key = place if number is None else number
            targets = [targets[_draw(f"{self.options.seed}/{key}", len(targets))]]
        prompt = self.options.prompt.replace("{question}", question)
        asked = Question(
            user=prompt,
            answers=answers or None,
            metadata=None if number is None else {"question_id": number},
        )
        return [replace(asked, assistant=target) for target in targets]

    def _told(self, user: str, assistant: str) -> Question:
        """Make a question of what the Cauldron says."""
        prompt = self.options.prompt.replace("{question}", cauldron_question(user))
        answer = cauldron_answer(assistant)
        return Question(user=prompt, assistant=answer, answers=[answer])

    @classmethod
    def write_sample(cls, folder: Path) -> None:
        """Write letters and questions about them."""
        from phi3v_converters.picture_samples import write_docvqa

        write_docvqa(folder)


def _draw(key: str, count: int) -> int:
    return int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:8], "big") % count
