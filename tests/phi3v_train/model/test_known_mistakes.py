"""Mistakes that implementations of this model are known to make: each moves the logits far beyond the tolerance.

So a mistake of this kind could not hide in `test_golden_model`. The sizes are those on the case `img_rect`.
"""

import pytest
import torch
from torch import nn
from transformers.activations import ACT2FN

from phi3v_train.model.rope import Phi3VRotaryEmbedding
from phi3v_train.model.vision import ClipTower, Phi3VImageEmbedding
from tests.phi3v_train.model import golden

TOLERANCE = 1e-4


def tanh_gelu_in_the_projector(model, monkeypatch):
    model.model.vision_embed_tokens.img_projection[1] = nn.GELU(approximate="tanh")


def plain_gelu_in_clip(model, monkeypatch):
    for layer in model.model.vision_embed_tokens.img_processor.vision_model.encoder.layers:
        layer.mlp.activation_fn = ACT2FN["gelu"]


def no_attention_factor(model, monkeypatch):
    monkeypatch.setattr(Phi3VRotaryEmbedding, "attention_scaling", 1.0)


def features_of_the_last_layer(model, monkeypatch):
    def forward(tower, pixel_values):
        return tower.vision_model(pixel_values).last_hidden_state[:, 1:]

    monkeypatch.setattr(ClipTower, "forward", forward)


def global_crop_first(model, monkeypatch):
    merge = Phi3VImageEmbedding._hd_merge
    overview = 12 * 13

    def swapped(embedding, crops, grid):
        tokens = merge(embedding, crops, grid)
        return torch.cat((tokens[-overview:], tokens[-overview - 1 : -overview], tokens[: -overview - 1]))

    monkeypatch.setattr(Phi3VImageEmbedding, "_hd_merge", swapped)


def no_line_separators(model, monkeypatch):
    model.model.vision_embed_tokens.sub_GN.data.zero_()


MISTAKES = {
    tanh_gelu_in_the_projector: 7e-4,
    plain_gelu_in_clip: 5e-2,
    no_attention_factor: 1.8,
    features_of_the_last_layer: 2.6,
    global_crop_first: 4.6,
    no_line_separators: 4.6,
}


def error_on_img_rect(model):
    case = golden.case("img_rect")
    with torch.no_grad():
        logits = model(**case.inputs).logits
    return (case.kept(logits) - case.kept(case.expected["logits"])).abs().max().item()


def test_without_a_mistake_the_error_is_far_below():
    assert error_on_img_rect(golden.model("a")) < TOLERANCE / 5


@pytest.mark.parametrize(("mistake", "size"), MISTAKES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_the_figures_would_show(mistake, size, monkeypatch):
    model = golden.model("a")
    mistake(model, monkeypatch)
    error = error_on_img_rect(model)
    assert error == pytest.approx(size, rel=0.5)
    assert error > 5 * TOLERANCE
