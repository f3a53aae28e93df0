"""A row's logits and answers are its own: whatever it is batched with, padded by, or longer than."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import pad_sequence

from phi3v_train.model.rope import row_lengths
from tests.phi3v_train.model import golden
from tests.phi3v_train.model.rows import Row, alone, batch, image_row, text_row

LIMIT = 400
"""The length above which rows of these tests get the long factors; an image of one crop has 313 tokens."""


@pytest.fixture(scope="module")
def model():
    return golden.model("a", original_max_position_embeddings=LIMIT)


def row_logits(model, rows, side):
    """The logits of each row of a batch, padding left out."""
    inputs = batch(rows, side)
    with torch.no_grad():
        logits = model(**inputs).logits
    return [logits[index][inputs["attention_mask"][index].bool()] for index in range(len(rows))]


def assert_rows_are_their_own(model, rows, side):
    for row, together in zip(rows, row_logits(model, rows, side), strict=True):
        (by_itself,) = row_logits(model, [row], side)
        torch.testing.assert_close(together, by_itself, atol=1e-5, rtol=0)


@pytest.mark.parametrize("side", ["left", "right"])
def test_rows_on_both_sides_of_4096_tokens(side):
    assert_rows_are_their_own(golden.model("a"), [text_row(300), text_row(4200)], side)


@given(
    lengths=st.lists(st.one_of(st.integers(1, 40), st.integers(LIMIT - 3, LIMIT + 40)), min_size=1, max_size=4),
    side=st.sampled_from(["left", "right"]),
)
@settings(max_examples=15, deadline=None)
def test_text_rows_of_any_length(model, lengths, side):
    assert_rows_are_their_own(model, [text_row(length, seed=index) for index, length in enumerate(lengths)], side)


@pytest.mark.parametrize("side", ["left", "right"])
def test_text_and_images_in_one_batch(model, side):
    rows = [
        image_row(["1x1"], text=20),
        text_row(30),
        image_row(["1x2", "1x1"], text=50),
        image_row(["1x1"], text=LIMIT - 313),
        image_row(["1x1"], text=LIMIT - 313 + 1),
    ]
    assert_rows_are_their_own(model, rows, side)


def test_positions_that_count_padding_change_nothing_on_the_right(model):
    """As the published code counts them; on the left they would only differ by rounding."""
    inputs = batch([text_row(30), text_row(LIMIT + 5)], "right")
    kept = inputs["attention_mask"].bool()
    with torch.no_grad():
        counted = model(**inputs, position_ids=torch.arange(LIMIT + 5)[None]).logits
        torch.testing.assert_close(model(**inputs).logits[kept], counted[kept], atol=1e-5, rtol=0)


def test_row_lengths():
    positions = torch.arange(5)[None]
    assert row_lengths(torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]), positions).tolist() == [3, 5]
    assert row_lengths(None, positions + 7).tolist() == [12]
    assert row_lengths(torch.zeros(2, 1, 5, 5), positions).tolist() == [5]


def greedy(model, rows, steps=6, **options):
    inputs = batch(rows, "left")
    made = model.generate(**inputs, max_new_tokens=steps, do_sample=False, eos_token_id=None, pad_token_id=0, **options)
    return made[:, inputs["input_ids"].shape[1] :].tolist()


@pytest.mark.parametrize(
    "rows",
    [
        [text_row(LIMIT - 2), text_row(20)],
        [text_row(LIMIT - 1), text_row(LIMIT - 3), text_row(LIMIT + 3)],
        [image_row(["1x1"], text=LIMIT - 313 - 2), text_row(9), image_row(["1x1"], text=LIMIT - 313 - 4)],
    ],
    ids=["one crosses", "rows cross at different steps", "with images"],
)
def test_generation_across_the_limit(model, rows):
    """The tokens of a row are those it gets alone, and those that no cache gives."""
    together = greedy(model, rows)
    assert together == [greedy(model, [row])[0] for row in rows]
    assert together == greedy(model, rows, use_cache=False)


@pytest.mark.parametrize("form", ["padded", "compact", "uint8"])
@pytest.mark.parametrize("options", [{"num_beams": 3}, {"num_beams": 2, "num_return_sequences": 2}])
def test_beams_keep_their_images(model, form, options):
    rows = [image_row(["1x1"], text=12), text_row(15), image_row(["1x2", "1x1"], text=9)]
    inputs = batch(rows, "left", form)
    settings = {"max_new_tokens": 4, "do_sample": False, "eos_token_id": None, "pad_token_id": 0, **options}
    answers = model.generate(**inputs, **settings)[:, inputs["input_ids"].shape[1] :]
    each = options.get("num_return_sequences", 1)
    for index, row in enumerate(rows):
        single = batch([row], "left", form)
        expected = model.generate(**single, **settings)[:, single["input_ids"].shape[1] :]
        assert answers[index * each : (index + 1) * each].tolist() == expected.tolist()


def test_several_answers_to_one_prompt(model):
    """Sampling among one token, so that all answers must be the greedy one."""
    row = image_row(["1x1"], text=12)
    inputs = batch([row], "left")
    settings = {"max_new_tokens": 3, "do_sample": True, "top_k": 1, "eos_token_id": None, "pad_token_id": 0}
    answers = model.generate(**inputs, num_return_sequences=4, **settings)[:, inputs["input_ids"].shape[1] :]
    assert answers.tolist() == greedy(model, [row], steps=3) * 4


def test_a_repetition_penalty_passes_over_images(model):
    row = image_row(["1x1"], text=12)
    plain, (penalised,) = greedy(model, [row])[0], greedy(model, [row], repetition_penalty=100.0)
    assert len(set(plain)) < len(plain)
    assert len(set(penalised)) == len(penalised)
    assert not set(penalised) & set(row.ids.tolist())


@pytest.mark.parametrize("options", [{"cache_implementation": "static"}, {"prompt_lookup_num_tokens": 2}])
def test_other_ways_to_generate_give_the_same(model, options):
    rows = [image_row(["1x1"], text=12)]
    assert greedy(model, rows, **options) == greedy(model, rows)


def test_generation_from_embeddings(model):
    row = image_row(["1x1"], text=12)
    inputs = batch([row], "left")
    with torch.no_grad():
        embeds = model.model.embed(inputs["input_ids"], inputs["pixel_values"], inputs["image_sizes"])
    settings = {"max_new_tokens": 4, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    made = model.generate(inputs_embeds=embeds, attention_mask=inputs["attention_mask"], **settings)
    assert made.tolist() == greedy(model, [row], steps=4)


def test_generation_from_embeddings_across_the_limit_is_refused(model):
    embeds = model.model.embed_tokens(text_row(LIMIT - 1).ids[None])
    with pytest.raises(ValueError, match=rf"beyond {LIMIT} tokens.*give input_ids"):
        model.generate(inputs_embeds=embeds, max_new_tokens=4, do_sample=False, eos_token_id=None, pad_token_id=0)


@pytest.mark.parametrize("options", [{"prompt_lookup_num_tokens": 2}, {"assistant_model": golden.model("a")}])
def test_assisted_generation_across_the_limit_is_refused(model, options):
    with pytest.raises(ValueError, match=rf"cannot cross {LIMIT} tokens.* now {LIMIT + 1}"):
        greedy(model, [text_row(LIMIT - 5)], **options)
    assert greedy(model, [text_row(LIMIT + 1)], prompt_lookup_num_tokens=2) == greedy(model, [text_row(LIMIT + 1)])


def test_a_cache_that_no_longer_holds_is_refused(model):
    """A loop of one's own over `forward`, which cannot know the tokens that are in the cache."""
    ids = text_row(LIMIT + 1).ids[None]
    with torch.no_grad():
        cache = model(input_ids=ids[:, :-2], use_cache=True).past_key_values
        last = model(input_ids=ids[:, -2:-1], past_key_values=cache).logits
        torch.testing.assert_close(last, model(input_ids=ids[:, :-1]).logits[:, -1:], atol=1e-5, rtol=0)
        with pytest.raises(ValueError, match=rf"beyond {LIMIT} tokens"):
            model(input_ids=ids[:, -1:], past_key_values=cache)


@pytest.mark.parametrize("form", ["padded", "compact", "uint8"])
@pytest.mark.parametrize("text", [10, LIMIT - 313], ids=["short", "across the limit"])
def test_a_conversation_goes_on_with_its_cache(model, form, text):
    """All of it is given again, images too, and only what is new is computed where the cache still holds."""
    settings = {"max_new_tokens": 4, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    first, new_image = image_row(["1x1"], text=10), image_row(["1x1"], text=text)
    turn = model.generate(**batch([first], "left", form), return_dict_in_generate=True, **settings)
    second = Row(
        torch.cat((turn.sequences[0], new_image.ids)), first.tiles + new_image.tiles, first.sizes + new_image.sizes
    )
    inputs = batch([second], "left", form)
    expected = model.generate(**inputs, **settings)
    assert model.generate(**inputs, past_key_values=turn.past_key_values, **settings).tolist() == expected.tolist()


def test_a_conversation_goes_on_with_text(model):
    settings = {"max_new_tokens": 4, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    first = image_row(["1x1"], text=10)
    turn = model.generate(**batch([first], "left"), return_dict_in_generate=True, **settings)
    inputs = batch([Row(torch.cat((turn.sequences[0], text_row(7).ids)), first.tiles, first.sizes)], "left")
    expected = model.generate(**inputs, **settings).tolist()
    for chosen in (inputs, {name: inputs[name] for name in ("input_ids", "attention_mask")}):
        cache = copy.deepcopy(turn.past_key_values)
        assert model.generate(**chosen, past_key_values=cache, **settings).tolist() == expected


def test_rows_helper_pads_as_it_says():
    """The tests above stand on this: padding is where `side` says, and ids are kept."""
    left, right = (batch([text_row(2), text_row(4)], side) for side in ("left", "right"))
    assert left["attention_mask"].tolist() == [[0, 0, 1, 1], [1, 1, 1, 1]]
    assert right["attention_mask"].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    assert pad_sequence([text_row(2).ids, text_row(4).ids], batch_first=True).tolist() == right["input_ids"].tolist()
    assert alone(text_row(4))["input_ids"][0].tolist() == right["input_ids"][1].tolist()
