"""NLVR2: is a sentence true of two photographs?

A line of `dev.json`, some fields left out, beside `dev-850-0-img0.png` and `dev-850-0-img1.png`:

    {"sentence": "The right image shows a curving walkway of dark glass circles embedded in dirt and flanked by
     foliage.", "label": "False", "identifier": "dev-850-0-0", "synset": "beer bottle", …}

becomes

    {"id": "val-0000000000", "source": "nlvr2", "group": "dev-850", "conversations": [{
     "images": ["val/dev-850-0.0.png", "val/dev-850-0.1.png"],
     "user": "The first image is the image on the left, … Answer yes or no.", "assistant": "No."}],
     "metadata": {"identifier": "dev-850-0-0"}}

An identifier is `<split>-<image set>-<pair>-<sentence>`; a pair is a source, its sentences are its records.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from phi3v_converters import cauldron
from phi3v_converters.carved import CarvedConverter, CarvedOptions
from phi3v_converters.nlvr2_layout import SPLITS, find_annotations, find_pictures, identify, set_of
from phi3v_converters.nlvr2_sets import SharedSentences
from phi3v_data.convert.annotations import read_json_lines
from phi3v_data.convert.converter import Reject, Source
from phi3v_data.convert.parquet import ParquetFile, class_names
from phi3v_data.convert.pictures import FilePicture, Question
from phi3v_data.convert.prompts import Prompt, requires
from phi3v_data.convert.sources import HubFile
from phi3v_data.errors import SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["NLVR2", "NLVR2Options"]

_ANSWERS = {"true": "Yes.", "false": "No."}
_COLUMNS = ("identifier", "sentence", "label")
_PICTURES = ("left_image", "right_image")


class NLVR2Options(CarvedOptions):
    """What shapes the pictures, the prompt and the splits."""

    prompt: Annotated[Prompt, requires("{sentence}")] = Field(
        default="The first image is the image on the left, the second image is the image on the right. "
        'Given the left and right images, does the statement "{sentence}" hold true? Answer yes or no.',
        description="The question; {sentence} becomes the sentence. The Cauldron has its own.",
    )


class NLVR2(CarvedConverter[NLVR2Options]):
    """Pairs of photographs and a sentence about them → is it true? Yes or no."""

    name: ClassVar[str] = "nlvr2"
    version: ClassVar[str] = "1"
    options_type = NLVR2Options
    default_source = HubFile(repo="HuggingFaceM4/the_cauldron")
    files = ("nlvr2/*.parquet", "default/*.parquet", "data/*.parquet", "*.parquet")

    def sources(self) -> Mapping[str, Iterator[Source | Reject]]:
        """List the pairs of every split, each with its sentences."""
        splits = self.parquet_files()
        if not splits:
            return self._originals()
        if cauldron.is_cauldron(self.first_file(splits)):
            self.options.refuse("prompt", why="the Cauldron asks in its own words")
            return self._cauldron(splits)
        return self.divide({split: partial(self._rows, files, split) for split, files in splits.items()})

    def _cauldron(self, splits: Mapping[str, Sequence[str]]) -> Mapping[str, Iterator[Source | Reject]]:
        """List the Cauldron's rows; it leaves out the image sets, and their sentences stand in."""
        sets = SharedSentences()
        for files in splits.values():
            for file in files:
                for texts in cauldron.read_texts(self.root / file):
                    sets.join([user for user, _ in texts])
        return cauldron.list_cauldron(
            self, splits, pictures=2, question=_told, group=lambda questions: sets.name(questions[0].user)
        )

    def _originals(self) -> Mapping[str, Iterator[Source | Reject]]:
        """List the splits whose JSON lines are there."""
        found, pictures = find_annotations(self.root), find_pictures(self.root)
        return self.divide({SPLITS[name]: partial(self._pairs, path, name, pictures) for name, path in found.items()})

    def _pairs(self, path: Path, name: str, pictures: Mapping[str, str]) -> Iterator[Source | Reject]:
        """List the pairs of one file of JSON lines; the sentences of a pair need not stand together."""
        pairs: defaultdict[str, list[Question]] = defaultdict(list)
        places: dict[str, str] = {}
        for entry in read_json_lines(path, path.name, SPLITS[name]):
            if isinstance(entry, Reject):
                yield entry
                continue
            place, row = entry
            try:
                identifier, pair = identify(row.get("identifier"), name)
                question = self._ask(identifier, row.get("sentence"), row.get("label"), SPLITS[name])
                _claim(identifier, place, places)
            except SourceError as error:
                yield Reject.because(error, place, SPLITS[name])
            else:
                pairs[pair].append(question)
        for pair, questions in pairs.items():
            files = [pictures.get(f"{pair}-img{side}", f"{pair}-img{side}.png") for side in (0, 1)]
            refs = [FilePicture(file) for file in files]
            yield self.source(path=pair, name=pair, pictures=refs, questions=questions, group=set_of(pair))

    def _rows(self, files: Sequence[str], split: str) -> Iterator[Source | Reject]:
        """List the rows of Parquet files; those of one pair are one source where they stand together."""
        places: dict[str, str] = {}
        for file in files:
            opened = ParquetFile(self.root / file)
            _check_columns(opened)
            yield from self.row_sources(
                file,
                split,
                opened.rows(_COLUMNS),
                columns=_PICTURES,
                key=lambda _, row: str(row["identifier"]).rpartition("-")[0],
                ask=partial(self._ask_row, split=split, names=class_names(opened, "label"), places=places),
                group=lambda row: set_of(identify(row["identifier"])[1]),
            )

    def _ask_row(
        self,
        row: Mapping[str, Any],
        place: str,
        *,
        split: str,
        names: Sequence[str] | None,
        places: dict[str, str],
    ) -> list[Question]:
        """Make the question of a row of a Parquet file."""
        identifier, _ = identify(row["identifier"])
        question = self._ask(identifier, row["sentence"], _named(row["label"], names), split)
        _claim(identifier, place, places)
        return [question]

    def _ask(self, identifier: str, sentence: object, label: object, split: str) -> Question:
        """Make the question of an original row; one of a test without a label is there to be asked.

        Raises:
            SourceError: The sentence or the label is missing, or the label is neither of the two strings.
        """
        if not isinstance(sentence, str) or not sentence.strip():
            raise SourceError("no_question", f"the row of {identifier} has no sentence")
        if label is None and not split.startswith("test"):
            raise SourceError("no_label", f"the row of {identifier} has no label, which only a test split may lack")
        if label is not None and not (isinstance(label, str) and label.lower() in _ANSWERS):
            raise SourceError(
                "bad_label", f'the label of {identifier} is {label!r}, expected the string "True" or "False"'
            )
        return Question(
            user=self.options.prompt.replace("{sentence}", sentence.strip()),
            assistant=label and _ANSWERS[label.lower()],
            label=label and label.capitalize(),
            metadata={"identifier": identifier},
        )

    @classmethod
    def write_sample(cls, folder: Path) -> None:
        """Write pairs of coloured discs and sentences about them."""
        from phi3v_converters.picture_samples import write_nlvr2

        write_nlvr2(folder)


def _told(user: str, assistant: str) -> Question:
    """Make a question of what the Cauldron says."""
    return Question(user=user, assistant=assistant, label=str(cauldron.yes_or_no(assistant)))


def _check_columns(file: ParquetFile) -> None:
    if not {*_COLUMNS, *_PICTURES} <= set(file.columns):
        raise UsageError(f"{file.path} is not NLVR2{cauldron.other_columns(file)}")


def _named(label: object, names: Sequence[str] | None) -> object:
    """Return the name of a class label; -1 means that there is none."""
    if names is None or not isinstance(label, int) or not -1 <= label < len(names):
        return label
    return None if label == -1 else names[label]


def _claim(identifier: str, place: str, places: dict[str, str]) -> None:
    """Note where an identifier is.

    Raises:
        SourceError: It is somewhere else too.
    """
    if (first := places.setdefault(identifier, place)) != place:
        raise SourceError("duplicate_id", f"the identifier {identifier} is also in {first}")
