"""A record's tokens and labels: written out by hand, equal to the recipe's, and safe from what its text says."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import PreTrainedTokenizerFast

from phi3v_data.errors import DataError
from phi3v_schemas import Record
from phi3v_train.encode import IGNORED, Encoder, Encoding, EncodingError, cut, training_images
from phi3v_train.model import Phi3VImageProcessor, Phi3VProcessor
from phi3v_train.model.tiny_tokenizer import tiny_tokenizer
from tests.phi3v_train.model.golden import expand
from tests.phi3v_train.model.prompts import CASES, HUB, TOKENS

NEW_LINE = "<0x0A>"
CHAT = ["<|user|>", "<|assistant|>", "<|system|>", "<|end|>", "<|endoftext|>", "<|image|>"]


def record(*turns: dict[str, Any], **fields: Any) -> Record:
    return Record(id="a", source="s", conversations=list(turns), **fields)


@pytest.fixture(scope="module")
def tiny() -> PreTrainedTokenizerFast:
    return tiny_tokenizer()


@pytest.fixture(scope="module")
def hub() -> PreTrainedTokenizerFast:
    if not HUB.is_dir():
        pytest.skip(f"the published tokenizer is not at {HUB}")
    return PreTrainedTokenizerFast.from_pretrained(HUB)


@pytest.fixture(scope="module", params=["tiny", "hub"])
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerFast:
    """The tokenizer that is made here, and the published one."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def encoder(tokenizer: PreTrainedTokenizerFast) -> Encoder:
    """The encoder of that tokenizer."""
    return Encoder(tokenizer)


def written(tokenizer: PreTrainedTokenizerFast, *stretches: str) -> Encoding:
    """Read a sequence written token by token, images as -1, new lines as ⏎; every second stretch is learnt."""
    vocabulary = tokenizer.get_vocab()
    encoding = Encoding([], [])
    for number, stretch in enumerate(stretches):
        names = stretch.replace("⏎", NEW_LINE).split()
        ids = [int(name) if name in ("-1", "-2", "-3") else vocabulary[name] for name in names]
        encoding.input_ids.extend(ids)
        encoding.labels.extend(ids if number % 2 else [-100] * len(ids))
    return encoding


class TestWrittenByHand:
    """With the tiny tokenizer, whose tokens are characters; an image takes the few tokens that are named."""

    @staticmethod
    def hold(tiny: PreTrainedTokenizerFast, record: Record, image_tokens: list[int], *stretches: str) -> None:
        assert Encoder(tiny).encode(record, image_tokens) == written(tiny, *stretches)

    def test_text_alone(self, tiny: PreTrainedTokenizerFast) -> None:
        self.hold(
            tiny,
            record({"user": "Is it?", "assistant": "No"}),
            [],
            "<s> <|user|> ▁ ⏎ I s ▁ i t ? <|end|> ▁ ⏎ <|assistant|>",
            "▁ N o <|end|> ▁ ⏎ <|endoftext|>",
        )

    def test_one_turn_with_an_image(self, tiny: PreTrainedTokenizerFast) -> None:
        self.hold(
            tiny,
            record({"images": ["a.jpg"], "user": "Is it?", "assistant": "No\n"}),
            [4],
            "<s> <|user|> ▁ ⏎ -1 -1 -1 -1 <s> ▁ ⏎ I s ▁ i t ? <|end|> ▁ ⏎ <|assistant|>",
            "▁ N o ⏎ <|end|> ▁ ⏎ <|endoftext|>",
        )

    def test_three_turns_with_images_in_the_first_and_the_last(self, tiny: PreTrainedTokenizerFast) -> None:
        self.hold(
            tiny,
            record(
                {"images": ["a.jpg", "b.jpg"], "user": "A", "assistant": "b"},
                {"user": "C", "assistant": "d"},
                {"images": ["c.jpg"], "user": "E", "assistant": "f"},
            ),
            [2, 1, 3],
            "<s> <|user|> ▁ ⏎ -1 -1 <s> ▁ ⏎ -2 <s> ▁ ⏎ A <|end|> ▁ ⏎ <|assistant|>",
            "▁ b <|end|> ▁ ⏎",
            "<|user|> ▁ ⏎ C <|end|> ▁ ⏎ <|assistant|>",
            "▁ d <|end|> ▁ ⏎",
            "<|user|> ▁ ⏎ -3 -3 -3 <s> ▁ ⏎ E <|end|> ▁ ⏎ <|assistant|>",
            "▁ f <|end|> ▁ ⏎ <|endoftext|>",
        )

    def test_eight_images(self, tiny: PreTrainedTokenizerFast) -> None:
        frames = record({"images": [f"{number}.jpg" for number in range(8)], "user": "A", "assistant": "b"})
        begin, image, end = "<s> <|user|>", "▁ ⏎ -1 <s>", "▁ ⏎ A <|end|> ▁ ⏎ <|assistant|>"
        expected = written(tiny, f"{begin} {' '.join([image] * 8)} {end}", "▁ b <|end|> ▁ ⏎ <|endoftext|>")
        places = [4, 8, 12, 16, 20, 24, 28, 32]
        for number, place in enumerate(places, 1):
            assert expected.input_ids[place] == -1
            expected.input_ids[place] = -number
        assert Encoder(tiny).encode(frames, [1] * 8) == expected

    def test_a_system_prompt(self, tiny: PreTrainedTokenizerFast) -> None:
        self.hold(
            tiny,
            record({"images": ["a.jpg"], "user": "A", "assistant": "b"}, system="Be so."),
            [1],
            "<s> <|system|> ▁ ⏎ B e ▁ s o . <|end|> ▁ ⏎ <|user|> ▁ ⏎ -1 <s> ▁ ⏎ A <|end|> ▁ ⏎ <|assistant|>",
            "▁ b <|end|> ▁ ⏎ <|endoftext|>",
        )

    def test_a_last_turn_without_an_answer_is_left_out_with_its_images(self, tiny: PreTrainedTokenizerFast) -> None:
        asked = record({"images": ["a.jpg"], "user": "A", "assistant": "b"}, {"images": ["b.jpg"], "user": "C"})
        assert training_images(asked) == ["a.jpg"]
        self.hold(
            tiny,
            asked,
            [1],
            "<s> <|user|> ▁ ⏎ -1 <s> ▁ ⏎ A <|end|> ▁ ⏎ <|assistant|>",
            "▁ b <|end|> ▁ ⏎ <|endoftext|>",
        )

    def test_white_space_around_texts_stays(self, tiny: PreTrainedTokenizerFast) -> None:
        self.hold(
            tiny,
            record({"user": " A \n", "assistant": "\n b "}),
            [],
            "<s> <|user|> ▁ ⏎ ▁ A ▁ ⏎ <|end|> ▁ ⏎ <|assistant|>",
            "▁ ⏎ ▁ b ▁ <|end|> ▁ ⏎ <|endoftext|>",
        )


@pytest.mark.parametrize("case", CASES["sft"], ids=lambda case: case["name"])
def test_golden(hub: PreTrainedTokenizerFast, case: dict[str, Any]) -> None:
    """What the reference computed for a prompt and its answer."""
    user = case["user"].removeprefix("<|image_1|>\n")
    prompt = expand(case["prompt_ids_rle"])
    encoding = Encoder(hub).encode(
        record({"images": case["images"], "user": user, "assistant": case["answer"]}), [757] * len(case["images"])
    )
    assert encoding.input_ids == prompt + case["answer_ids"]
    assert encoding.labels == [-100] * len(prompt) + case["answer_ids"]


PIECES = [
    "<",
    "|>",
    "<|",
    "▁",
    "\n",
    "\n\n",
    " ",
    "  ",
    "\t",
    "\r\n",
    "你好",
    "🙂",
    "e\u0301",
    "<0x0A>",
    "user",
    "\u3000",
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), min_size=1, max_size=8).map("".join)
PLAIN = TEXTS.filter(
    lambda text: text and not any(mark in text for mark in (*CHAT, "<s>", "</s>", "<unk>", "<|image_"))
)
ANSWERS = PLAIN.filter(lambda text: text == text.lstrip())
TURNS = st.lists(st.tuples(st.integers(0, 2), PLAIN, ANSWERS), min_size=1, max_size=3)
examples = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def made(turns: list[tuple[int, str, str]], system: str | None = None) -> Record:
    return record(
        *({"images": ["a.jpg"] * images, "user": user, "assistant": answer} for images, user, answer in turns),
        system=system,
    )


def whole_text(turns: list[tuple[int, str, str]], system: str | None) -> str:
    """Write a conversation as one text, tags and all."""
    text, image = "" if system is None else f"<|system|>\n{system}<|end|>\n", 0
    for images, user, answer in turns:
        tags = "".join(f"<|image_{image + number}|>\n" for number in range(1, images + 1))
        text += f"<|user|>\n{tags}{user}<|end|>\n<|assistant|>\n{answer}<|end|>\n"
        image += images
    return text + "<|endoftext|>"


class TestEqualsTheProcessor:
    @settings(examples, max_examples=25)  # images take their time
    @given(turns=TURNS, system=st.none() | PLAIN)
    def test_of_the_whole_text(
        self,
        tokenizer: PreTrainedTokenizerFast,
        encoder: Encoder,
        turns: list[tuple[int, str, str]],
        system: str | None,
    ) -> None:
        processor = Phi3VProcessor(Phi3VImageProcessor(num_crops=1), tokenizer)
        conversation = made(turns, system)
        images = [Image.new("RGB", (8, 8))] * len(training_images(conversation))
        (expected,) = processor(whole_text(turns, system), images)["input_ids"]
        assert encoder.encode(conversation, [TOKENS] * len(images)).input_ids == expected

    @examples
    @given(user=PLAIN, answer=PLAIN)
    def test_of_the_prompt_and_the_answer_by_itself(
        self, tokenizer: PreTrainedTokenizerFast, encoder: Encoder, user: str, answer: str
    ) -> None:
        """As the recipe does it: here white space may begin the answer, and stays."""
        prompt = tokenizer(f"<|user|>\n{user}<|end|>\n<|assistant|>\n")["input_ids"]
        learnt = tokenizer(f"{answer}<|end|>\n<|endoftext|>", add_special_tokens=False)["input_ids"]
        encoding = encoder.encode(record({"user": user, "assistant": answer}), [])
        assert encoding == (prompt + learnt, [IGNORED] * len(prompt) + learnt)

    @examples
    @given(turns=st.lists(st.tuples(st.integers(0, 2), PLAIN, PLAIN), min_size=1, max_size=3), system=st.none() | PLAIN)
    def test_no_text_has_more_tokens_than_the_bound(
        self, encoder: Encoder, turns: list[tuple[int, str, str]], system: str | None
    ) -> None:
        conversation = made(turns, system)
        encoding = encoder.encode(conversation, [5] * len(training_images(conversation)))
        assert sum(token >= 0 for token in encoding.input_ids) <= encoder.text_length_bound(conversation)


class TestInjection:
    def test_every_token_the_tokenizer_adds_is_spelt_out_or_refused(
        self, tokenizer: PreTrainedTokenizerFast, encoder: Encoder
    ) -> None:
        harmless = encoder.encode(record({"user": "x", "assistant": "x"}), []).input_ids
        added = tokenizer.added_tokens_decoder
        frame = [token for token in harmless if token in added]
        spelt = []
        for name in map(str, added.values()):
            text = f"a {name}\nb"
            try:
                ids = encoder.encode(record({"user": text, "assistant": text}), []).input_ids
            except EncodingError as error:
                assert error.code == "E702"
                continue
            assert [token for token in ids if token in added] == frame
            assert tokenizer.decode(ids).count(text) == 2
            spelt.append(name)
        assert sorted(spelt) == ["</s>", "<s>", "<unk>"]

    @pytest.mark.parametrize("mark", [*CHAT, "<|placeholder12|>"])
    def test_a_turn_cannot_be_slipped_in(self, tiny: PreTrainedTokenizerFast, mark: str) -> None:
        encoder, text = Encoder(tiny), f"Hi?{mark}\nHello."
        for bad, where in (
            (record({"user": "x", "assistant": "x"}, system=text), "'system'"),
            (record({"user": "x", "assistant": "x"}, {"user": text, "assistant": "x"}), "'user' of turn 2"),
            (record({"user": "x", "assistant": text}), "'assistant' of turn 1"),
        ):
            with pytest.raises(EncodingError) as caught:
                encoder.encode(bad, [])
            assert str(caught.value) == (
                f"{where} holds the special token {mark!r}; delete the token, or cut the text at it into turns: the "
                "trainer places such tokens around each text"
            )
            assert caught.value.code == "E702" and isinstance(caught.value, DataError)

    def test_an_image_cannot_be_slipped_in(self, tiny: PreTrainedTokenizerFast) -> None:
        with pytest.raises(EncodingError) as caught:
            Encoder(tiny).encode(record({"images": ["a.jpg"], "user": "<|image_1|>\nHi?", "assistant": "x"}), [3])
        assert caught.value.code == "E701"
        assert str(caught.value) == (
            "'user' of turn 1 holds the image tag '<|image_1|>'; delete the tag: the trainer places one for each image "
            "of the turn's list 'images'"
        )

    def test_what_is_only_a_warning_is_encoded(self, tiny: PreTrainedTokenizerFast) -> None:
        encoding = Encoder(tiny).encode(record({"user": "<image>", "assistant": "x"}), [])
        assert tiny.decode(encoding.input_ids).startswith("<s><|user|> \n<image><|end|>")

    def test_a_mark_in_two_halves_stays_in_halves(self, tiny: PreTrainedTokenizerFast) -> None:
        ids = Encoder(tiny).encode(record({"user": "x<|", "assistant": "end|>x"}), []).input_ids
        assert ids.count(tiny.convert_tokens_to_ids("<|end|>")) == 2


class TestNothingElseMatters:
    def test_the_end_is_learnt_though_it_is_also_the_padding(self, tiny: PreTrainedTokenizerFast) -> None:
        end = tiny.convert_tokens_to_ids("<|endoftext|>")
        assert end == tiny.pad_token_id == tiny.eos_token_id
        encoding = Encoder(tiny).encode(record({"user": "x", "assistant": "y"}), [])
        assert encoding.labels[-1] == encoding.input_ids[-1] == end
        other = tiny_tokenizer()
        other.pad_token, other.eos_token = "<unk>", "<|end|>"
        assert Encoder(other).encode(record({"user": "x", "assistant": "y"}), []) == encoding

    def test_what_is_set_on_the_tokenizer(self) -> None:
        tokenizer, asked = tiny_tokenizer(), record({"user": "Hello", "assistant": "world"})
        expected = Encoder(tokenizer).encode(asked, [])
        before = tokenizer("<s>Hello")["input_ids"]
        tokenizer.backend_tokenizer.enable_truncation(3)
        tokenizer.backend_tokenizer.enable_padding(length=90)
        tokenizer.backend_tokenizer.encode_special_tokens = True
        assert Encoder(tokenizer).encode(asked, []) == expected
        assert tokenizer("<s>Hello")["input_ids"] == before

    def test_the_process(self, tiny: PreTrainedTokenizerFast) -> None:
        encoder, asked = Encoder(tiny), record({"images": ["a.jpg"], "user": "Hi?", "assistant": "Hello."})
        assert pickle.loads(pickle.dumps(encoder)).encode(asked, [7]) == encoder.encode(asked, [7])
        error = pickle.loads(pickle.dumps(EncodingError("the words", "E702")))
        assert (str(error), error.code, error.exit_code) == ("the words", "E702", 1)


def test_a_record_with_no_answer(tiny: PreTrainedTokenizerFast) -> None:
    with pytest.raises(EncodingError, match="has nothing to learn: give its turn an 'assistant'") as caught:
        Encoder(tiny).encode(record({"user": "x"}), [])
    assert caught.value.code is None


def test_as_many_numbers_as_images(tiny: PreTrainedTokenizerFast) -> None:
    asked = record({"images": ["a.jpg"], "user": "x", "assistant": "y"})
    for image_tokens in ([], [1, 2]):
        with pytest.raises(ValueError, match="the record has 1 images here"):
            Encoder(tiny).encode(asked, image_tokens)


class TestCut:
    @pytest.fixture
    def encoding(self, tiny: PreTrainedTokenizerFast) -> Encoding:
        """15 tokens, an answer of 7, 13 tokens with the image at 25 and 26, an answer of 8."""
        return Encoder(tiny).encode(
            record(
                {"images": ["a.jpg"], "user": "x", "assistant": "y z"},
                {"images": ["b.jpg"], "user": "u", "assistant": "v w"},
            ),
            [3, 2],
        )

    def test_what_fits_stays(self, encoding: Encoding) -> None:
        assert cut(encoding, 43) is encoding is cut(encoding, 10_000)

    @pytest.mark.parametrize("length", [42, 35, 27])
    def test_text_goes_from_the_end(self, encoding: Encoding, length: int) -> None:
        assert cut(encoding, length) == (encoding.input_ids[:length], encoding.labels[:length])

    @pytest.mark.parametrize("length", [26, 20])
    def test_an_image_is_never_cut_nor_left_behind(self, encoding: Encoding, length: int) -> None:
        with pytest.raises(EncodingError) as caught:
            cut(encoding, length)
        assert str(caught.value) == (
            f"cutting the sequence to max_length {length} would cut image 2, which takes 2 of its 43 tokens: allow a "
            "greater max_length, or fewer num_crops"
        )

    def test_something_to_learn_remains(self, tiny: PreTrainedTokenizerFast) -> None:
        encoding = Encoder(tiny).encode(record({"user": "x", "assistant": "y"}), [])
        first = encoding.labels.index(next(label for label in encoding.labels if label != IGNORED))
        assert len(cut(encoding, first + 1).labels) == first + 1
        for length in (first, 1, 0):
            with pytest.raises(EncodingError, match=f"to max_length {length} leaves nothing to learn"):
                cut(encoding, length)
