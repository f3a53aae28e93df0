"""What a row that this library exported carries besides, in the key `phi3v`, and what an import takes back of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from phi3v_data.export.rows import CARRIED

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Carried", "carried_by"]


@dataclass(frozen=True, slots=True)
class Carried:
    """What a row's format had no place for.

    Args:
        id: The record's own, which the row has as its `id` where it had none.
        group: The record's group.
        answers: Accepted answers of each turn.
        metadata: Metadata under keys that the row could not have.
    """

    id: str
    group: str | None = None
    answers: list[list[str] | None] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)


def carried_by(row: Mapping[str, Any]) -> Carried | None:
    """Return what an export put into a row; None where it is not of the form that exports have."""
    try:
        held = json.loads(row[CARRIED])
        found = Carried(held["id"], held.get("group"), held.get("answers") or [], held.get("metadata") or {})
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None
    sound = (
        isinstance(found.id, str)
        and (found.group is None or (isinstance(found.group, str) and found.group != ""))
        and isinstance(found.answers, list)
        and all(answers is None or _are_texts(answers) for answers in found.answers)
        and isinstance(found.metadata, dict)
    )
    return found if sound else None


def _are_texts(answers: object) -> bool:
    return isinstance(answers, list) and all(isinstance(answer, str) and answer for answer in answers)
