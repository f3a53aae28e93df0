"""The output is plain JSON Lines: `datasets` reads it as it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.helpers import convert, make_video, run_python

if TYPE_CHECKING:
    from pathlib import Path

LOAD = """
import json, sys, datasets
out = sys.argv[1]
names = {"train": f"{out}/ucf101_train.jsonl", "test": f"{out}/ucf101_test.jsonl"}
loaded = datasets.load_dataset("json", data_files=names)
rows = {name: [dict(row) for row in split] for name, split in loaded.items()}
print(json.dumps({"columns": loaded["train"].column_names, "rows": rows}))
"""


def test_load_dataset_reads_a_converted_dataset(tmp_path: Path) -> None:
    for name in ("train/A/v_A_g01_c01.avi", "train/B/plain.mp4", "test/B/v_B_g02_c01.avi"):
        make_video(tmp_path / "raw" / name)
    out = tmp_path / "out"
    convert(tmp_path / "raw", out, "--num_frames", "2")
    env = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    loaded = json.loads(run_python("-c", LOAD, out, env=env).stdout.splitlines()[-1])
    assert loaded["columns"] == ["id", "source", "group", "conversations"]
    assert [(row["id"], row["group"]) for row in loaded["rows"]["train"]] == [
        ("train-0000000000", "A/g01"),
        ("train-0000000001", None),
    ]
    (row,) = loaded["rows"]["test"]
    assert row == json.loads((out / "ucf101_test.jsonl").read_text(encoding="utf-8"))
