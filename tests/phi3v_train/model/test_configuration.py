"""The configuration: the hub's file as it is, and one of ours that anything else reads."""

import json

import pytest
from huggingface_hub.errors import StrictDataclassClassValidationError

from phi3v_train.model.configuration import CLIP_VIT_L_336, Phi3VConfig
from phi3v_train.model.rope import Phi3VRotaryEmbedding
from tests.phi3v_train.model import prompts

HUB = {
    "model_type": "phi3_v",
    "auto_map": {"AutoConfig": "configuration_phi3_v.Phi3VConfig"},
    "_attn_implementation": "flash_attention_2",
    "embd_layer": {"embedding_cls": "image", "hd_transform_order": "sub_glb", "use_hd_transform": True},
    "img_processor": {"image_dim_out": 1024, "name": "clip_vision_model", "num_img_tokens": 144},
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "original_max_position_embeddings": 4096,
    "max_position_embeddings": 131072,
    "rope_theta": 10000.0,
    "rope_scaling": {"type": "su", "short_factor": [1.0 + n for n in range(8)], "long_factor": [2.0] * 8},
    "sliding_window": 262144,
    "torch_dtype": "bfloat16",
}
"""A file of the hub's form, with small numbers."""


def written(folder, **changes):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**HUB, **changes}))
    return folder


@pytest.mark.parametrize("rope_type", ["su", "longrope"])
def test_reads_the_hubs_form(tmp_path, rope_type):
    config = Phi3VConfig.from_pretrained(written(tmp_path, rope_scaling={**HUB["rope_scaling"], "type": rope_type}))
    assert config.rope_parameters["rope_type"] == "longrope"
    assert config.rope_parameters["original_max_position_embeddings"] == 4096
    assert config.num_key_value_heads == 2
    assert {name: getattr(config.vision_config, name) for name in CLIP_VIT_L_336} == CLIP_VIT_L_336
    assert config._attn_implementation is None
    assert not hasattr(config, "auto_map")


def test_what_it_writes_is_what_it_read(tmp_path):
    config = Phi3VConfig.from_pretrained(written(tmp_path))
    config.save_pretrained(tmp_path / "saved")
    saved = json.loads((tmp_path / "saved" / "config.json").read_text())
    for name in HUB.keys() - {"auto_map", "_attn_implementation", "torch_dtype", "embd_layer"}:
        assert saved[name] == HUB[name], name
    assert saved["dtype"] == "bfloat16"
    assert saved["embd_layer"].items() >= HUB["embd_layer"].items()
    assert "auto_map" not in saved
    again = Phi3VConfig.from_pretrained(tmp_path / "saved")
    assert again.to_diff_dict() == config.to_diff_dict()
    assert again.rope_parameters == config.rope_parameters


@pytest.mark.skipif(not prompts.HUB.exists(), reason="the hub's files are not beside this checkout")
def test_the_hubs_own_file_comes_back(tmp_path):
    config = Phi3VConfig.from_pretrained(prompts.HUB)
    config.save_pretrained(tmp_path)
    hub, saved = (json.loads((folder / "config.json").read_text()) for folder in (prompts.HUB, tmp_path))
    not_ours = {"auto_map", "_attn_implementation", "_name_or_path", "torch_dtype", "transformers_version"}
    assert {name: saved.get(name) for name in hub.keys() - not_ours} == {
        name: hub[name] for name in hub.keys() - not_ours
    }


def test_a_vision_config_replaces_single_fields(tmp_path):
    vision = {
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "attention_dropout": 0.1,
    }  # mostly the defaults of CLIPVisionConfig, which are not ours
    config = Phi3VConfig.from_pretrained(written(tmp_path, vision_config=vision))
    config.save_pretrained(tmp_path / "saved")
    for read in (config, Phi3VConfig.from_pretrained(tmp_path / "saved")):
        assert (read.vision_config.hidden_size, read.vision_config.num_hidden_layers) == (768, 12)
        assert read.vision_config.attention_dropout == 0.1
        assert read.vision_config.intermediate_size == CLIP_VIT_L_336["intermediate_size"]


def test_a_given_attention_factor_counts(tmp_path):
    config = Phi3VConfig.from_pretrained(
        written(tmp_path, rope_scaling={**HUB["rope_scaling"], "attention_factor": 1.5})
    )
    config.save_pretrained(tmp_path / "saved")
    for read in (config, Phi3VConfig.from_pretrained(tmp_path / "saved")):
        assert Phi3VRotaryEmbedding(read).attention_scaling == 1.5


def test_the_defaults_are_the_published_sizes():
    config = Phi3VConfig()
    assert (config.hidden_size, config.num_hidden_layers, config.vocab_size) == (3072, 32, 32064)
    assert (config.max_position_embeddings, config.original_max_position_embeddings) == (131072, 4096)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vision_config": {"image_size": 224}}, "crops of 336 pixels and patches of 14, not 224 and 14"),
        ({"vision_config": {"num_hidden_layers": 1}}, "two layers or more"),
        ({"embd_layer": {"hd_transform_order": "glb_sub"}}, "'hd_transform_order': 'glb_sub'"),
        ({"rope_scaling": {**HUB["rope_scaling"], "long_factor": [1.0]}}, "long_factor must be a list of 8 numbers"),
        ({"rope_scaling": {"type": "su", "short_factor": [1.0] * 8}}, "long_factor must be a list of 8 numbers"),
        ({"rope_scaling": {**HUB["rope_scaling"], "short_mscale": 1.1}}, "short_mscale is unknown"),
        ({"partial_rotary_factor": 0.5}, "16 dimensions is rotated"),
        ({"head_dim": 32}, "16 dimensions is rotated"),
        ({"rope_scaling": {**HUB["rope_scaling"], "type": "linear"}}, "'linear'; known are 'su' and 'longrope'"),
    ],
)
def test_a_model_this_is_not_is_refused(tmp_path, changes, message):
    with pytest.raises(StrictDataclassClassValidationError, match=message):
        Phi3VConfig.from_pretrained(written(tmp_path, **changes))
