"""The memory that training is estimated to need on each device, by method: the table of docs/training.md.

python benchmarks/memory.py --model_name_or_path DIR

Nothing is trained: `phi3v_train.memory` computes it from the configuration, for bf16 and one record at a time.
"""

from __future__ import annotations

import argparse
from typing import Any

from phi3v_train.memory import estimate_memory
from phi3v_train.options import METHODS, TrainOptions
from phi3v_train.pretrained import load_config
from phi3v_train.runtime import Processes, Runtime

TOKENS, CROPS = 2600, 17  # a page of text at num_crops 16, its question and its answer


def flags_of(method: str) -> dict[str, Any]:
    """Return the flags that name a method."""
    return {
        "use_lora": method.startswith("lora"),
        "use_qlora": method.startswith("qlora"),
        "freeze_vision_model": method.endswith("frozen_vision"),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model_name_or_path", default="microsoft/Phi-3.5-vision-instruct")
    config = load_config(parser.parse_args().model_name_or_path)

    def cell(method: str, count: int, deepspeed: str | None, **changes: Any) -> str:
        options = TrainOptions(data_dir="unused", device_memory=80, **flags_of(method), **changes)
        runtime = Runtime(Processes(count=count, local_count=count), "cuda", "bf16", "sdpa", deepspeed, 1, 0)
        needs = estimate_memory(config, options, runtime, sequence_length=TOKENS, crops=CROPS)
        host = f", host {needs.host / 1e9:.1f}" if needs.host else ""
        return f"{needs.total / 1e9:.1f}{host}"

    print("| | 1 GPU | `--optimizer adamw8bit` | `--offload` | 8 GPUs | 8 GPUs, `--deepspeed zero3` |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for method, words in METHODS.items():
        cells = [
            cell(method, 1, None),
            cell(method, 1, None, optimizer="adamw8bit"),
            cell(method, 1, "zero2", offload=True),
            cell(method, 8, None if "lora" in method else "zero2"),
            "–" if "qlora" in method else cell(method, 8, "zero3"),
        ]
        print("|", " | ".join([words, *cells]), "|")


if __name__ == "__main__":
    main()
