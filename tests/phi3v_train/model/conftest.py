"""Processors and images for the tests of this folder."""

from __future__ import annotations

import pytest
from PIL import Image
from transformers import PreTrainedTokenizerFast

from phi3v_train.model import Phi3VImageProcessor, Phi3VProcessor
from phi3v_train.model.tiny_tokenizer import tiny_tokenizer
from tests.phi3v_train.model.prompts import HUB
from tests.phi3v_train.model.rows import Row, image_row, text_row


@pytest.fixture(scope="module")
def hub() -> Phi3VProcessor:
    """The processor with the published tokenizer."""
    if not HUB.is_dir():
        pytest.skip(f"the published tokenizer is not at {HUB}")
    return Phi3VProcessor(Phi3VImageProcessor(), PreTrainedTokenizerFast.from_pretrained(HUB))


@pytest.fixture(scope="module")
def processor() -> Phi3VProcessor:
    """The processor with a tokenizer that is made here; images of one crop take 313 tokens."""
    return Phi3VProcessor(Phi3VImageProcessor(num_crops=1), tiny_tokenizer())


@pytest.fixture(scope="module")
def red() -> Image.Image:
    return Image.new("RGB", (336, 336), "red")


@pytest.fixture(scope="module")
def blue() -> Image.Image:
    return Image.new("RGB", (300, 400), "blue")


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Text and images, of one crop and of two, for model `a`."""
    return [image_row(["2x1", "1x1"], text=16), text_row(12), image_row(["1x2"], text=10)]
