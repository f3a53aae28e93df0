"""The tokens of a record: as many as the trainer's encoder makes, or no more where texts are left out."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from phi3v_data.errors import UsageError
from phi3v_data.tokens import ImpossibleSize, image_tokens
from phi3v_data.validate import validate
from phi3v_data.validate.length import LengthChecker
from phi3v_schemas import Record, Turn
from phi3v_train.encode import Encoder
from tests.formats.shards import line, write_dataset
from tests.tokenizers_at_hand import tokenizer_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TEXTS = [
    "Is it hot?",
    " ",
    "\n\n",
    "<s>a</s><unk>",
    "naïve 漢字 😀",
    "x" * 300,
    "a\r\n\tb",
    "▁▁",
    "</s>" * 5,
    "1234567890 " * 40,
]
SIZES = [(16, 12), (336, 336), (1344, 1344), (3000, 100), (100, 3000), (640, 480)]


@pytest.fixture(scope="module", params=["tiny", "published"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tokenizer_folder(request.param, tmp_path_factory.mktemp)


def conversation(draw: random.Random) -> tuple[Record, list[tuple[int, int]]]:
    """Make a record of random turns, and the sizes of its images."""
    turns, sizes = [], []
    for _ in range(draw.randint(1, 4)):
        images = [draw.choice(SIZES) for _ in range(draw.choice([0, 0, 1, 3]))]
        sizes += images
        names = [f"{number}.jpg" for number in range(len(images))] or None
        turns.append(Turn(images=names, user=draw.choice(TEXTS), assistant=draw.choice(TEXTS)))
    system = draw.choice([None, *TEXTS])
    return Record(id="a", source="s", system=system, conversations=turns), sizes


def tokens_found(checker: LengthChecker, record: Record, sizes: Sequence[tuple[int, int]]) -> int:
    """Return the count that a checker with a limit of 0 states."""
    (problem,) = checker.check(record, sizes)
    words = problem.message.removeprefix("the record takes ").removeprefix("at least ")
    return int(words.partition(" ")[0].replace(",", ""))


@pytest.mark.parametrize("num_crops", [4, 16])
def test_it_is_the_encoders_length(folder: Path, num_crops: int) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert isinstance(tokenizer, PreTrainedTokenizerFast)
    encoder, draw = Encoder(tokenizer), random.Random(0)
    exact, least = LengthChecker(0, num_crops, folder), LengthChecker(0, num_crops, None)
    for _ in range(30):
        record, sizes = conversation(draw)
        images = [image_tokens(*size, num_crops) for size in sizes]
        expected = len(encoder.encode(record, images).input_ids)
        assert tokens_found(exact, record, sizes) == expected
        assert tokens_found(least, record, sizes) <= expected
        assert tokens_found(exact, record, []) <= expected
        prompt = record.model_copy(deep=True)
        prompt.conversations[-1].assistant = None
        expected = len(encoder.prompt(prompt, len(prompt.conversations) - 1, images))
        assert tokens_found(exact, prompt, sizes) == expected


def test_the_filter_lets_no_long_record_pass(folder: Path) -> None:
    exact, draw = LengthChecker(0, 16, folder), random.Random(1)
    for _ in range(5):
        record, sizes = conversation(draw)
        size = len(record.to_line())
        length = tokens_found(exact, record, sizes)
        assert LengthChecker(length, 16, folder).check(record, sizes) == []
        shorter = LengthChecker(length - 1, 16, folder)
        assert shorter.may_be_too_long(size, len(sizes))
        assert shorter.check(record, sizes) != []


@pytest.mark.parametrize("num_crops", [1, 2, 3, 4, 7, 16])
def test_an_image_of_unknown_size_takes_what_the_smallest_does(num_crops: int) -> None:
    sizes = [(100 + step, 100) for step in range(0, 3000)]
    tokens = []
    for width, height in sizes + [(height, width) for width, height in sizes]:
        try:
            tokens.append(image_tokens(width, height, num_crops))
        except ImpossibleSize:
            continue
    record = Record(id="a", source="s", conversations=[Turn(images=["a.jpg"], user="u", assistant="a")])
    without = Record(id="a", source="s", conversations=[Turn(user="u", assistant="a")])
    checker = LengthChecker(0, num_crops, None)
    images = tokens_found(checker, record, [(0, 0)]) - tokens_found(checker, without, [])
    assert images == min(tokens) + 3  # a new line before it, which is two tokens, and a <s> behind it


def test_the_message_says_whether_it_is_the_least(tmp_path: Path, folder: Path) -> None:
    data = write_dataset(tmp_path / "data", {"train": [line("1"), line("2", *["a.jpg"] * 4)]}, ["a.jpg"])
    words = {}
    for name, options in {
        "least": {},
        "exact": {"tokenizer": folder},
        "unseen": {"images": "none", "tokenizer": folder},
    }.items():
        (found,) = validate([data], select=["E509"], max_length=3000, **options).findings  # type: ignore[arg-type]
        assert (found.line, found.code) == (2, "E509")
        words[name] = found.message
    assert words["least"].startswith("the record takes at least 7,7")
    assert words["exact"].startswith("the record takes 7,7")
    assert words["unseen"].startswith("the record takes at least 5,")
    assert validate([data], select=["E509"], max_length=3000, num_crops=1).counts == {}


def test_a_folder_without_the_tokenizer(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        LengthChecker(10, 16, tmp_path)
    for text in ("", "[]", "{}", '{"added_tokens": []}', '{"added_tokens": [{"content": "<|assistant|>"}]}'):
        (tmp_path / "tokenizer.json").write_text(text)
        with pytest.raises(UsageError, match="is no tokenizer of the model"):
            LengthChecker(10, 16, tmp_path)
    shutil.copy(folder / "tokenizer.json", tmp_path)
    LengthChecker(10, 16, tmp_path)
