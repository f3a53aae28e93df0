"""Weights in and out: the hub's names both ways, whichever of the embedding's names a checkpoint carries."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from phi3v_train.model.configuration import Phi3VConfig
from phi3v_train.model.modeling import Phi3VForCausalLM
from tests.phi3v_train.model import golden

EMBEDDING, ALIAS = "model.embed_tokens.weight", "model.vision_embed_tokens.wte.weight"
HUB = json.loads((golden.GOLDEN / "checkpoint_tensors.json").read_text())


def test_the_real_configuration_has_the_hubs_tensors():
    with torch.device("meta"):
        model = Phi3VForCausalLM(Phi3VConfig())
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    assert len(HUB["tensors"]) == 593
    assert shapes == {name: shape for name, shape in HUB["tensors"].items() if name != ALIAS}
    assert sum(parameter.numel() for parameter in model.parameters()) == HUB["parameters"] == 4_146_621_440


@pytest.fixture(scope="module")
def case():
    return golden.case("img_rect")


@pytest.fixture(scope="module")
def logits(case):
    with torch.no_grad():
        return golden.model("a")(**case.inputs).logits


def write_checkpoint(folder, names):
    """A checkpoint as the hub has it, with the embedding under `names`."""
    folder.mkdir()
    golden.config("a").save_pretrained(folder)
    tensors = golden.weights("a")
    embedding = tensors.pop(EMBEDDING)
    save_file(
        {**tensors, **{name: embedding.clone() for name in names}}, folder / "model.safetensors", {"format": "pt"}
    )
    return folder


@pytest.mark.parametrize("names", [[EMBEDDING], [ALIAS], [EMBEDDING, ALIAS]], ids=["embed_tokens", "wte", "both"])
def test_loads_the_embedding_under_either_name(tmp_path, names, case, logits):
    folder = write_checkpoint(tmp_path / "checkpoint", names)
    model, report = Phi3VForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values())
    with torch.no_grad():
        torch.testing.assert_close(model(**case.inputs).logits, logits, atol=1e-5, rtol=0)


@pytest.mark.parametrize("names", [[EMBEDDING], [ALIAS], [EMBEDDING, ALIAS]], ids=["embed_tokens", "wte", "both"])
def test_load_state_dict_takes_either_name(names, case, logits):
    tensors = golden.weights("a")
    embedding = tensors.pop(EMBEDDING)
    model = Phi3VForCausalLM(golden.config("a")).eval()
    model.load_state_dict({**tensors, **dict.fromkeys(names, embedding)})
    with torch.no_grad():
        assert torch.equal(model(**case.inputs).logits, logits)


@pytest.mark.parametrize("shard_size", ["50GB", "200KB"])
@pytest.mark.parametrize("names", [[EMBEDDING], [ALIAS]], ids=["embed_tokens", "wte"])
def test_saves_the_hubs_names(tmp_path, names, shard_size, case, logits):
    model = Phi3VForCausalLM.from_pretrained(write_checkpoint(tmp_path / "checkpoint", names))
    model.save_pretrained(tmp_path / "saved", max_shard_size=shard_size)
    files = sorted((tmp_path / "saved").glob("*.safetensors"))
    assert (len(files) > 1) == (shard_size == "200KB")
    saved = {name: tensor for file in files for name, tensor in load_file(file).items()}
    expected = golden.weights("a")
    assert saved.keys() == expected.keys()
    assert all(torch.equal(saved[name], tensor) for name, tensor in expected.items())
    again = Phi3VForCausalLM.from_pretrained(tmp_path / "saved")
    with torch.no_grad():
        assert torch.equal(again(**case.inputs).logits, model(**case.inputs).logits)
        torch.testing.assert_close(again(**case.inputs).logits, logits, atol=1e-5, rtol=0)


def test_a_model_made_in_memory_saves_the_same_names(tmp_path):
    golden.model("a").save_pretrained(tmp_path)
    assert load_file(tmp_path / "model.safetensors").keys() == golden.weights("a").keys()


def test_loads_in_the_precision_asked_for(tmp_path):
    folder = write_checkpoint(tmp_path / "checkpoint", [EMBEDDING])
    model = Phi3VForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    frequencies = model.model.rotary_emb._frequencies_on(torch.device("cpu"))
    assert frequencies.dtype == torch.float32


def test_the_unused_part_of_clip_is_kept_and_frozen(tmp_path):
    model = Phi3VForCausalLM.from_pretrained(write_checkpoint(tmp_path / "checkpoint", [EMBEDDING]))
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == {name for name in golden.weights("a") if "encoder.layers.2." in name or "post_layernorm" in name}


def test_a_missing_tensor_is_named(tmp_path):
    folder = write_checkpoint(tmp_path / "checkpoint", [])
    _, report = Phi3VForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert report["missing_keys"] == {EMBEDDING}


def test_random_weights_are_all_set():
    torch.manual_seed(0)
    model = Phi3VForCausalLM(golden.config("a"))
    vision = model.model.vision_embed_tokens
    assert vision.glb_GN.std().item() == pytest.approx(0.02, rel=0.3)
    assert vision.sub_GN.std().item() == pytest.approx(0.02, rel=0.3)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
