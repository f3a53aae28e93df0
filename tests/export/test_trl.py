"""TRL trains on an export: its trainer takes messages and hub folders as they are, up to what a batch is.

Two things of TRL's own collator do not fit the model, whatever the data: it asks the processor for
`add_special_tokens=False`, which this one refuses because the model was trained with a `<s>` behind every image; and it
leaves the ids of image tokens, which are negative, in the labels. The collator here differs in these two alone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.export.made import write_dataset
from tests.helpers import run, run_python

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("trl", reason="its trainer is what reads these rows")

_TRAIN = """
import json, sys
from pathlib import Path
import torch
from datasets import Image, List, load_dataset
from trl import SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling
from phi3v_train.model import Phi3VForCausalLM, Phi3VProcessor
from phi3v_train.model.tiny import write_tiny

kind, out, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
write_tiny(folder / "tiny", seed=0)
if kind == "hf":
    rows = load_dataset(str(out), split="train")
else:
    rows = load_dataset("json", data_files=str(out / "train.jsonl"), split="train")
    rows = rows.map(lambda row: {"images": [str(out / path) for path in row["images"]]})
    rows = rows.cast_column("images", List(Image()))

class Processor(Phi3VProcessor):
    def apply_chat_template(self, conversation, *args, processor_kwargs=None, **options):
        given = {name: value for name, value in (processor_kwargs or {}).items() if name != "add_special_tokens"}
        return super().apply_chat_template(conversation, *args, processor_kwargs=given, **options)

processor = Processor.from_pretrained(folder / "tiny")
collate = DataCollatorForVisionLanguageModeling(processor, max_length=None)
batches = []

def collate_without_images_in_labels(examples):
    batch = collate(examples)
    batch["labels"][batch["input_ids"] < 0] = -100
    batches.append(batch)
    return batch

trainer = SFTTrainer(
    model=Phi3VForCausalLM.from_pretrained(folder / "tiny", dtype=torch.float32),
    args=SFTConfig(
        output_dir=str(folder / "trained"), max_steps=1, per_device_train_batch_size=2, max_length=None, use_cpu=True,
        bf16=False, gradient_checkpointing=False, report_to=[], save_strategy="no", disable_tqdm=True,
    ),
    train_dataset=rows,
    processing_class=processor,
    data_collator=collate_without_images_in_labels,
)
loss = trainer.train().training_loss
texts = sorted(processor.batch_decode(batches[0]["input_ids"], skip_special_tokens=False))
images = [sorted(set((-row[row < 0]).tolist())) for row in batches[0]["input_ids"]]
print(json.dumps({"loss": loss, "texts": texts, "images": sorted(images), "sizes": len(batches[0]["image_sizes"])}))
"""


@pytest.mark.parametrize("to", ["hf", "messages"])
def test_sft_trainer_takes_a_step(to: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("export", write_dataset(tmp_path / "data"), "--to", to, "--out_dir", out)
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub"), "CUDA_VISIBLE_DEVICES": ""}
    done = json.loads(run_python("-c", _TRAIN, to, out, tmp_path, env=offline).stdout.splitlines()[-1])
    assert 0 < done["loss"] < 100
    assert done["images"] == [[], [1, 2, 3]] and done["sizes"] == 3
    for said in ("Answer in a word.", "What is it?", "A disc.", "And its colour?", "Red.", "And these?", "Squares."):
        assert any(said in text for text in done["texts"]), (said, done["texts"])
