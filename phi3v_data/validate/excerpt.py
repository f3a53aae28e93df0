"""What to decode of a line with a flood of faults: every fault takes the decoder some 600 bytes.

A line of 32 MB has room for ten million faults, and only the first are told.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from phi3v_schemas import Record, Turn

__all__ = ["MOST_FAULTS", "excerpt"]

MOST_FAULTS = 1000
"""Faults that are worth decoding."""

_LISTS = ("images", "answers")


def excerpt(value: Any) -> Any:
    """Return as much of a line's value as holds `MOST_FAULTS` faults, or None where it has fewer.

    Args:
        value: The line as plain JSON.
    """
    if not isinstance(value, dict):
        return None
    if len(value) > MOST_FAULTS + len(Record.model_fields):
        known = {name: value[name] for name in Record.model_fields if name in value}
        if "conversations" in known:
            known["conversations"] = [{"user": "What?"}]
        return dict(islice(value.items(), MOST_FAULTS)) | known
    turns = _items(value, "conversations")
    faults = 0
    for index, turn in enumerate(turns):
        faults += _faults(turn)
        if faults >= MOST_FAULTS:
            return value | {"conversations": [*turns[:index], _excerpt_of_turn(turn)]}
    return None


def _faults(turn: Any) -> int:
    """Count what is wrong with a turn."""
    if not isinstance(turn, dict):
        return 1
    unknown = len(turn) - sum(name in turn for name in Turn.model_fields)
    texts = (not _is_text(turn.get("user")), not _is_text(turn.get("assistant", "absent")))
    return unknown + sum(texts) + sum(not _is_text(item) for name in _LISTS for item in _items(turn, name))


def _items(holder: dict[str, Any], name: str) -> list[Any]:
    items = holder.get(name)
    return items if isinstance(items, list) else []


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _excerpt_of_turn(turn: Any) -> Any:
    if not isinstance(turn, dict):
        return turn
    known = {name: turn[name] for name in Turn.model_fields if name in turn}
    lists = {name: _up_to_last_told(_items(turn, name)) for name in _LISTS if _items(turn, name)}
    return dict(islice(turn.items(), MOST_FAULTS)) | known | lists


def _up_to_last_told(items: list[Any]) -> list[Any]:
    faulty = (index for index, item in enumerate(items) if not _is_text(item))
    return items[: next(islice(faulty, MOST_FAULTS, None), len(items))]
