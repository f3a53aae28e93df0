"""The tiny checkpoint: the published one's names, tokens and files, the same bytes for a seed, a model that answers."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

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


def test_it_sees_and_answers(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny")
    processor = AutoProcessor.from_pretrained(tmp_path / "tiny")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "tiny")
    ends = processor.tokenizer.convert_tokens_to_ids(["<|end|>", "<|endoftext|>"])
    assert model.generation_config.eos_token_id == ends
    messages = [[{"role": "user", "content": content}] for content in ("Hi", "<|image_1|>\nWhat is it?")]
    texts = processor.apply_chat_template(messages, add_generation_prompt=True)
    images = [Image.new("RGB", (40, 30), "red")]
    inputs = processor(texts, images, num_crops=1, padding=True, padding_side="left", return_tensors="pt")
    answers = model.generate(**inputs, max_new_tokens=5, do_sample=False)
    decoded = processor.batch_decode(answers, skip_special_tokens=True)
    assert len(decoded) == 2 and "What is it?" in decoded[1]


def test_it_works_in_a_pipeline(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny")
    answer = pipeline("image-text-to-text", model=str(tmp_path / "tiny"), device="cpu")
    blocks = [{"type": "image", "image": Image.new("RGB", (40, 30))}, {"type": "text", "text": "What is it?"}]
    (done,) = answer(text=[{"role": "user", "content": blocks}], generate_kwargs={"max_new_tokens": 3})
    assert done["generated_text"][-1]["role"] == "assistant"


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
