"""The figures of a dataset, and what a person has to know to read them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from phi3v_data.lengths import BYTES_PER_TOKEN
from phi3v_data.printable import counted, printable
from phi3v_data.stats.tally import Tally

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.stats.piece import Setting

__all__ = ["ImageLevel", "Stats", "notes_of"]

ImageLevel = Literal["none", "header"]
"""How closely images are looked at: not at all, or at their header."""


@dataclass
class Stats:
    """What was counted.

    Args:
        data: The dataset, as it was named.
        setting: How it was counted.
        max_tokens: Tokens that a batch may take; None where nobody asked.
        splits: What was counted of each split, in the dataset's order.
        faults: What could not be read, a sentence each.
    """

    data: Path
    setting: Setting
    max_tokens: int | None = None
    splits: dict[str, Tally] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @cached_property
    def whole(self) -> Tally:
        """What was counted of all splits together."""
        whole = Tally()
        for tally in self.splits.values():
            whole.merge(tally)
        return whole


def notes_of(stats: Stats) -> list[str]:
    """Return the sentences that belong beside the figures: what is not exact, and what could not be read."""
    whole, setting = stats.whole, stats.setting
    why = f"phi3v-data validate {shlex.quote(str(stats.data))} says why"
    notes = []
    if whole.broken:
        notes.append(
            f"{counted(whole.broken, 'line')} {'is no record' if whole.broken == 1 else 'are no records'}: {why}"
        )
    if unreadable := whole.pictures.unreadable:
        notes.append(f"{counted(unreadable, 'image')} cannot be read and count as the smallest: {why}")
    if whole.images.total and not setting.measures:
        notes.append("images were not looked at and count as the smallest, so tokens are at least these")
    if whole.records and setting.tokenizer is None:
        notes.append(
            f"the tokens of texts are estimated from their bytes, {BYTES_PER_TOKEN} to a token, as English takes: "
            "--tokenizer DIR, the checkpoint's folder, counts them"
        )
    return [printable(note) for note in [*notes, *stats.faults]]
