"""The questions of an evaluation: every turn of a split that has an answer to hold the model's against."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from torch.utils.data import Dataset

from phi3v_data.errors import DataError, UsageError
from phi3v_data.media.checks import check_image_bytes
from phi3v_data.tokens import image_tokens
from phi3v_train.collate import Example, Failure
from phi3v_train.encode import prompt_images
from phi3v_train.faults import describe_fault
from phi3v_train.sources import BadData
from phi3v_train.tiles import read_tiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from phi3v_data.formats.images import ImageStore
    from phi3v_schemas import Record, Turn
    from phi3v_train.encode import Encoder
    from phi3v_train.model import Phi3VImageProcessor
    from phi3v_train.sources import Source

__all__ = ["Question", "QuestionData", "accepted_answers", "find_questions"]


_HEAD = 1 << 16
"""Bytes of an image's file that tell it from another of the same size."""


class Question(NamedTuple):
    """A turn to be answered.

    Attributes:
        source: Number of its dataset.
        position: Number of its record in the split.
        turn: Its own number in the record, from 0.
        record: The record's id.
        tokens: Of its prompt, those of images among them.
        answers: All answers that are accepted.
        is_listed: Whether the data list them in `answers`, and not just the one to learn.
        key: What tells its prompt, the images among it, from others: 32 hexadecimal digits.
    """

    source: int
    position: int
    turn: int
    record: str
    tokens: int
    answers: list[str]
    is_listed: bool
    key: str


def accepted_answers(turn: Turn) -> list[str]:
    """Return the answers of a turn that are right: those listed, else the one to learn; none where there is neither."""
    return list(turn.answers or ([] if turn.assistant is None else [turn.assistant]))


def find_questions(sources: Sequence[Source], encoder: Encoder, *, num_crops: int, limit: int) -> list[Question]:
    """Read all records of some splits, and of their images the headers.

    Args:
        sources: The splits.
        encoder: Writes a prompt as tokens.
        num_crops: Most crops of an image.
        limit: Most tokens that a prompt may have.

    Returns:
        The questions, in the order of the data.

    Raises:
        BadData: A record or an image cannot be read, or a prompt is too long.
        UsageError: No prompt would have room.
    """
    questions: list[Question] = []
    for number, (dataset, name) in enumerate(sources):
        split = dataset.split(name)
        for position in range(len(split)):
            try:
                record, images = split.load(position)
                looks = {path: _look_at(images, path, num_crops) for path in record.image_paths()}
                found = list(_questions_of(record, encoder, looks, number, position))
            except (DataError, OSError) as error:
                raise BadData(describe_fault(dataset, split, position, error)) from None
            _refuse_long(found, limit, split.place(position))
            questions += found
    return questions


class _Look(NamedTuple):
    """What is seen of an image without decoding it: how many tokens it takes, and what tells it from others."""

    tokens: int
    digest: bytes


def _look_at(images: ImageStore, path: str, num_crops: int) -> _Look:
    data = images.read(path)
    header = check_image_bytes(data, path)
    digest = hashlib.sha256(data[:_HEAD])
    digest.update(str(len(data)).encode())
    return _Look(image_tokens(header.width, header.height, num_crops), digest.digest())


def _questions_of(
    record: Record, encoder: Encoder, images: Mapping[str, _Look], source: int, position: int
) -> Iterator[Question]:
    for number, turn in enumerate(record.conversations):
        if answers := accepted_answers(turn):
            looks = [images[path] for path in prompt_images(record, number)]
            prompt = encoder.prompt(record, number, [look.tokens for look in looks])
            key = hashlib.sha256(str(prompt).encode() + b"".join(look.digest for look in looks)).hexdigest()[:32]
            yield Question(source, position, number, record.id, len(prompt), answers, bool(turn.answers), key)


def _refuse_long(questions: Sequence[Question], limit: int, place: str) -> None:
    longest = max((question.tokens for question in questions), default=0)
    if longest > limit:
        if limit < 1:
            raise UsageError(f"--max_new_tokens leaves {limit:,} tokens for the question: give fewer")
        raise BadData(
            f"{place}: the prompt takes {longest:,} tokens, and {limit:,} leave room for an answer: lower --num_crops, "
            "or leave the record out"
        )


class QuestionData(Dataset[Example | Failure]):
    """The prompts of some questions; a record is read and its images decoded when a prompt is asked for.

    Args:
        sources: The splits.
        questions: What is asked of them.
        encoder: Writes a prompt as tokens.
        images: Cuts images into tiles.
        num_crops: Most tiles of an image.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        questions: Sequence[Question],
        encoder: Encoder,
        images: Phi3VImageProcessor,
        *,
        num_crops: int,
    ) -> None:
        self._datasets = [source.dataset for source in sources]
        self._splits = [source.dataset.split(source.split) for source in sources]
        self._questions = questions
        self._encoder = encoder
        self._images = images
        self._num_crops = num_crops

    def __len__(self) -> int:
        return len(self._questions)

    def __getitem__(self, index: int) -> Example | Failure:
        question = self._questions[index]
        dataset, split = self._datasets[question.source], self._splits[question.source]
        try:
            record, images = split.load(question.position)
            paths = prompt_images(record, question.turn)
            pixels = read_tiles(images.open, paths, self._images, self._num_crops)
            prompt = self._encoder.prompt(record, question.turn, pixels.pop("num_img_tokens", []))
        except (DataError, OSError) as error:
            fault = describe_fault(dataset, split, question.position, error)
            return Failure(f"{fault}: mend it and start again, what is answered is kept")
        example: Any = {"input_ids": prompt, **pixels, "record": record.id}
        return example
