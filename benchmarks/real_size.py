"""Once round with the real 4.15 B configuration on a CPU: save in shards, load through Auto*, answer one image.

    python benchmarks/real_size.py path/to/phi3v_hub_files build/real_size

The first folder holds the published `config.json`, tokenizer and processor files; the second, new or empty, gets 8.3 GB
of random bfloat16 weights in a folder of their own, which is removed at the end. Writing and answering are processes of
their own; each prints its seconds and the most memory it held.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from image_processing import draw_page
from transformers import AutoConfig, AutoModelForCausalLM, AutoProcessor

import phi3v_train.model  # noqa: F401  # registers the classes

if TYPE_CHECKING:
    from collections.abc import Iterator


def write(source: Path, target: Path) -> None:
    """Write the configuration of `source` with random weights, and its processor."""
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(source)
    with timed("made"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    with timed("saved"):
        model.save_pretrained(target, max_shard_size="2GB")
        AutoProcessor.from_pretrained(source).save_pretrained(target)
    size = sum(path.stat().st_size for path in target.glob("*.safetensors"))
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{count:,} parameters, {size / 1e9:.2f} GB in {len(list(target.glob('*.safetensors')))} shards")


def answer(source: Path, target: Path) -> None:
    """Load what was written and answer a question about a page."""
    with timed("loaded"):
        processor = AutoProcessor.from_pretrained(target)
        model, report = AutoModelForCausalLM.from_pretrained(target, output_loading_info=True)
    print(f"{type(model).__name__}, {model.dtype}, {sum(map(len, report.values()))} keys missing or unexpected")
    prompt = "<|user|>\n<|image_1|>\nWhat is the total?<|end|>\n<|assistant|>\n"
    inputs = processor(prompt, draw_page(850, 1100), num_crops=1, return_tensors="pt")
    with timed(f"answered {inputs['input_ids'].shape[1]} tokens with 4"):
        ids = model.generate(**inputs, max_new_tokens=4, do_sample=False)
    print(f"random weights say {processor.batch_decode(ids[:, inputs['input_ids'].shape[1] :])}")


@contextmanager
def make_folder(target: Path) -> Iterator[str]:
    """Yield a folder inside the target; remove it afterwards, and the target if it was not there."""
    made = not target.exists()
    target.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=target) as folder:
            yield folder
    finally:
        if made:
            target.rmdir()


class timed:
    """Print the seconds that a block took, and the most memory the process has held."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(f"{self.what}: {time.perf_counter() - self.start:.0f} s, peak {peak / 1e9:.1f} GB", flush=True)


def main() -> None:
    """Run both phases, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--phase", choices=["write", "answer"])
    arguments = parser.parse_args()
    if arguments.phase:
        {"write": write, "answer": answer}[arguments.phase](arguments.source, arguments.target)
        return
    if arguments.target.exists() and any(arguments.target.iterdir()):
        parser.error(f"{arguments.target} is not empty: give another folder")
    print(f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}")
    with make_folder(arguments.target) as folder:
        for phase in ("write", "answer"):
            subprocess.run([sys.executable, __file__, str(arguments.source), folder, "--phase", phase], check=True)


if __name__ == "__main__":
    main()
