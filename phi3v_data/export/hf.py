"""A folder for the hub, which `datasets.load_dataset` reads.

    data/train-00000-of-00002.parquet
    data/train-00001-of-00002.parquet
    data/validation-00000-of-00001.parquet
    README.md

The card in README.md says which shards are which split's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from phi3v_data.errors import DataError
from phi3v_data.export.hf_card import write_card
from phi3v_data.export.hf_file import HubShard
from phi3v_data.export.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from phi3v_data.export.target import Example, SplitCount
    from phi3v_schemas import Manifest

__all__ = ["HubTarget", "hub_split"]

_MB = 1_000_000


class HubTarget(Target):
    """Writes Parquet shards and a dataset card.

    Args:
        folder: As in `Target`.
        shard_mb: Megabytes (10^6 bytes) that a shard may reach.
    """

    notes: Mapping[str, str] = {
        "unanswered": "without an answer to the last question: the messages end with the user's",
        "answers": "with accepted answers: in the column 'answers', which trainers pass over",
        "group": "with a group: in the column 'group', which whoever splits the data anew has to mind",
        "metadata": "with metadata: in the column 'metadata', as JSON text",
    }
    tags_are_places = False

    def __init__(self, folder: Path, *, shard_mb: int = 500) -> None:
        super().__init__(folder)
        self._shard_bytes = shard_mb * _MB
        self._written: dict[str, str] = {}

    def write_split(self, split: str, examples: Iterable[Example]) -> None:
        """Write the shards of a split; one without rows where it has none."""
        name = hub_split(split)
        if (other := self._written.setdefault(name, split)) != split:
            raise DataError(f"the splits {other!r} and {split!r} would both be {name!r} on the hub: rename one of them")
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        shards: list[Path] = []
        following = iter(examples)
        first = next(following, None)
        while first is not None or not shards:
            shards.append(data / f"{name}-{len(shards)}")
            first = self._write_shard(shards[-1], first, following)
        for index, shard in enumerate(shards):
            shard.rename(data / f"{name}-{index:05d}-of-{len(shards):05d}.parquet")

    def _write_shard(self, path: Path, first: Example | None, following: Iterator[Example]) -> Example | None:
        """Write a shard, and return the record that no longer fits, if there is one."""
        example = first
        with HubShard(path) as shard:
            while example is not None and shard.size < self._shard_bytes:
                shard.add(example)
                self._count(example)
                example = next(following, None)
        return example

    def _count(self, example: Example) -> None:
        record = example.record
        self.count(
            unanswered=record.conversations[-1].assistant is None,
            answers=any(turn.answers for turn in record.conversations),
            group=record.group,
            metadata=record.metadata,
        )

    def finish(self, splits: Mapping[str, SplitCount], manifest: Manifest | None) -> None:
        """Write the card."""
        write_card(self.folder / "README.md", {hub_split(name): count for name, count in splits.items()}, manifest)


def hub_split(split: str) -> str:
    """Return what a split is called on the hub, where names are made of letters, digits, '_' and '.'."""
    return "validation" if split == "val" else re.sub(r"[^\w.]", "_", split, flags=re.ASCII).strip(".")
