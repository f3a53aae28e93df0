"""Conversations to prompts, with their images as numbered tags; and ids back to text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from phi3v_train.model import Phi3VImageProcessor, Phi3VProcessor, PromptError
from phi3v_train.model.tiny_tokenizer import tiny_tokenizer
from tests.phi3v_train.model.prompts import TOKENS, runs

if TYPE_CHECKING:
    from PIL import Image

BOS = 1


class TestDecoding:
    @pytest.mark.parametrize("form", [list, np.array, torch.tensor])
    def test_images_are_left_out(self, processor: Phi3VProcessor, form: Any) -> None:
        ids = processor.tokenizer("Hello")["input_ids"]
        row = [*ids[:3], -1, -1, -100, *ids[3:]]
        assert processor.decode(form(row), skip_special_tokens=True) == "Hello"
        assert processor.batch_decode(form([row, row])) == ["<s> Hello"] * 2
        assert processor.post_process_image_text_to_text(form([row])) == ["Hello"]

    def test_rows_of_different_lengths(self, processor: Phi3VProcessor) -> None:
        rows = [torch.tensor([-1, -1]), torch.tensor(processor.tokenizer("a")["input_ids"])]
        assert processor.batch_decode(rows, skip_special_tokens=True) == ["", "a"]
        assert processor.decode(BOS) == "<s>"


class TestChatTemplate:
    def messages(self, *images: Any) -> list[dict[str, Any]]:
        first, second = ({"type": "image", **({"image": image} if image else {})} for image in images)
        return [
            {"role": "user", "content": [first, {"type": "text", "text": "What?"}]},
            {"role": "assistant", "content": "A box."},
            {"role": "user", "content": [{"type": "text", "text": "And "}, second]},
        ]

    TEXT = (
        "<|user|>\n<|image_1|>\nWhat?<|end|>\n<|assistant|>\nA box.<|end|>\n"
        "<|user|>\nAnd <|image_2|>\n<|end|>\n<|assistant|>\n"
    )

    def test_images_become_numbered_tags(self, processor: Phi3VProcessor, red: Image.Image) -> None:
        messages = self.messages(red, None)
        assert processor.apply_chat_template(messages, add_generation_prompt=True) == self.TEXT
        assert messages == self.messages(red, None)
        both = processor.apply_chat_template([messages, messages], add_generation_prompt=True)
        assert both == [self.TEXT] * 2

    def test_the_messages_images_are_used(self, processor: Phi3VProcessor, red: Image.Image, blue: Image.Image) -> None:
        options = {"add_generation_prompt": True, "tokenize": True, "return_tensors": "pt"}
        inputs = processor.apply_chat_template(self.messages(red, blue), return_dict=True, **options)
        expected = processor(self.TEXT, [red, blue], return_tensors="pt")
        assert all(torch.equal(inputs[name], expected[name]) for name in processor.model_input_names)
        ids = processor.apply_chat_template(self.messages(red, blue), **options)
        assert torch.equal(ids, expected["input_ids"])

    def test_several_conversations(self, processor: Phi3VProcessor, red: Image.Image, blue: Image.Image) -> None:
        plain = [{"role": "user", "content": "Hi <|image_1|>"}]
        inputs = processor.apply_chat_template(
            [plain, self.messages(red, blue)], tokenize=True, return_dict=True, processor_kwargs={"padding": True}
        )
        assert [runs(row) for row in inputs["input_ids"]] == [[], [(-1, TOKENS), (-2, TOKENS)]]
        assert len(inputs["input_ids"][0]) == len(inputs["input_ids"][1])

    def test_images_beside_the_messages(self, processor: Phi3VProcessor, red: Image.Image, blue: Image.Image) -> None:
        for messages in (self.messages(None, None), [{"role": "user", "content": "<|image_2|><|image_1|>"}]):
            inputs = processor.apply_chat_template(
                messages, tokenize=True, return_dict=True, processor_kwargs={"images": [red, blue], "num_crops": 1}
            )
            assert len(runs(inputs["input_ids"][0])) == len(inputs["image_sizes"]) == 2

    def test_text_alone_needs_no_images(self, processor: Phi3VProcessor) -> None:
        messages = [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [{"type": "text", "text": "!"}]},
        ]
        inputs = processor.apply_chat_template(messages, tokenize=True, return_dict=True)
        assert list(inputs) == ["input_ids", "attention_mask"]

    def test_what_cannot_be_shown_is_refused(self, processor: Phi3VProcessor, red: Image.Image) -> None:
        with pytest.raises(PromptError, match="an image block holds no image"):
            processor.apply_chat_template(self.messages(red, None), tokenize=True, return_dict=True)
        with pytest.raises(PromptError, match="a block of the type 'video'"):
            processor.apply_chat_template([{"role": "user", "content": [{"type": "video"}]}])

    def test_a_template_of_ones_own(self) -> None:
        template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
        processor = Phi3VProcessor(Phi3VImageProcessor(), tiny_tokenizer(), chat_template=template)
        assert processor.apply_chat_template(self.messages(None, None)) == "<|image_1|>\nWhat?A box.And <|image_2|>\n"
