"""Conversations to prompts, with their images as numbered tags; and ids back to text."""

from __future__ import annotations

import base64
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from phi3v_data.errors import DataError
from phi3v_train.model import Phi3VImageProcessor, Phi3VProcessor, PromptError
from phi3v_train.model.image_processing import UnreadableImage
from phi3v_train.model.tiny_tokenizer import tiny_tokenizer
from tests.phi3v_train.model.prompts import BOS, TOKENS, runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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

    @pytest.mark.parametrize("number", [-1, -100, np.int64(-1), torch.tensor(-2)])
    def test_an_image_alone_is_nothing(self, processor: Phi3VProcessor, number: Any) -> None:
        assert processor.decode(number) == ""


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

    def test_images_beside_several_conversations(
        self, processor: Phi3VProcessor, red: Image.Image, blue: Image.Image
    ) -> None:
        several = [[{"role": "user", "content": "Hi"}], self.messages(None, None)]
        for images in ([None, [red, blue]], [[], (red, blue)], [red, blue]):
            options = {"images": images, "padding": True}
            inputs = processor.apply_chat_template(several, tokenize=True, return_dict=True, processor_kwargs=options)
            assert [len(runs(row)) for row in inputs["input_ids"]] == [0, 2]

    @pytest.mark.parametrize("beside", ["images", "processor_kwargs"])
    def test_an_array_beside_the_messages(self, processor: Phi3VProcessor, red: Image.Image, beside: str) -> None:
        messages = [{"role": "user", "content": [{"type": "image"}]}]
        given: dict[str, Any] = {"images": np.array(red)} if beside == "images" else {beside: {"images": np.array(red)}}
        inputs = processor.apply_chat_template(messages, tokenize=True, return_dict=True, **given)
        assert runs(inputs["input_ids"][0]) == [(-1, TOKENS)]

    @pytest.mark.parametrize("content", ["<|image_1|>", [{"type": "image"}]])
    def test_none_beside_the_messages_is_named(self, processor: Phi3VProcessor, content: Any) -> None:
        messages = [{"role": "user", "content": content}]
        with pytest.raises(PromptError, match="image 1 of 1 is None"):
            processor.apply_chat_template(messages, tokenize=True, processor_kwargs={"images": [None]})

    def test_no_images_beside_the_messages_leaves_theirs(self, processor: Phi3VProcessor, red: Image.Image) -> None:
        messages = [{"role": "user", "content": [{"type": "image", "image": red}]}]
        inputs = processor.apply_chat_template(
            messages, tokenize=True, return_dict=True, processor_kwargs={"images": []}
        )
        assert runs(inputs["input_ids"][0]) == [(-1, TOKENS)]

    def test_text_alone_needs_no_images(self, processor: Phi3VProcessor) -> None:
        messages = [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [{"type": "text", "text": "!"}]},
        ]
        inputs = processor.apply_chat_template(messages, tokenize=True, return_dict=True)
        assert list(inputs) == ["input_ids", "attention_mask"]

    def test_what_cannot_be_shown_is_refused(self, processor: Phi3VProcessor, red: Image.Image) -> None:
        with pytest.raises(PromptError, match="block 2 of message 3 holds no image: add it under 'image', "):
            processor.apply_chat_template(self.messages(red, None), tokenize=True, return_dict=True)
        with pytest.raises(PromptError, match="a block of the type 'video'"):
            processor.apply_chat_template([{"role": "user", "content": [{"type": "video"}]}])

    def test_a_template_of_ones_own(self) -> None:
        template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
        processor = Phi3VProcessor(Phi3VImageProcessor(), tiny_tokenizer(), chat_template=template)
        assert processor.apply_chat_template(self.messages(None, None)) == "<|image_1|>\nWhat?A box.And <|image_2|>\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of images: one half transparent, one that says how it is to be turned, and one that is no image."""
    made = tmp_path_factory.mktemp("images")
    Image.new("RGB", (336, 336), "red").save(made / "red.png")
    Image.new("RGBA", (40, 30), (0, 0, 0, 0)).save(made / "clear.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.linear_gradient("L").resize((40, 30)).convert("RGB").save(made / "turned.jpg", exif=exif)
    (made / "broken.png").write_text("no image")
    return made


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """The folder on the web, of this machine alone."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def encoded(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()


def tokenized(processor: Phi3VProcessor, block: dict[str, Any], **options: Any) -> Any:
    messages = [{"role": "user", "content": [{"type": "text", "text": "?"}, block]}]
    return processor.apply_chat_template(
        messages, tokenize=True, return_dict=True, return_tensors="pt", processor_kwargs=options
    )


class TestImageBlocks:
    """What a block may hold instead of an image."""

    @pytest.mark.parametrize(
        "block",
        [
            lambda file: {"type": "image", "image": file},
            lambda file: {"type": "image", "image": str(file)},
            lambda file: {"type": "image", "image": None, "path": str(file)},
            lambda file: {"type": "image", "path": file},
            lambda file: {"type": "image", "url": str(file)},
            lambda file: {"type": "image", "base64": encoded(file)},
            lambda file: {"type": "image", "image": f"data:image/png;base64,{encoded(file)}"},
            lambda file: {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded(file)}"}},
            lambda file: {"type": "image_url", "image_url": f"data:image/png;base64,{encoded(file)}"},
        ],
    )
    @pytest.mark.parametrize("name", ["red.png", "turned.jpg", "clear.png"])
    def test_they_lead_to_the_stored_pixels(
        self, processor: Phi3VProcessor, folder: Path, name: str, block: Any
    ) -> None:
        options = {"alpha_background": "white", "exif_orientation": True}
        with Image.open(folder / name) as image:
            expected = processor("<|image_1|>", image, **options)
        inputs = tokenized(processor, block(folder / name), **options)
        assert torch.equal(inputs["pixel_values"], expected["pixel_values"])
        assert runs(inputs["input_ids"][0].tolist()) == [(-1, TOKENS)]

    @pytest.mark.parametrize("key", ["url", "image", "image_url"])
    def test_the_web_is_asked(
        self, processor: Phi3VProcessor, red: Image.Image, address: str, monkeypatch: pytest.MonkeyPatch, key: str
    ) -> None:
        monkeypatch.setenv("NO_PROXY", "*")
        block = {"type": "image", key: f"{address}/red.png"}
        if key == "image_url":
            block = {"type": "image_url", "image_url": {"url": f"{address}/red.png"}}
        expected = processor("<|image_1|>", red)["pixel_values"]
        assert torch.equal(tokenized(processor, block)["pixel_values"], expected)
        with pytest.raises(UnreadableImage, match=r"^block 2 of message 1: http://.*/none\.png cannot be read"):
            tokenized(processor, {"type": "image", "url": f"{address}/none.png"})

    def test_text_opens_nothing(self, processor: Phi3VProcessor) -> None:
        blocks = [
            {"type": "image_url", "image_url": {"url": "https://nowhere.invalid/a.png"}},
            {"type": "image", "path": "/nowhere/a.png"},
        ]
        text = processor.apply_chat_template([{"role": "user", "content": blocks}])
        assert text == "<|user|>\n<|image_1|>\n<|image_2|>\n<|end|>\n"

    def test_images_beside_the_messages_go_before_files(self, processor: Phi3VProcessor, red: Image.Image) -> None:
        inputs = tokenized(processor, {"type": "image", "path": "/nowhere/a.png"}, images=[red])
        assert runs(inputs["input_ids"][0].tolist()) == [(-1, TOKENS)]

    @pytest.mark.parametrize(
        ("block", "error", "says"),
        [
            ({"type": "image", "path": "none.png"}, OSError, r"none\.png cannot be read: .*No such file"),
            ({"type": "image", "path": "https://x.invalid"}, OSError, r"https://x\.invalid cannot be read: .*No such"),
            ({"type": "image", "path": "broken.png"}, DataError, r"broken\.png cannot be read: cannot identify"),
            ({"type": "image", "base64": "AAAA"}, UnreadableImage, "base64 cannot be read: cannot identify"),
            ({"type": "image", "url": "data:image/png;base64,A"}, UnreadableImage, "base64 cannot be read: Invalid"),
            ({"type": "image", "image": 5}, TypeError, " is a int; give Pillow images"),
            ({"type": "image_url"}, PromptError, " holds no image"),
        ],
    )
    def test_what_leads_nowhere_is_named(
        self,
        processor: Phi3VProcessor,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        block: dict[str, Any],
        error: type[Exception],
        says: str,
    ) -> None:
        monkeypatch.chdir(folder)
        with pytest.raises(error, match=f"^block 2 of message 1:? ?{says}"):
            tokenized(processor, block)

    def test_of_several_conversations_the_one_is_named(self, processor: Phi3VProcessor) -> None:
        several = [
            [{"role": "user", "content": "a"}],
            [{"role": "user", "content": [{"type": "image", "path": "none.png"}]}],
        ]
        with pytest.raises(UnreadableImage, match=r"^block 1 of message 1 of conversation 2: none\.png"):
            processor.apply_chat_template(several, tokenize=True)
