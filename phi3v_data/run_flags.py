"""The flags of every run of the engine, whatever it converts; they cost nothing but click to import."""

from __future__ import annotations

import click

__all__ = ["RUN_FLAGS"]

RUN_FLAGS = (
    click.Option(["--workers"], type=click.IntRange(min=1), help="Worker processes  [default: one per core]"),
    click.Option(
        ["--max_rejects"],
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Exit 0 with up to so many rejects.",
    ),
    click.Option(
        ["--output"],
        type=click.Choice(["jsonl", "webdataset", "parquet"]),
        default="jsonl",
        show_default=True,
        help="JSON lines beside an images folder, or shards with the images inside.",
    ),
    click.Option(["--shard_records"], type=click.IntRange(min=1), help="Most records of a file."),
    click.Option(
        ["--shard_mb"],
        type=click.IntRange(min=1),
        help="Megabytes after which a new file begins; of JSON lines they do not count images.  "
        "[default: 500 for webdataset and parquet, unless --shard_records is given]",
    ),
    click.Option(["--overwrite"], is_flag=True, help="Replace the dataset in --out_dir and start anew."),
    click.Option(["--format", "form"], type=click.Choice(["text", "json"]), default="text", show_default=True),
)
