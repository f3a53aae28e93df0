"""What goes in and what does not: forms of pixels, counts that must match, attention, gradients with less memory."""

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers.models.clip.modeling_clip import CLIPMLP
from transformers.models.phi3.modeling_phi3 import Phi3MLP

from tests.phi3v_train.model import golden
from tests.phi3v_train.model.adapters import DECODER_LORA, VISION_LORA, adapted
from tests.phi3v_train.model.rows import alone, batch, image_row, text_row


@pytest.fixture(scope="module")
def model():
    return golden.model("a")


def logits(model, inputs):
    with torch.no_grad():
        return model(**inputs).logits


@pytest.mark.parametrize("form", ["padded", "uint8"])
def test_the_three_forms_of_pixels_give_the_same_logits(model, rows, form):
    expected = logits(model, batch(rows, "right"))
    torch.testing.assert_close(logits(model, batch(rows, "right", form)), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("form", "of_one_tile"), [("padded", 2), ("compact", 2), ("uint8", 1)])
def test_clip_sees_no_zero_crops_and_of_raw_tiles_none_twice(model, rows, form, of_one_tile):
    seen = []
    tower = model.model.vision_embed_tokens.img_processor
    hook = tower.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    logits(model, batch(rows, "right", form))
    hook.remove()
    assert seen == [(1 + 2) + of_one_tile + (1 + 2)]


def test_the_last_layer_of_clip_is_not_computed(model, rows):
    tower = model.model.vision_embed_tokens.img_processor.vision_model
    ran = []
    hooks = [
        part.register_forward_hook(lambda *_: ran.append(True))
        for part in (tower.encoder.layers[-1], tower.post_layernorm)
    ]
    logits(model, batch(rows, "right"))
    for hook in hooks:
        hook.remove()
    assert not ran


def test_too_few_positions_for_the_images(model):
    inputs = alone(image_row(["1x1"], text=8))
    inputs["input_ids"][inputs["input_ids"] < 0] = torch.where(torch.arange(313) < 3, 5, -1)
    with pytest.raises(ValueError, match=r"310 positions for image tokens, but the 1 images given make 313"):
        model(**inputs)


def test_positions_without_images(model):
    inputs = alone(image_row(["1x1"], text=8))
    with pytest.raises(ValueError, match=r"313 positions for image tokens, but the 0 images given make 0"):
        model(input_ids=inputs["input_ids"])


def test_pixels_without_sizes(model):
    inputs = alone(image_row(["1x1"], text=8))
    with pytest.raises(ValueError, match="pixel_values need image_sizes"):
        model(input_ids=inputs["input_ids"], pixel_values=inputs["pixel_values"])


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("compact", "holds 4 crops, but image_sizes describes 5"),
        ("padded", "holds 1 images, but image_sizes describes 2"),
        ("uint8", r"describes uint8 tiles of shape \(3, 3, 336, 336\), but they are torch.uint8 of shape \(2,"),
    ],
)
def test_crops_that_do_not_match_the_sizes(model, form, message):
    inputs = batch([image_row(["2x1", "1x1"], text=8)], "right", form)
    inputs["pixel_values"] = inputs["pixel_values"][:-1]
    with pytest.raises(ValueError, match=message):
        model(**inputs)


def test_no_images_at_all_are_no_images(model):
    ids = text_row(6).ids[None]
    empty = {"pixel_values": torch.zeros(0, 3, 336, 336), "image_sizes": torch.zeros(0, 2, dtype=torch.long)}
    assert torch.equal(logits(model, {"input_ids": ids, **empty}), logits(model, {"input_ids": ids}))


def test_text_compiles_to_one_graph(model):
    ids = text_row(6).ids[None]
    explained = torch._dynamo.explain(model)(input_ids=ids, use_cache=False)
    assert explained.graph_break_count == 0, explained.break_reasons


def test_neither_ids_nor_embeddings_or_both(model):
    ids = text_row(4).ids[None]
    for inputs in ({}, {"input_ids": ids, "inputs_embeds": model.model.embed_tokens(ids)}):
        with pytest.raises(ValueError, match="give input_ids"):
            model(**inputs)


def test_sdpa_equals_eager(rows):
    inputs = batch(rows, "right")
    eager, sdpa = golden.model("a"), golden.model("a")
    sdpa.set_attn_implementation("sdpa")
    assert sdpa.config._attn_implementation == "sdpa"
    kept = inputs["attention_mask"].bool()
    torch.testing.assert_close(logits(eager, inputs)[kept], logits(sdpa, inputs)[kept], atol=1e-5, rtol=0)


def test_frequencies_survive_a_cast_of_the_whole_model():
    """In bfloat16 the frequencies of distant positions would be rounded away; only weights may be."""
    cosines = []
    for model in (golden.model("a"), golden.model("a").bfloat16().float()):
        positions = torch.tensor([[0, 3000, 4000]])
        cosines.append(model.model.rotary_emb(torch.zeros(1), positions, torch.tensor([4001]))[0])
    assert torch.equal(*cosines)


def test_hidden_states_and_attentions_on_request(model):
    output = model(**alone(text_row(6)), output_hidden_states=True, output_attentions=True)
    assert [tuple(state.shape) for state in output.hidden_states] == [(1, 6, 64)] * 3
    assert [tuple(weights.shape) for weights in output.attentions] == [(1, 4, 6, 6)] * 2


def test_only_the_logits_asked_for(model):
    inputs = alone(text_row(9))
    torch.testing.assert_close(model(**inputs, logits_to_keep=2).logits, model(**inputs).logits[:, -2:])


def gradients(model, rows, checkpointing=None):
    """The gradients of one step; `checkpointing`: none, or whether it is the reentrant kind."""
    model.train()
    runs = []
    for part in model.modules():
        if isinstance(part, (Phi3MLP, CLIPMLP)):
            part.register_forward_pre_hook(lambda part, _: runs.append(part))
    if checkpointing is not None:
        model.activation_checkpointing_enable({"use_reentrant": checkpointing})
    inputs = batch(rows, "right")
    labels = inputs["input_ids"].masked_fill((inputs["input_ids"] < 0) | (inputs["attention_mask"] == 0), -100)
    model(**inputs, labels=labels).loss.backward()
    assert {runs.count(part) for part in runs} == {1 if checkpointing is None else 2}
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("reentrant", [True, False])
def test_gradient_checkpointing_changes_no_gradient(rows, reentrant):
    expected = gradients(golden.model("a"), rows)
    torch.testing.assert_close(gradients(golden.model("a"), rows, reentrant), expected, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("reentrant", [True, False])
def test_gradient_checkpointing_with_adapters_on_frozen_weights(rows, reentrant):
    expected = gradients(adapted(), rows)
    assert any("vision_model.encoder.layers.0" in name for name in expected)
    model = adapted()
    model.enable_input_require_grads()
    torch.testing.assert_close(gradients(model, rows, reentrant), expected, atol=1e-6, rtol=1e-4)


def test_the_recipes_adapter_names_resolve():
    adapters = {
        name.split(".lora_A")[0].removeprefix("base_model.model.")
        for name, _ in adapted().named_parameters()
        if "lora_A" in name
    }
    for target in [*DECODER_LORA, *VISION_LORA]:
        assert any(name.endswith(target) for name in adapters), target
    weights = {name.removesuffix(".weight") for name in golden.weights("a")}
    assert adapters <= weights
    assert len(adapters) == 2 * 4 + 1 + 3 * 6 + 2


def test_adapters_can_be_kept_off_the_unused_layer():
    names = [name for name, _ in adapted(exclude=r".*encoder\.layers\.2\..*").named_parameters() if "lora_A" in name]
    assert len(names) == 2 * 4 + 1 + 2 * 6 + 2


def test_an_adapter_survives_save_and_load(tmp_path, rows):
    inputs, model = batch(rows, "right"), adapted().eval()
    model.save_pretrained(tmp_path, save_embedding_layers=False)
    names = load_file(tmp_path / "adapter_model.safetensors").keys()
    assert "base_model.model.model.layers.0.self_attn.qkv_proj.lora_A.weight" in names
    again = PeftModel.from_pretrained(golden.model("a"), tmp_path)
    torch.testing.assert_close(logits(again, inputs), logits(model, inputs), atol=1e-5, rtol=0)
