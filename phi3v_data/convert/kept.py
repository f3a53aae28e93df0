"""A record that already is one: it goes into the new dataset as it is, with its id, its text and its images' paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phi3v_schemas import Record

__all__ = ["Kept"]


@dataclass(frozen=True, slots=True)
class Kept:
    """What a converter of datasets makes in place of an `Example`.

    Args:
        record: The record.
        data: Its JSON, without a newline.
        images: Path and bytes of its images, each once, in the order in which it first names them.
    """

    record: Record
    data: bytes
    images: Sequence[tuple[str, bytes]]
