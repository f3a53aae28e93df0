"""Carve a split off data that comes without one: by a seeded hash, so that the same part is taken on every machine."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from phi3v_data.convert.converter import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from phi3v_data.convert.converter import Reject

__all__ = ["carve"]


def carve(
    listing: Callable[[], Iterator[Source | Reject]], fraction: float, *, seed: int
) -> dict[str, Iterator[Source | Reject]]:
    """Divide one listing of sources into train and val.

    Each group is judged alone, so nothing has to be held in memory, and data that is added later moves nothing that
    was there. About `fraction` of many groups is taken, of few perhaps none.

    Args:
        listing: Lists all sources anew at every call; those of one group stay together.
        fraction: The part to carve off as val, 0 to 1; at 0 there is no val.
        seed: Another seed takes another part.

    Returns:
        The sources of each split; rejects are train's.
    """

    def of_split(wanted: bool) -> Iterator[Source | Reject]:
        for source in listing():
            key = (source.group or source.path) if isinstance(source, Source) else None
            if (key is not None and _is_carved(key, fraction, seed)) == wanted:
                yield source

    return {"train": of_split(False), "val": of_split(True)} if fraction else {"train": listing()}


def _is_carved(key: str, fraction: float, seed: int) -> bool:
    digest = hashlib.sha256(f"{seed}/val/{key}".encode("utf-8", "backslashreplace")).digest()
    return int.from_bytes(digest[:8], "big") < fraction * 2**64
