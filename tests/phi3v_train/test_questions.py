"""What is asked in an evaluation: each turn with an answer, after the very tokens that training puts before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from phi3v_data.reader import Dataset
from phi3v_train.answer import answer
from phi3v_train.collate import Collator
from phi3v_train.encode import IGNORED, Encoder, training_images
from phi3v_train.model import Phi3VImageProcessor, Phi3VProcessor
from phi3v_train.model.tiny import tiny_config, tiny_model
from phi3v_train.model.tiny_tokenizer import tiny_tokenizer
from phi3v_train.questions import Question, QuestionData, find_questions
from phi3v_train.sources import BadData, Source
from tests.phi3v_train.made_data import record, turn, write_split

if TYPE_CHECKING:
    from pathlib import Path

PAGE, PHOTO, STRIP = "300x400.png", "640x480.png", "700x90.png"

RECORDS = [
    record("short", turn("Why?", "So.")),
    record("page", turn("What is written on the page, and in which hand?", "Nothing.", (PAGE,))),
    record("talk", turn("Where?", "There.", (PHOTO, STRIP)), turn("When?", "Now."), turn("Who?", "He.", (PAGE,))),
    record("open", turn("One?", "1"), turn("Two?", None)),
    {**record("system", turn("Which?", "This.")), "system": "Be brief."},
    record("listed", {**turn("How much?", None), "answers": ["1 pound", "a pound"]}),
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(tiny_tokenizer())


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return Source(Dataset(write_split(tmp_path_factory.mktemp("data"), "val", RECORDS)), "val")


@pytest.fixture(scope="module")
def questions(source: Source, encoder: Encoder) -> list[Question]:
    return find_questions([source], encoder, num_crops=2, limit=10_000)


@pytest.fixture(scope="module")
def data(source: Source, encoder: Encoder, questions: list[Question]) -> QuestionData:
    return QuestionData([source], questions, encoder, Phi3VImageProcessor(), num_crops=2)


def test_every_turn_with_an_answer_is_asked_once(questions: list[Question]) -> None:
    assert [(question.record, question.turn) for question in questions] == [
        ("short", 0),
        ("page", 0),
        ("talk", 0),
        ("talk", 1),
        ("talk", 2),
        ("open", 0),
        ("system", 0),
        ("listed", 0),
    ]
    assert [question.answers for question in questions][-2:] == [["This."], ["1 pound", "a pound"]]
    assert [question.is_listed for question in questions] == [False] * 7 + [True]


def test_the_answer_to_learn_stands_in_for_an_empty_list(tmp_path: Path, encoder: Encoder) -> None:
    file = write_split(tmp_path, "val", [record("a", {**turn("Why?", "So."), "answers": []})])
    (question,) = find_questions([Source(Dataset(file), "val")], encoder, num_crops=1, limit=100)
    assert question.answers == ["So."] and not question.is_listed


def test_a_prompt_is_what_training_puts_before_the_answer(
    source: Source, encoder: Encoder, questions: list[Question], data: QuestionData
) -> None:
    """Told by the labels: a prompt ends where the stretch that is learnt begins."""
    split = source.dataset.split("val")
    for number, question in enumerate(questions):
        made, prompt = split[question.position], list(data[number]["input_ids"])
        assert len(prompt) == question.tokens
        if made.conversations[question.turn].assistant is None:
            continue
        tokens = [sum(token == -image for token in _whole(data, question)) for image in range(1, 9)]
        encoding = encoder.encode(made, [count for count in tokens if count][: len(training_images(made))])
        starts = [
            place
            for place, label in enumerate(encoding.labels)
            if label != IGNORED and encoding.labels[place - 1] == IGNORED
        ]
        assert prompt == encoding.input_ids[: starts[question.turn]]


def _whole(data: QuestionData, question: Question) -> Any:
    """The prompt of the record's last question, which has all its images."""
    last = max(number for number, other in enumerate(data._questions) if other.position == question.position)
    return data[last]["input_ids"]


def test_neither_padding_nor_neighbours_change_an_answer(data: QuestionData, questions: list[Question]) -> None:
    tokenizer = tiny_tokenizer()
    processor = Phi3VProcessor(Phi3VImageProcessor(), tokenizer)
    model = tiny_model(tiny_config(tokenizer), seed=3).eval()
    collate = Collator(tokenizer.pad_token_id, "left")
    prompts = [data[number] for number in range(len(questions))]
    alone = [said for prompt in prompts for said in answer(model, collate([prompt]), processor, max_new_tokens=6)]
    assert len({said.text for said in alone}) > 4
    for size in (2, 3, len(prompts)):
        together = []
        for start in range(0, len(prompts), size):
            batch = collate(prompts[start : start + size])
            assert torch.equal(batch["attention_mask"].sum(1), torch.tensor(_lengths(prompts[start : start + size])))
            together += answer(model, batch, processor, max_new_tokens=6)
        assert together == alone


def _lengths(prompts: list[Any]) -> list[int]:
    return [len(prompt["input_ids"]) for prompt in prompts]


def test_an_answer_ends_at_the_end_token(data: QuestionData) -> None:
    """With a head that says `<|end|>` whatever it is asked, and one that never does."""
    tokenizer = tiny_tokenizer()
    processor = Phi3VProcessor(Phi3VImageProcessor(), tokenizer)
    model = tiny_model(tiny_config(tokenizer)).eval()
    batch = Collator(tokenizer.pad_token_id, "left")([data[0], data[1]])
    for token, text, is_cut in (("<|end|>", "", False), ("<|endoftext|>", "", False), ("x", "xxxxx", True)):
        with torch.no_grad():
            model.lm_head.weight.zero_()
            favourite = torch.zeros_like(model.lm_head.weight)
            favourite[tokenizer.convert_tokens_to_ids(token)] = 1.0
            hidden = model.model(**{name: batch[name] for name in batch if name != "records"}).last_hidden_state
            model.lm_head.weight.copy_(favourite * hidden[0, -1].sign())
        said = answer(model, Collator(0, "left")([data[0]]), processor, max_new_tokens=5)
        assert said[0].is_cut is is_cut and (said[0].text == text or is_cut)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (record("a", turn("Why?", "So.", ("nowhere-1x1.png",))), "nowhere-1x1.png"),
        (record("a", turn("<|end|> Why?", "So.")), "<|end|>"),
        (record("a", turn("Why? " * 200, "So.")), "the prompt takes 1,0"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_place(
    tmp_path: Path, encoder: Encoder, made: dict[str, Any], says: str
) -> None:
    file = write_split(tmp_path, "val", [record("good"), made])
    for image in (tmp_path / "images").glob("nowhere*"):
        image.unlink()
    with pytest.raises(BadData, match=r"made_val\.jsonl:2") as caught:
        find_questions([Source(Dataset(file), "val")], encoder, num_crops=1, limit=1000)
    assert says in str(caught.value)
