"""Rows of chats that say more than a record can: they are refused, for without that they would teach another thing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phi3v_data.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["refuse_masked", "refuse_row", "refuse_tool_calls"]

_NOT_IMAGES = ("video", "videos", "audio", "audios")
_TOOLS = ("tools", "functions")
_TOOL_CALLS = ("tool_calls", "function_call")
_PREFERENCES = ("chosen", "rejected")
_MASKS = ("weight", "loss")
_EMPTY: tuple[object, ...] = (None, "", "[]", [], {})


def refuse_row(row: Mapping[str, Any]) -> None:
    """Refuse videos, tools and preferences.

    Raises:
        SourceError: The row has one of them.
    """
    if other := next((key for key in _NOT_IMAGES if row.get(key)), None):
        raise SourceError("not_images", f"the row has {other!r}, and only images can be converted")
    if other := _filled(row, _PREFERENCES):
        raise SourceError("preference", f"the row has {other!r}, a preference: records have one answer to a question")
    if other := _filled(row, _TOOLS):
        raise SourceError("tools", f"the row has {other!r}, and records have no place for tools")


def refuse_tool_calls(entry: Mapping[str, Any]) -> None:
    """Refuse a message that calls a tool.

    Raises:
        SourceError: It does.
    """
    if call := _filled(entry, _TOOL_CALLS):
        raise SourceError("tools", f"a message has {call!r}, and records have no place for tools")


def refuse_masked(entry: Mapping[str, Any]) -> None:
    """Refuse an answer that is not to be learnt.

    Raises:
        SourceError: It is marked so.
    """
    for key in _MASKS:
        value = entry.get(key)
        if isinstance(value, (bool, int, float)) and not value:
            message = f"an answer has {key!r} {value}, and records cannot say that it is not to be learnt"
            raise SourceError("masked_answer", message)


def _filled(held: Mapping[str, Any], keys: Sequence[str]) -> str | None:
    return next((key for key in keys if held.get(key) not in _EMPTY), None)
