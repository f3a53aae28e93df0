"""Batches: any mix of records, padded so that the model sees what it would see of each alone."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
import torch

from phi3v_train.collate import Collator, Failure
from phi3v_train.model.tiny import tiny_config, tiny_model
from phi3v_train.model.tiny_tokenizer import tiny_tokenizer
from tests.phi3v_train.model.rows import VOCABULARY, image_row, text_row

if TYPE_CHECKING:
    from phi3v_train.collate import Example
    from phi3v_train.model import Phi3VForCausalLM
    from tests.phi3v_train.model.rows import Row

PAD = 2


def example(row: Row, name: str = "a") -> Example:
    ids = row.ids.tolist()
    labels = [-100, -100, *(token if token > 0 else -100 for token in ids[2:])]
    made: Example = {"input_ids": ids, "labels": labels, "record": name}
    if row.tiles:
        made["pixel_values"] = torch.cat(row.tiles)
        made["image_sizes"] = torch.tensor(row.sizes)
    return made


TEXT = example(text_row(9), "text")
IMAGE = example(image_row(["1x2"], text=6), "image")
IMAGES = example(image_row(["2x1", "1x1"], text=12), "images")


def test_texts_alone_have_no_pixels() -> None:
    batch = Collator(PAD)([TEXT, example(text_row(4))])
    assert set(batch) == {"input_ids", "labels", "attention_mask", "records"}
    assert batch["input_ids"].shape == (2, 9)
    assert batch["input_ids"][1, 4:].tolist() == [PAD] * 5
    assert batch["labels"][1, 4:].tolist() == [-100] * 5
    assert batch["attention_mask"].tolist() == [[1] * 9, [1] * 4 + [0] * 5]
    assert {batch[name].dtype for name in ("input_ids", "labels", "attention_mask")} == {torch.int64}  # type: ignore[literal-required]


def test_a_text_may_end_in_the_token_that_pads() -> None:
    ends = {**TEXT, "input_ids": [5, PAD, PAD], "labels": [-100, PAD, PAD]}
    batch = Collator(PAD)([ends, TEXT])  # type: ignore[list-item]
    assert batch["attention_mask"][0].tolist() == [1, 1, 1] + [0] * 6
    assert batch["labels"][0].tolist() == [-100, PAD, PAD] + [-100] * 6


def test_images_of_all_rows_come_in_their_order() -> None:
    batch = Collator(PAD)([IMAGES, TEXT, IMAGE])
    assert batch["records"] == ["images", "text", "image"]
    assert batch["pixel_values"].dtype == torch.uint8
    assert torch.equal(batch["pixel_values"], torch.cat([IMAGES["pixel_values"], IMAGE["pixel_values"]]))
    assert batch["image_sizes"].tolist() == [[672, 336], [336, 336], [336, 672]]


@pytest.fixture(scope="module")
def model() -> Phi3VForCausalLM:
    config = tiny_config(tiny_tokenizer())
    config.vocab_size = VOCABULARY
    return tiny_model(config).eval()


def test_the_model_reads_each_row_as_if_it_were_alone(model: Phi3VForCausalLM) -> None:
    rows = [TEXT, IMAGES, IMAGE]
    together, *alone = (Collator(PAD)(part) for part in (rows, *([row] for row in rows)))
    with torch.no_grad():
        batched, *singly = (model(**{k: v for k, v in batch.items() if k != "records"}) for batch in (together, *alone))
    for logits, single, row in zip(batched.logits, singly, rows, strict=True):
        torch.testing.assert_close(logits[: len(row["input_ids"])], single.logits[0], atol=1e-4, rtol=1e-4)
    learnt = torch.tensor([sum(label != -100 for label in row["labels"]) for row in rows])
    mean = (torch.stack([single.loss for single in singly]) * learnt).sum() / learnt.sum()
    torch.testing.assert_close(batched.loss, mean, atol=1e-4, rtol=1e-4)


def test_a_failure_is_the_batch() -> None:
    batch = Collator(PAD)([TEXT, Failure("a.jsonl:3: gone"), Failure("another")])
    assert batch["failure"] == "a.jsonl:3: gone"
    assert not batch["labels"].ne(-100).any()  # which transformers counts before anyone looks at the batch


def test_it_can_be_sent_to_a_process() -> None:
    assert torch.equal(pickle.loads(pickle.dumps(Collator(PAD)))([TEXT])["labels"], Collator(PAD)([TEXT])["labels"])
