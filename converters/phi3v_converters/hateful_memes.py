r"""Hateful Memes: is a meme hateful?

A line of `train.jsonl`, beside `img/42953.png`:

    {"id": 42953, "img": "img/42953.png", "label": 0, "text": "its their character not their color that matters"}

becomes

    {"id": "train-0000000000", "source": "hateful_memes", "conversations": [{
     "images": ["train/42953.0.png"], "user": "Is this meme hateful?\nAnswer yes or no.", "assistant": "No."}],
     "metadata": {"id": 42953}}

The picture is the one that `img` names, such as `img/08291.png`: its `id` is 8291 in some copies and "08291" in others.
Some copies label the test, and some do not; a row of a test without a label is there to be asked.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from phi3v_converters import cauldron
from phi3v_converters.carved import CarvedConverter, CarvedOptions
from phi3v_data.convert.annotations import bases, read_json_lines
from phi3v_data.convert.converter import Reject
from phi3v_data.convert.pictures import FilePicture, Question, safe_path
from phi3v_data.convert.prompts import Prompt  # noqa: TC001 -- pydantic reads it
from phi3v_data.convert.sources import HubFile
from phi3v_data.errors import SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from phi3v_data.convert.converter import Source

__all__ = ["HatefulMemes", "HatefulMemesOptions"]

_FILES = {
    "train": ("train.jsonl",),
    "val": ("dev_seen.jsonl", "dev.jsonl"),
    "test": ("test_seen.jsonl", "test.jsonl"),
    "val-unseen": ("dev_unseen.jsonl",),
    "test-unseen": ("test_unseen.jsonl",),
}
"""Names of each split's file: those of the later release, and those of the first."""

_ANSWERS = {0: "No.", 1: "Yes."}
_CLASSES = {0: "not hateful", 1: "hateful"}


class HatefulMemesOptions(CarvedOptions):
    """What shapes the pictures, the prompt and the splits."""

    prompt: Prompt = Field(
        default="Is this meme hateful?\nAnswer yes or no.",
        description="The question. The Cauldron has its own.",
    )
    include_text: bool = Field(default=False, description="Put the meme's caption before the question.")


class HatefulMemes(CarvedConverter[HatefulMemesOptions]):
    """Memes → is it hateful? Yes or no."""

    name: ClassVar[str] = "hateful_memes"
    version: ClassVar[str] = "1"
    options_type = HatefulMemesOptions
    default_source = HubFile(repo="HuggingFaceM4/the_cauldron")
    files = ("hateful_memes/*.parquet", "default/*.parquet", "data/*.parquet", "*.parquet")

    def sources(self) -> Mapping[str, Iterator[Source | Reject]]:
        """List the memes of every split."""
        splits = self.parquet_files()
        if not splits:
            return self._originals()
        file = self.first_file(splits)
        if not cauldron.is_cauldron(file):
            raise UsageError(
                f"{file.path.relative_to(self.root)} is not the Cauldron's Hateful Memes{cauldron.other_columns(file)}"
            )
        self.options.refuse("prompt", "include_text", why="the Cauldron asks in its own words, and has no captions")
        return cauldron.list_cauldron(self, splits, pictures=1, question=_told)

    def _originals(self) -> Mapping[str, Iterator[Source | Reject]]:
        """List the splits whose JSON lines are there."""
        for base in bases(self.root):
            files = {split: _present(self.root / base, names) for split, names in _FILES.items()}
            if any(files.values()):
                return self.divide(
                    {split: partial(self._memes, base, name, split) for split, name in files.items() if name}
                )
        raise UsageError(
            f"no Hateful Memes found in {self.root}: expected train.jsonl, dev_seen.jsonl or others of the release "
            "beside img/, or the Cauldron's Parquet files"
        )

    def _memes(self, base: str, file: str, split: str) -> Iterator[Source | Reject]:
        """List the memes of one file of JSON lines in the folder `base`."""
        places: dict[str, str] = {}
        for entry in read_json_lines(self.root / base / file, file, split):
            if isinstance(entry, Reject):
                yield entry
                continue
            place, row = entry
            try:
                picture, question = _picture(row), self._ask(row, split)
                if (first := places.setdefault(picture, place)) != place:
                    raise SourceError("duplicate_picture", f"its picture {picture} is also that of {first}")
            except SourceError as error:
                yield Reject.because(error, place, split)
            else:
                name = picture.rpartition("/")[2].rpartition(".")[0] or picture
                yield self.source(path=picture, name=name, pictures=[FilePicture(base + picture)], questions=[question])

    def _ask(self, row: Mapping[str, Any], split: str) -> Question:
        """Make the question of an original row; one of a test without a label is there to be asked.

        Raises:
            SourceError: The label is missing or neither 0 nor 1, or the caption is needed and missing.
        """
        label, text = row.get("label"), row.get("text")
        if label is None and not split.startswith("test"):
            raise SourceError("no_label", "the row has no label, which only a test split may lack")
        if label is not None and (type(label) is not int or label not in _ANSWERS):
            raise SourceError("bad_label", f"the label is {label!r}, expected 0 (not hateful) or 1 (hateful)")
        prompt = self.options.prompt
        if self.options.include_text:
            if not isinstance(text, str) or not text.strip():
                raise SourceError("no_caption", "the row has no text, which --include_text needs")
            prompt = f'The meme says: "{text.strip()}"\n{prompt}'
        number = row.get("id")
        if number is not None and type(number) not in (int, str):
            raise SourceError("bad_id", f"the row's id is {str(number)[:100]}, expected an integer or a string")
        metadata = None if number is None else {"id": number}
        if label is None:
            return Question(user=prompt, metadata=metadata)
        return Question(user=prompt, assistant=_ANSWERS[label], label=_CLASSES[label], metadata=metadata)

    @classmethod
    def write_sample(cls, folder: Path) -> None:
        """Write captions on coloured paper, friendly and not."""
        from phi3v_converters.picture_samples import write_hateful_memes

        write_hateful_memes(folder)


def _present(folder: Path, names: Sequence[str]) -> str | None:
    return next((name for name in names if (folder / name).is_file()), None)


def _picture(row: Mapping[str, Any]) -> str:
    """Return the path of a row's picture.

    Raises:
        SourceError: The row names none, or one outside the source.
    """
    picture = row.get("img")
    if not isinstance(picture, str) or not picture:
        raise SourceError("no_picture", f"the row names no picture: its field 'img' is {picture!r}")
    return safe_path(picture)


def _told(user: str, assistant: str) -> Question:
    """Make a question of what the Cauldron says."""
    return Question(user=user, assistant=assistant, label=_CLASSES[cauldron.yes_or_no(assistant)])
