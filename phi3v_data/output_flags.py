"""The flags that choose the format of a dataset's files; they cost nothing but click to import."""

from __future__ import annotations

import click

__all__ = ["OUTPUT_FLAGS"]

OUTPUT_FLAGS = (
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
)
