"""A run does not depend on the format its data is stored in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from phi3v_train.model.tiny import write_tiny
from tests.helpers import run
from tests.phi3v_train.end_to_end.commands import Commands, losses

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = ("jsonl", "webdataset", "parquet")


def test_every_format_gives_the_same_losses_and_answers(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny")
    run("sample", "nlvr2", tmp_path / "raw")
    for kind in FORMATS:
        shards = ["--output", kind, "--shard_records", "5"]
        run("convert", "nlvr2", "--source", tmp_path / "raw", "--out_dir", tmp_path / kind, *shards)
    seen, answers = {}, {}
    with Commands(tmp_path) as commands:
        for kind in FORMATS:
            train = ["--data_dir", kind, "--model_name_or_path", "tiny", "--output_dir", f"of_{kind}"]
            rest = [
                "--batch_size",
                "2",
                "--max_steps",
                "4",
                "--num_crops",
                "1",
                "--eval_steps",
                "2",
                "--logging_steps",
                "1",
            ]
            commands.run(*train, *rest, "--group_by_length")
            seen[kind] = losses(tmp_path / f"of_{kind}")
            commands.run("eval", f"of_{kind}", "--max_new_tokens", "4")
            report = json.loads((tmp_path / f"of_{kind}/eval_after.json").read_text())
            answers[kind] = [answer["prediction"] for answer in report["predictions"]]
    assert len(seen["jsonl"]) >= 4
    assert seen["jsonl"] == seen["webdataset"] == seen["parquet"]
    assert answers["jsonl"] == answers["webdataset"] == answers["parquet"]


def test_a_broken_shard_is_refused_before_the_weights_are_loaded(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny")
    run("sample", "nlvr2", tmp_path / "raw")
    run("convert", "nlvr2", "--source", tmp_path / "raw", "--out_dir", tmp_path / "data", "--output", "webdataset")
    (shard,) = (tmp_path / "data").glob("*_train-*.tar")
    shard.write_bytes(shard.read_bytes()[:-4000])
    with Commands(tmp_path) as commands:
        done = commands.run(
            "--data_dir", "data", "--model_name_or_path", "tiny", "--output_dir", "out", "--max_steps", "1", code=3
        )
    assert "E109 × 1" in done.stderr
    assert "Traceback" not in done.stderr
