"""What only a GPU shows: the same figures there, tiles normalised there, flash attention. Skipped without one."""

from importlib.util import find_spec

import pytest
import torch

from phi3v_train.model.hd_transform import normalize_tiles
from tests.phi3v_train.model import golden
from tests.phi3v_train.model.rows import batch

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


@pytest.fixture(autouse=True)
def full_precision(monkeypatch):
    """cuDNN would round the factors of CLIP's first convolution to ten bits."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def on_gpu(inputs):
    return {name: tensor.cuda() for name, tensor in inputs.items()}


@pytest.mark.parametrize("name", golden.CASES)
def test_golden_logits(name):
    case = golden.case(name)
    with torch.no_grad():
        logits = golden.model("a", **case.overrides).cuda()(**on_gpu(case.inputs)).logits.cpu()
    torch.testing.assert_close(case.kept(logits), case.kept(case.expected["logits"]), atol=1e-4, rtol=0)


def test_tiles_are_normalised_there_as_here(rows):
    inputs = batch(rows, "right", "uint8")
    here = normalize_tiles(inputs["pixel_values"], inputs["image_sizes"])
    there = normalize_tiles(inputs["pixel_values"].cuda(), inputs["image_sizes"].cuda())
    torch.testing.assert_close(there.cpu(), here, atol=1e-5, rtol=0)


def test_answers_from_bytes(rows):
    options = {"max_new_tokens": 5, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    model = golden.model("a")
    here = model.generate(**batch(rows, "left", "uint8"), **options)
    there = model.cuda().generate(**on_gpu(batch(rows, "left", "uint8")), **options)
    assert there.tolist() == here.tolist()


@pytest.mark.skipif(not find_spec("flash_attn"), reason="flash-attn is not installed")
def test_flash_attention(rows):
    inputs = on_gpu(batch(rows, "right"))
    model = golden.model("a").bfloat16().cuda()
    logits = {}
    for attention in ("sdpa", "flash_attention_2"):
        model.set_attn_implementation(attention)
        with torch.no_grad():
            logits[attention] = model(**inputs).logits[inputs["attention_mask"].bool()]
    torch.testing.assert_close(logits["flash_attention_2"], logits["sdpa"], atol=0.1, rtol=0.05)
