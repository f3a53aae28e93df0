"""The model against the reference's figures: features, logits, losses, gradients, training and generation."""

import filecmp

import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.phi3v_train.model import golden

UNUSED = ("encoder.layers.2.", "post_layernorm")


@pytest.fixture(scope="module")
def model_a():
    return golden.model("a")


@pytest.mark.skipif(not golden.SHARED.exists(), reason="the originals of tests/golden are not beside this checkout")
def test_the_copies_of_the_golden_files_are_whole():
    originals = [path.relative_to(golden.SHARED) for path in golden.SHARED.rglob("*") if path.is_file()]
    copies = [path for path in originals if path.name != "README.md"]
    assert copies
    assert filecmp.cmpfiles(golden.SHARED, golden.GOLDEN, copies, shallow=False) == (copies, [], [])


@pytest.mark.parametrize("name", golden.CASES)
def test_logits_and_loss(name):
    case = golden.case(name)
    with torch.no_grad():
        output = golden.model("a", **case.overrides)(**case.inputs, labels=case.labels)
    torch.testing.assert_close(case.kept(output.logits), case.kept(case.expected["logits"]), atol=1e-4, rtol=0)
    if case.labels is not None:
        assert output.loss.item() == pytest.approx(case.figures["loss"], abs=1e-5)


@pytest.mark.parametrize("name", golden.IMAGE_CASES)
def test_image_features(model_a, name):
    case = golden.case(name)
    vision = model_a.model.vision_embed_tokens
    pixels = golden.compact(case.inputs["pixel_values"], case.inputs["image_sizes"])
    with torch.no_grad():
        features = vision.img_processor(pixels)[:, ::23]
        projected = model_a.model.get_image_features(case.inputs["pixel_values"], case.inputs["image_sizes"])
        embedded = model_a.model.embed(
            **{key: case.inputs[key] for key in ("input_ids", "pixel_values", "image_sizes")}
        )
    expected = golden.compact(case.expected["clip_features_every23"], case.inputs["image_sizes"])
    torch.testing.assert_close(features, expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(projected[::7], case.expected["projected_every7"], atol=1e-4, rtol=0)
    torch.testing.assert_close(projected.norm(dim=-1), case.expected["projected_row_norms"], atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(embedded.norm(dim=-1), case.expected["hidden0_norms"], atol=1e-4, rtol=1e-5)


def test_hidden_norms_of_text(model_a):
    case = golden.case("text_only")
    embedded = model_a.model.embed(case.inputs["input_ids"], None, None)
    torch.testing.assert_close(embedded.norm(dim=-1), case.expected["hidden0_norms"], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("name", ["gen_left", "gen_boundary512"])
def test_greedy_generation(name):
    case = golden.case(name)
    steps = case.expected["new_tokens"].shape[1]
    output = golden.model("a", **case.overrides).generate(
        **case.inputs, generation_config=golden.greedy(steps, pad_token_id=0)
    )
    length = case.inputs["input_ids"].shape[1]
    assert output.sequences[:, length:].tolist() == case.figures["new_tokens"]
    logits = torch.stack(output.logits, dim=1)
    torch.testing.assert_close(logits, case.expected["step_logits"], atol=1e-4, rtol=0)


def test_gradients():
    case, model = golden.case("batch_right"), golden.model("a").train().requires_grad_(True)
    model(**case.inputs, labels=case.labels).loss.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    norms = golden.figures()["train"]["grad_norms"]
    assert {name for name, norm in norms.items() if norm is None} == {name for name in norms if _is_unused(name)}
    assert norms.keys() == gradients.keys()
    for name, norm in norms.items():
        if norm is None:
            assert gradients[name] is None
        else:
            tolerance = 1e-6 if name.endswith("k_proj.bias") else 0  # mathematically zero: only noise to compare
            assert gradients[name].norm().item() == pytest.approx(norm, rel=1e-4, abs=tolerance), name
    whole = {key.removeprefix("a.grad."): value for key, value in golden.tensors().items() if key.startswith("a.grad.")}
    for name, expected in whole.items():
        torch.testing.assert_close(gradients[name], expected, atol=1e-5, rtol=0, msg=name)


def _is_unused(name: str) -> bool:
    return "vision_model" in name and any(part in name for part in UNUSED)


def test_training_trajectory():
    case, model, train = golden.case("batch_right"), golden.model("a").train(), golden.figures()["train"]
    settings = train["adamw"]
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=settings["lr"],
        betas=tuple(settings["betas"]),
        eps=settings["eps"],
        weight_decay=settings["weight_decay"],
    )
    losses = []
    for _ in range(settings["steps"]):
        loss = model(**case.inputs, labels=case.labels).loss
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses == pytest.approx(train["loss_trajectory"], abs=1e-4)


@pytest.fixture(scope="module")
def model_b():
    return golden.model("b")


@pytest.mark.parametrize("expected", golden.figures()["b_e2e"]["cases"], ids=lambda expected: expected["name"])
def test_from_image_files_to_answers(model_b, expected):
    """The real vocabulary and real images; the ids are golden, so that no tokenizer is needed."""
    prompt = golden.prompt(expected["name"])
    inputs = golden.encoded(prompt)
    labels = inputs["input_ids"].masked_fill(inputs["input_ids"] < 0, -100)
    with torch.no_grad():
        logits = model_b(**inputs).logits[0]
    stride = golden.figures()["b_e2e"]["vocab_stride"]
    last = golden.tensors()[f"b.{expected['name']}.logits_last8_every61"]
    torch.testing.assert_close(logits[-8:, ::stride], last, atol=1e-4, rtol=0)
    assert logits[-1].topk(10).indices.tolist() == expected["top10_ids"]
    assert logits[-1].topk(10).values.tolist() == pytest.approx(expected["top10_logits"], abs=1e-4)
    assert logits.double().abs().mean().item() == pytest.approx(expected["logits_abs_mean"], abs=1e-5)
    loss = cross_entropy(logits[:-1], labels[0, 1:])
    assert loss.item() == pytest.approx(expected["loss_all_text_tokens"], abs=1e-5)
    generated = model_b.generate(**inputs, generation_config=golden.greedy(5, pad_token_id=32000)).sequences
    assert generated[0, inputs["input_ids"].shape[1] :].tolist() == expected["greedy5"]
