"""The tiny checkpoint: the published one's names, tokens and files, the same bytes for a seed, a model that answers."""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoProcessor, LogitsProcessorList, PreTrainedTokenizerFast, pipeline

from phi3v_train.model.tiny import write_tiny
from phi3v_train.model.tiny_tokenizer import tiny_tokenizer
from tests.helpers import snapshot
from tests.phi3v_train.model.golden import GOLDEN
from tests.phi3v_train.model.prompts import HUB

if TYPE_CHECKING:
    from pathlib import Path

SPACE, NEW_LINE = "▁", "<0x0A>"


def test_a_seed_decides_every_byte(tmp_path: Path) -> None:
    state = torch.get_rng_state()
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_tiny(tmp_path / name, seed=seed)
    assert torch.equal(torch.get_rng_state(), state)
    first, same, other = (snapshot(tmp_path / name) for name in "abc")
    assert first == same
    assert {name for name in first if first[name] != other[name]} == {"model.safetensors"}


def test_the_weights_have_the_hubs_names(tmp_path: Path) -> None:
    def kinds(names: object) -> set[str]:
        return {re.sub(r"\.[0-9]+\.", ".N.", name) for name in names}  # type: ignore[attr-defined]

    write_tiny(tmp_path / "tiny", max_shard_size="100KB")
    files = sorted((tmp_path / "tiny").glob("*.safetensors"))
    assert len(files) > 3
    published = json.loads((GOLDEN / "checkpoint_tensors.json").read_text())["tensors"]
    assert kinds(name for file in files for name in load_file(file)) == kinds(published) - {
        "model.vision_embed_tokens.wte.weight"
    }


def question(processor: Any, colour: str, text: str = "<|image_1|>\nWhat is it?") -> Any:
    """A question about an image of one colour, as the model takes it."""
    prompt = processor.apply_chat_template([{"role": "user", "content": text}], add_generation_prompt=True)
    return processor(prompt, Image.new("RGB", (40, 30), colour), num_crops=1, return_tensors="pt")


def test_what_it_says_depends_on_the_image(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny")
    processor = AutoProcessor.from_pretrained(tmp_path / "tiny")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "tiny").eval()
    with torch.no_grad():
        white, again, black = (
            model(**question(processor, colour)).logits[0, -1].softmax(-1) for colour in ("white", "white", "black")
        )
    assert torch.equal(white, again)
    assert white.sum().item() == pytest.approx(1)
    assert (white - black).abs().max() > 1e-5


def test_a_batch_of_answers_is_each_answer_alone(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny")
    processor = AutoProcessor.from_pretrained(tmp_path / "tiny")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "tiny").eval()
    assert model.generation_config.eos_token_id == processor.stop_token_ids
    options = {"max_new_tokens": 5, "do_sample": False}
    messages = [[{"role": "user", "content": content}] for content in ("Hi", "<|image_1|>\nWhat is it?")]
    texts = processor.apply_chat_template(messages, add_generation_prompt=True)
    image = Image.new("RGB", (40, 30), "red")
    inputs = processor(texts, [image], num_crops=1, padding=True, padding_side="left", return_tensors="pt")
    together = model.generate(**inputs, **options)[:, inputs["input_ids"].shape[1] :]
    for answer, text, images in zip(together, texts, (None, image), strict=True):
        alone = processor(text, images, num_crops=1, return_tensors="pt")
        expected = model.generate(**alone, **options)[0, alone["input_ids"].shape[1] :]
        assert answer[: len(expected)].tolist() == expected.tolist()


def test_it_learns(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny")
    processor = AutoProcessor.from_pretrained(tmp_path / "tiny")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "tiny")
    inputs = question(processor, "red")
    labels = inputs["input_ids"].masked_fill(inputs["input_ids"] < 0, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(4):
        loss = model(**inputs, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(math.log(model.config.vocab_size), rel=0.1)
    assert all(later < earlier for earlier, later in pairwise(losses))


def test_it_works_in_a_pipeline(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny")
    answer = pipeline("image-text-to-text", model=str(tmp_path / "tiny"), device="cpu")
    image = Image.new("RGB", (40, 30))
    blocks = [{"type": "image", "image": image}, {"type": "text", "text": "What is it?"}]
    spelling = [number for token, number in answer.tokenizer.get_vocab().items() if token.startswith("<")]
    options = {"max_new_tokens": 3, "do_sample": False, "suppress_tokens": spelling}  # characters, not bytes of them
    (done,) = answer(text=[{"role": "user", "content": blocks}], generate_kwargs=options)
    prompt = "<|user|>\n<|image_1|>\nWhat is it?<|end|>\n<|assistant|>\n"
    inputs = answer.processor(prompt, image, return_tensors="pt")
    (ids,) = answer.model.generate(**inputs, **options)[:, inputs["input_ids"].shape[1] :].tolist()
    said = "".join(answer.tokenizer.convert_ids_to_tokens(ids)).replace(SPACE, " ")
    assert done["generated_text"][-1] == {"role": "assistant", "content": said}


@pytest.mark.parametrize("token", ["<|end|>", "<|endoftext|>"])
def test_it_stops_at_the_end_of_an_answer(tmp_path: Path, token: str) -> None:
    write_tiny(tmp_path / "tiny")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "tiny")
    end = tiny_tokenizer().convert_tokens_to_ids(token)

    def only_the_end(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return torch.full_like(scores, -1.0).index_fill(1, torch.tensor([end]), 1.0)

    ids = model.generate(
        torch.tensor([[1, 300]]), max_new_tokens=5, logits_processor=LogitsProcessorList([only_the_end])
    )
    assert ids.tolist() == [[1, 300, end]]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        ("\n", [SPACE, NEW_LINE]),
        (" a", [SPACE, SPACE, "a"]),
        ("<|end|>\n", ["<|end|>", SPACE, NEW_LINE]),
        ("<|assistant|>\nHi", ["<|assistant|>", SPACE, "H", "i"]),
        ("<s>x", ["<s>", SPACE, "x"]),
        ("</s>  x", ["</s>", SPACE, "x"]),
        ("é", [SPACE, "<0xC3>", "<0xA9>"]),
        ("<|end", [SPACE, *"<|end"]),
    ],
)
def test_the_tokenizer_works_as_the_published_one(text: str, tokens: list[str]) -> None:
    tokenizer = tiny_tokenizer()
    assert tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"]) == ["<s>", *tokens]


def test_any_text_comes_back() -> None:
    tokenizer = tiny_tokenizer()
    text = "".join(map(chr, range(1, 0x250))) + " 안녕 😀\n\t"
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text
    assert tokenizer.unk_token_id not in tokenizer(text)["input_ids"]


@pytest.mark.skipif(not HUB.is_dir(), reason=f"the published tokenizer is not at {HUB}")
def test_special_tokens_are_those_of_the_published_tokenizer() -> None:
    published = PreTrainedTokenizerFast.from_pretrained(HUB)
    ours = tiny_tokenizer()
    flags = {token.content: token for token in published.added_tokens_decoder.values()}
    assert {token.content: token for token in ours.added_tokens_decoder.values()} == {
        name: token for name, token in flags.items() if "placeholder" not in name
    }
    assert ours.special_tokens_map == published.special_tokens_map
    assert set(ours.all_special_tokens) == set(published.all_special_tokens)
    assert ours.model_max_length == published.model_max_length
    assert ours.padding_side == published.padding_side
