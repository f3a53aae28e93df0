"""The processor: golden ids, which image goes where, what comes out, padding and cutting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.tokenization_utils_base import TruncationStrategy

from phi3v_data.errors import DataError
from phi3v_train.model import Phi3VImageProcessor, Phi3VProcessor, PromptError
from phi3v_train.model.tiny_tokenizer import tiny_tokenizer
from tests.phi3v_train.model.golden import GOLDEN, expand
from tests.phi3v_train.model.prompts import BOS, CASES, TOKENS, runs

prompts = pytest.mark.parametrize("prompt", CASES["prompts"], ids=lambda prompt: prompt["name"])


def images_of(case: dict[str, Any]) -> list[Image.Image]:
    return [Image.open(GOLDEN / name) for name in case["images"]]


class TestGolden:
    """What the reference computed, exactly."""

    @prompts
    def test_prompts(self, hub: Phi3VProcessor, prompt: dict[str, Any]) -> None:
        text = hub.apply_chat_template(
            prompt["messages"], add_generation_prompt=prompt["add_generation_prompt"], tokenize=False
        )
        assert text == prompt["chat_text"]
        inputs = hub(text, images_of(prompt), num_crops=prompt["num_crops"], return_tensors="pt")
        assert inputs["input_ids"].tolist() == [expand(prompt["input_ids_rle"])]
        assert inputs["attention_mask"].tolist() == [[1] * prompt["length"]]
        if prompt["images"]:
            tags = sorted(range(len(prompt["images"])), key=lambda tag: text.index(f"<|image_{tag + 1}|>"))
            assert inputs["image_sizes"].tolist() == [prompt["image_sizes_hw"][tag] for tag in tags]

    @pytest.mark.parametrize("case", CASES["sft"], ids=lambda case: case["name"])
    def test_prompt_and_answer(self, hub: Phi3VProcessor, case: dict[str, Any]) -> None:
        assert hub(case["prompt_text"], images_of(case))["input_ids"] == [expand(case["prompt_ids_rle"])]
        assert hub.tokenizer(case["answer_text"], add_special_tokens=False)["input_ids"] == case["answer_ids"]

    @pytest.mark.parametrize("text", CASES["tok_probe"])
    def test_tokenizer(self, hub: Phi3VProcessor, text: str) -> None:
        ids = [hub.tokenizer(text, add_special_tokens=special)["input_ids"] for special in (True, False)]
        assert ids == CASES["tok_probe"][text]
        assert hub(text)["input_ids"] == [ids[0]]

    @prompts
    def test_the_images_places_with_any_tokenizer(self, processor: Phi3VProcessor, prompt: dict[str, Any]) -> None:
        ids = processor(prompt["chat_text"], images_of(prompt), num_crops=prompt["num_crops"])["input_ids"][0]
        assert runs(ids) == [(token, count) for token, count in prompt["input_ids_rle"] if token < 0]
        assert all(ids[end] == BOS for end in range(1, len(ids)) if ids[end - 1] < 0 and ids[end] != ids[end - 1])
        text = processor.apply_chat_template(
            prompt["messages"], add_generation_prompt=prompt["add_generation_prompt"], tokenize=False
        )
        assert text == prompt["chat_text"]


class TestTags:
    def test_each_piece_is_tokenized_by_itself(self, processor: Phi3VProcessor, red: Image.Image) -> None:
        pieces = processor.tokenizer(["Hi ", ""])["input_ids"]
        assert processor("Hi <|image_1|>", red)["input_ids"] == [[*pieces[0], *[-1] * TOKENS, BOS]]

    def test_a_tag_without_images_is_text(self, processor: Phi3VProcessor, red: Image.Image) -> None:
        text = "<|image_1|> and <|image_7|>"
        whole = processor.tokenizer(text)["input_ids"]
        assert processor(text)["input_ids"] == processor(text, [])["input_ids"] == [whole]
        both = processor([text, "<|image_1|>"], [[], [red]])["input_ids"]
        assert both == [whole, [BOS, *[-1] * TOKENS, BOS]]

    def test_images_follow_their_tags(self, processor: Phi3VProcessor, red: Image.Image, blue: Image.Image) -> None:
        inputs = processor("<|image_2|><|image_1|>", [red, blue], return_tensors="pt")
        assert runs(inputs["input_ids"][0].tolist()) == [(-2, TOKENS), (-1, TOKENS)]
        expected = processor.image_processor([blue, red])
        assert torch.equal(inputs["pixel_values"], expected["pixel_values"])
        assert torch.equal(inputs["image_sizes"], expected["image_sizes"])

    @pytest.mark.parametrize(
        "given",
        [
            lambda red, blue: [[red], [], [blue, red]],
            lambda red, blue: ([red], None, (blue, red)),
            lambda red, blue: [red, blue, red],
        ],
        ids=["lists", "tuples", "flat"],
    )
    def test_a_batch(self, processor: Phi3VProcessor, red: Image.Image, blue: Image.Image, given: Any) -> None:
        texts = ["a <|image_1|>", "b", "<|image_1|> c <|image_2|>"]
        inputs = processor(texts, given(red, blue), padding=True, return_tensors="pt")
        rows = [runs(row.tolist()) for row in inputs["input_ids"]]
        assert rows == [[(-1, TOKENS)], [], [(-1, TOKENS), (-2, TOKENS)]]
        expected = processor.image_processor([red, blue, red])
        assert torch.equal(inputs["pixel_values"], expected["pixel_values"])

    @pytest.mark.parametrize("form", [lambda image: image, lambda image: [image], lambda image: [[image]]])
    def test_one_text(self, processor: Phi3VProcessor, red: Image.Image, form: Any) -> None:
        assert runs(processor("<|image_1|>", form(red))["input_ids"][0]) == [(-1, TOKENS)]

    @pytest.mark.parametrize(
        ("text", "count", "says"),
        [
            ("<|image_1|>", 2, "the text has 1 image tag for 2 images: <|image_2|> is missing"),
            ("no tag", 1, "the text has 0 image tags for 1 image: <|image_1|> is missing"),
            ("<|image_1|><|image_2|>", 1, "the text has 2 image tags for 1 image: <|image_2|> has no image"),
            ("<|image_1|><|image_3|>", 2, "the text has 2 image tags for 2 images: <|image_3|> has no image"),
            ("<|image_0|><|image_1|>", 2, "<|image_0|> has no image; the tags must be <|image_1|> … <|image_2|>"),
            ("<|image_1|> <|image_1|>", 1, "the text has 2 image tags for 1 image: <|image_1|> stands there 2 times"),
            (["<|image_1|>", "<|image_2|>"], 2, "text 2 of 2 has 1 image tag for 1 image: <|image_2|> has no image"),
            (["<|image_1|>", "<|image_1|>"], 3, "the texts have 2 image tags, and 3 images were given"),
        ],
    )
    def test_tags_and_images_that_do_not_fit(
        self, processor: Phi3VProcessor, red: Image.Image, text: Any, count: int, says: str
    ) -> None:
        with pytest.raises(PromptError) as error:
            processor(text, [red] * count)
        assert says in str(error.value)
        assert isinstance(error.value, ValueError) and isinstance(error.value, DataError)

    @pytest.mark.parametrize(
        ("text", "count", "images", "says"),
        [
            ("<|image_1|>", 0, [None], "image 1 of 1 is None"),
            (["<|image_1|>", "<|image_1|>"], 0, [None, None], "image 1 of 2 is None"),
            (["<|image_1|>", "<|image_1|>"], 1, [None], "image 2 of 2 is None"),
            ("<|image_1|><|image_2|>", 0, [[None]], "image 1 of 1 is None"),
            (["a", "<|image_1|>"], 0, [[], [None]], "image 1 of 1 for text 2 is None"),
        ],
    )
    def test_an_image_that_is_none_is_named(
        self, processor: Phi3VProcessor, red: Image.Image, text: Any, count: int, images: list[Any], says: str
    ) -> None:
        with pytest.raises(PromptError, match=says):
            processor(text, [red] * count + images)

    def test_as_many_lists_as_texts(self, processor: Phi3VProcessor, red: Image.Image) -> None:
        with pytest.raises(ValueError, match="1 lists of images were given for 2 texts"):
            processor(["<|image_1|>", "b"], [[red]])


class TestOutput:
    def test_lists_unless_asked_for(self, processor: Phi3VProcessor, red: Image.Image) -> None:
        assert list(processor("Hi")) == ["input_ids", "attention_mask"]
        assert processor("Hi")["attention_mask"] == [[1, 1, 1, 1]]
        inputs = processor("<|image_1|>", red, return_tensors="np")
        assert list(inputs) == processor.model_input_names
        assert {type(value) for value in inputs.values()} == {np.ndarray}
        tensors = processor("<|image_1|>", red, return_tensors="pt")
        assert tensors["input_ids"].dtype == tensors["image_sizes"].dtype == torch.int64

    def test_options_of_the_image_processor(self, processor: Phi3VProcessor, blue: Image.Image) -> None:
        inputs = processor("<|image_1|>", blue, num_crops=4, pad_crops=True, return_tensors="pt")
        assert inputs["pixel_values"].shape == (1, 5, 3, 336, 336)
        raw = processor("<|image_1|>", blue, do_normalize=False, num_crops=None, return_tensors="pt")
        assert raw["pixel_values"].dtype == torch.uint8

    def test_what_ends_an_answer(self, processor: Phi3VProcessor) -> None:
        assert processor.batch_decode([[token] for token in processor.stop_token_ids]) == ["<|end|>", "<|endoftext|>"]

    def test_the_attention_mask_is_a_choice(self, processor: Phi3VProcessor) -> None:
        assert list(processor(["a", "abc"], padding=True, return_attention_mask=False)) == ["input_ids"]

    def test_colours_and_orientation_of_a_call(self, processor: Phi3VProcessor) -> None:
        clear = Image.new("RGBA", (9, 9), (0, 0, 0, 0))
        expected = processor("<|image_1|>", Image.new("RGB", (9, 9), "red"))["pixel_values"]
        made = processor("<|image_1|>", clear, alpha_background="red", exif_orientation=True)["pixel_values"]
        assert torch.equal(made, expected)

    @pytest.mark.parametrize("images", [None, Image.new("RGB", (9, 9))])
    def test_an_unknown_option(self, processor: Phi3VProcessor, images: Any) -> None:
        with pytest.raises(
            TypeError, match=r"'paddding' is not an option .* it takes alpha_background, .*, truncation"
        ):
            processor("<|image_1|>", images, paddding=True)


class TestGroups:
    """Options in the dictionaries that transformers' processors take."""

    def test_they_are_the_options(self, processor: Phi3VProcessor, blue: Image.Image) -> None:
        texts, expected = ["a", "<|image_1|>"], {"padding": True, "padding_side": "left", "num_crops": 4}
        grouped = processor(
            texts,
            [blue],
            text_kwargs={"padding": True, "padding_side": "left"},
            images_kwargs={"num_crops": 4},
            common_kwargs={"return_tensors": "np"},
            return_tensors="pt",
        )
        flat = processor(texts, [blue], return_tensors="pt", **expected)
        assert all(torch.equal(grouped[name], flat[name]) for name in processor.model_input_names)

    def test_what_is_given_twice_or_unknown(self, processor: Phi3VProcessor) -> None:
        with pytest.raises(TypeError, match="'padding' is given by itself and in text_kwargs"):
            processor("a", padding=True, text_kwargs={"padding": False})
        with pytest.raises(TypeError, match="'num_crop' is not an option"):
            processor("a", images_kwargs={"num_crop": 4})


class TestLength:
    TEXTS = ("one", "<|image_1|> two")

    @pytest.mark.parametrize("side", ["left", "right"])
    @pytest.mark.parametrize("options", [{"padding": True}, {"padding": "max_length", "max_length": 330}])
    def test_padding(self, processor: Phi3VProcessor, red: Image.Image, side: str, options: dict[str, Any]) -> None:
        inputs = processor(self.TEXTS, [red], padding_side=side, return_tensors="pt", **options)
        rows = processor(self.TEXTS, [red])["input_ids"]
        length = 330 if "max_length" in options else len(rows[1])
        assert inputs["input_ids"].shape == inputs["attention_mask"].shape == (2, length)
        pad = processor.tokenizer.pad_token_id
        for ids, mask, row in zip(inputs["input_ids"], inputs["attention_mask"], rows, strict=True):
            padding, ones = [pad] * (length - len(row)), [1] * len(row)
            assert ids.tolist() == ([*padding, *row] if side == "left" else [*row, *padding])
            assert mask.tolist() == ([*[0] * len(padding), *ones] if side == "left" else [*ones, *[0] * len(padding)])

    @pytest.mark.parametrize("multiple", [7, 100])
    def test_padding_to_a_multiple(self, processor: Phi3VProcessor, red: Image.Image, multiple: int) -> None:
        inputs = processor(self.TEXTS, [red], padding=True, pad_to_multiple_of=multiple, return_tensors="pt")
        longest = len(processor(self.TEXTS, [red])["input_ids"][1])
        assert longest % multiple
        assert inputs["input_ids"].shape == inputs["attention_mask"].shape == (2, longest + -longest % multiple)
        assert inputs["attention_mask"][1].sum() == longest

    @pytest.mark.parametrize("truncation", ["longest_first", "only_first", TruncationStrategy.LONGEST_FIRST])
    def test_ways_of_cutting(self, processor: Phi3VProcessor, truncation: Any) -> None:
        assert len(processor("Hello world", truncation=truncation, max_length=3)["input_ids"][0]) == 3
        assert len(processor("Hello", truncation="do_not_truncate", max_length=3)["input_ids"][0]) > 3

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"truncation": "bogus"}, "truncation is 'bogus'; give one of True, 'longest_first', 'only_first', False"),
            ({"truncation": True, "max_length": 0}, "max_length is 0; it must be at least 1"),
            ({"padding": "max_length", "max_length": -3}, "max_length is -3; it must be at least 1"),
        ],
    )
    def test_values_that_are_not_possible(self, processor: Phi3VProcessor, options: dict[str, Any], says: str) -> None:
        with pytest.raises(ValueError, match=says):
            processor("Hello", **options)
        assert processor("Hello", max_length=0)["input_ids"] == processor("Hello")["input_ids"]

    def test_without_padding_rows_keep_their_lengths(self, processor: Phi3VProcessor, red: Image.Image) -> None:
        inputs = processor(self.TEXTS, [red], padding=False)
        assert [len(row) for row in inputs["input_ids"]] == [len(row) for row in inputs["attention_mask"]]
        with pytest.raises(ValueError, match="padding=True"):
            processor(self.TEXTS, [red], return_tensors="pt")

    @pytest.mark.parametrize("side", ["left", "right"])
    @pytest.mark.parametrize("max_length", [1, 2, 5, 12, 13, 40])
    def test_text_is_cut_as_the_tokenizer_cuts_it(self, side: str, max_length: int) -> None:
        processor = Phi3VProcessor(Phi3VImageProcessor(), tiny_tokenizer())
        processor.tokenizer.truncation_side = side
        options = {"truncation": True, "max_length": max_length}
        expected = processor.tokenizer("Hello world", **options)["input_ids"]
        assert processor("Hello world", **options)["input_ids"] == [expected]
        assert len(processor("Hello world", max_length=3)["input_ids"][0]) == 13

    def test_the_tokenizers_limit_counts_where_none_is_given(self) -> None:
        processor = Phi3VProcessor(Phi3VImageProcessor(), tiny_tokenizer())
        processor.tokenizer.model_max_length = 4
        assert len(processor("Hello world", truncation=True)["input_ids"][0]) == 4
        assert processor(["a", "Hello world"], truncation=True, padding="max_length")["attention_mask"] == [
            [1, 1, 1, 0],
            [1, 1, 1, 1],
        ]

    @pytest.mark.parametrize(("side", "text"), [("right", "<|image_1|>abcdef"), ("left", "abcdef<|image_1|>")])
    def test_an_image_is_never_cut(self, red: Image.Image, side: str, text: str) -> None:
        processor = Phi3VProcessor(Phi3VImageProcessor(num_crops=1), tiny_tokenizer())
        processor.tokenizer.truncation_side = side
        (row,) = processor(text, red)["input_ids"]
        for length in (len(row) - 1, TOKENS + 2):
            (cut,) = processor(text, red, truncation=True, max_length=length)["input_ids"]
            assert cut == (row[:length] if side == "right" else [BOS, *row[len(row) - length + 1 :]])
        for length in (TOKENS, 10):
            with pytest.raises(PromptError) as error:
                processor(text, red, truncation=True, max_length=length)
            assert f"to max_length {length} would cut <|image_1|>, which takes 313 of its" in str(error.value)
