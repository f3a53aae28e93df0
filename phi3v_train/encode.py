r"""A record as the tokens of one training sequence, and which of them the model learns to say.

    <s><|system|>\n{system}<|end|>\n
    <|user|>\n<|image_1|>\n<|image_2|>\n{user}<|end|>\n<|assistant|>\n{assistant}<|end|>\n
    <|user|>\n{user}<|end|>\n<|assistant|>\n{assistant}<|end|>\n<|endoftext|>

The model learns each answer with the `<|end|>` and the new line behind it, and the `<|endoftext|>`. Image n of the
conversation is as many copies of -n as it takes, and a `<s>`. A sequence of one turn has the very ids of the published
recipe, which tokenizes each piece of the prompt between images by itself, and the answer by itself.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from phi3v_data.errors import DataError
from phi3v_data.validate.text import check_texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    from phi3v_schemas import Record, Turn

__all__ = ["IGNORED", "Encoder", "Encoding", "EncodingError", "cut", "prompt_images", "training_images"]

IGNORED = -100
"""Label of a token that is not learnt: what PyTorch's cross entropy leaves out."""


class Encoding(NamedTuple):
    """A sequence as the model is trained on it.

    Attributes:
        input_ids: Token ids; image n is copies of -n.
        labels: As many: the id where it is learnt, else `IGNORED`.
    """

    input_ids: list[int]
    labels: list[int]


class EncodingError(DataError):
    """A record that cannot be trained on as it is; `code` is that of the validator's rule it breaks, if it is one."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class Encoder:
    """Turns records into sequences; it can be sent to other processes.

    A record's text never becomes a special token: `<s>`, `</s>` and `<unk>` are spelt out, and a text with any other is
    refused.

    Args:
        tokenizer: The checkpoint's own. It is copied, and what is set on it later has no effect here.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._plain = _without_special_tokens(tokenizer)
        token = tokenizer.convert_tokens_to_ids
        self._bos = [token("<s>")]
        self._newline = self._tokenize("\n")
        self._system, self._user = [token("<|system|>")], [token("<|user|>")]
        self._turn_end = [token("<|end|>"), *self._newline]
        self._prompt_end = [*self._turn_end, token("<|assistant|>")]  # which swallows the new line behind it
        self._sequence_end = [token("<|endoftext|>")]

    def encode(self, record: Record, image_tokens: Sequence[int]) -> Encoding:
        """Tokenize the turns of a record that have an answer.

        Args:
            record: The conversation.
            image_tokens: The number of tokens of each of its `training_images`.

        Raises:
            EncodingError: No turn has an answer, or a text holds an image tag or a special token of the chat.
            ValueError: There are not as many numbers as images.
        """
        _refuse_special_tokens(record)
        if not _answered(record):
            raise EncodingError("the record has nothing to learn: give its turn an 'assistant', or leave it out")
        _check_count(image_tokens, training_images(record))
        encoding = Encoding([], [])
        for piece, learnt in self._pieces(record.system, _answered(record), image_tokens):
            ids = self._ids(piece)
            encoding.input_ids.extend(ids)
            encoding.labels.extend(ids if learnt else [IGNORED] * len(ids))
        return encoding

    def prompt(self, record: Record, turn: int, image_tokens: Sequence[int]) -> list[int]:
        """Tokenize a record up to where the model answers a turn; earlier turns have their answers.

        Args:
            record: The conversation.
            turn: Number of the turn, from 0.
            image_tokens: The number of tokens of each of its `prompt_images`.

        Raises:
            EncodingError: A text holds an image tag or a special token of the chat.
            ValueError: There are not as many numbers as images.
        """
        _refuse_special_tokens(record)
        _check_count(image_tokens, prompt_images(record, turn))
        asked = [*_answered(record)[:turn], (record.conversations[turn], None)]
        pieces = self._pieces(record.system, asked, image_tokens)
        return [token for piece, _ in pieces for token in self._ids(piece)]

    def text_length_bound(self, record: Record) -> int:
        """Compute how many tokens a record has at the very most besides those of its images, without tokenizing it.

        Each token of a text stands for one byte of UTF-8 or more, but for the space that the tokenizer puts before it.
        """
        pieces = self._pieces(record.system, _answered(record), [0] * len(training_images(record)))
        return sum(len(piece.encode()) + 1 if isinstance(piece, str) else len(piece) for piece, _ in pieces)

    def _pieces(
        self, system: str | None, turns: Sequence[tuple[Turn, str | None]], image_tokens: Sequence[int]
    ) -> Iterator[tuple[str | list[int], bool]]:
        """Lay turns out: texts still to be tokenized, each by itself, and ids; and whether they are learnt.

        A turn without an answer is the last, and the sequence ends where its answer begins.
        """
        images = iter([-number] * tokens + self._bos for number, tokens in enumerate(image_tokens, 1))
        yield self._bos, False
        if system is not None:
            yield self._system, False
            yield "\n" + system, False
            yield self._turn_end, False
        for turn, answer in turns:
            yield self._user, False
            for _ in turn.images or ():
                yield self._newline, False
                yield next(images), False
            yield "\n" + turn.user, False
            yield self._prompt_end, False
            if answer is None:
                return
            yield answer, True
            yield self._turn_end, True
        yield self._sequence_end, True

    def _ids(self, piece: str | list[int]) -> list[int]:
        return self._tokenize(piece) if isinstance(piece, str) else piece

    def _tokenize(self, text: str) -> list[int]:
        # One by one: a batch would be spread over threads, and the processes that load data have the cores already.
        ids: list[int] = self._plain.encode(text, add_special_tokens=False).ids
        return ids


def training_images(record: Record) -> list[str]:
    """Return the image paths of the turns that are trained on, which are those with an answer, in order."""
    return [path for turn, _ in _answered(record) for path in turn.images or ()]


def prompt_images(record: Record, turn: int) -> list[str]:
    """Return the image paths of the turns up to and with one, in order."""
    return [path for asked in record.conversations[: turn + 1] for path in asked.images or ()]


def cut(encoding: Encoding, max_length: int) -> Encoding:
    """Cut a sequence at its end.

    Args:
        encoding: The sequence.
        max_length: The most tokens to keep, those of images counted.

    Raises:
        EncodingError: That would cut an image or take one away, or leave nothing to learn.
    """
    length = len(encoding.input_ids)
    if length <= max_length:
        return encoding
    kept = Encoding(encoding.input_ids[:max_length], encoding.labels[:max_length])
    if image := next((-token for token in encoding.input_ids[max_length:] if token < 0), None):
        raise EncodingError(
            f"cutting the sequence to max_length {max_length} would cut image {image}, which takes "
            f"{encoding.input_ids.count(-image)} of its {length} tokens: allow a greater max_length, or fewer num_crops"
        )
    if all(label == IGNORED for label in kept.labels):
        raise EncodingError(
            f"cutting the sequence of {length} tokens to max_length {max_length} leaves nothing to learn: allow a "
            "greater max_length, or shorten what stands before the answer"
        )
    return kept


def _answered(record: Record) -> list[tuple[Turn, str]]:
    """Return the turns that have an answer, and it: all, or all but the last."""
    return [(turn, turn.assistant) for turn in record.conversations if turn.assistant is not None]


def _check_count(image_tokens: Sequence[int], images: Sequence[str]) -> None:
    if len(image_tokens) != len(images):
        raise ValueError(f"the record has {len(images)} images here, and {len(image_tokens)} numbers came")


def _refuse_special_tokens(record: Record) -> None:
    for problem in check_texts(record):
        if problem.rule.severity == "error":
            advice = problem.hint[0].lower() + problem.hint[1:].rstrip(".")
            raise EncodingError(f"{problem.message}; {advice}", problem.rule.code)


def _without_special_tokens(tokenizer: PreTrainedTokenizerFast) -> Tokenizer:
    """Return a copy of the tokenizer's pipeline to which every text is nothing but text."""
    from tokenizers import Tokenizer

    pipeline = json.loads(tokenizer.backend_tokenizer.to_str())
    pipeline |= {"added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
    return Tokenizer.from_str(json.dumps(pipeline))
