"""What a page is told of one record, cut to the room there is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from phi3v_data.preview.escaped import cut_to, escaped_size
from phi3v_data.preview.shares import level_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3v_schemas import Record, Turn

__all__ = ["MOST_PICTURES", "card_of", "fit", "raw_card"]

MOST_PICTURES = 64
"""Images of a record that are shown."""

_MOST_TURNS, _MOST_ANSWERS = 100, 50
_LONGEST_RAW = 500
_FEWER = 4
_NOTE = len(',"cut":12345678,"images_cut":123456')

_WORDS = 400  # bytes of texts for which lists are rather left out
_NAMES = ("file", "path", "fault", "message", "pointer")  # are no texts of the record
_PLAIN = ("id", "group", "source", "system", "metadata", "raw", "file")


def raw_card(data: bytes | None) -> dict[str, Any]:
    """Return what is told of a line that is no record; of None, one that is too long or gone."""
    text = "" if data is None else data[: 4 * _LONGEST_RAW].decode(errors="replace")[:_LONGEST_RAW]
    return {"id": None, "raw": text, "images": []}


def card_of(record: Record) -> dict[str, Any]:
    """Return what is told of a record, its images by their paths alone."""
    card: dict[str, Any] = {"id": record.id, "source": record.source}
    if record.group is not None:
        card["group"] = record.group
    if record.system is not None:
        card["system"] = record.system
    if record.metadata is not None:
        card["metadata"] = json.dumps(record.metadata, ensure_ascii=False, indent=2)
    turns = record.conversations[:_MOST_TURNS]
    card["turns"] = [_turn(turn) for turn in turns]
    paths = [path for turn in turns for path in turn.images or ()][:MOST_PICTURES]
    card["images"] = [{"path": path} for path in paths]
    _note(card, "images_cut", len(record.image_paths()) - len(paths))
    _note(card, "cut", sum(len(turn.user) + len(turn.assistant or "") for turn in record.conversations[_MOST_TURNS:]))
    return card


def _turn(turn: Turn) -> dict[str, Any]:
    told: dict[str, Any] = {"user": turn.user, "images": len(turn.images or ())}
    if turn.assistant is not None:
        told["assistant"] = turn.assistant
    if turn.answers:
        told["answers"] = turn.answers[:_MOST_ANSWERS]
    return told


def _note(card: dict[str, Any], name: str, number: int) -> None:
    if number:
        card[name] = card.get(name, 0) + number


def fit(card: dict[str, Any], limit: int) -> None:
    """Cut a card to so many bytes of JSON: its longest texts to one level, and only where that does not do, its lists.

    Args:
        card: It is changed.
        limit: Bytes.
    """
    while (size := escaped_size(card)) > limit:
        sizes = [escaped_size(holder[key]) for holder, key in _texts(card)]
        room = limit - (size - sum(sizes)) - _NOTE
        is_shorter = room < min(_WORDS, limit // 2) and _shorten(card)
        if not (is_shorter or _cut_texts(card, level_of(sizes, max(0, room)))):
            return


def _cut_texts(card: dict[str, Any], level: int) -> bool:
    """Cut texts that take more bytes than the level; returns whether any became shorter."""
    is_shorter = False
    for holder, key in _texts(card):
        whole = holder[key]
        if escaped_size(whole) > level and whole:
            holder[key] = cut_to(whole, level)
            is_shorter = True
            if key not in _NAMES:
                _note(card, "cut", len(whole) - len(holder[key]))
    return is_shorter


def _texts(card: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield each text: what holds it, and its key there."""
    yield from [(card, name) for name in _PLAIN if card.get(name)]
    for turn in card.get("turns", ()):
        yield from ((turn, name) for name in ("user", "assistant") if name in turn)
        yield from ((turn["answers"], index) for index in range(len(turn.get("answers", ()))))
    for image in card["images"]:
        yield from ((image, name) for name in ("path", "fault") if name in image)
    for finding in card["findings"]:
        yield from ((finding, name) for name in ("message", "pointer"))


def _shorten(card: dict[str, Any]) -> bool:
    """Leave out of each list what is beyond a quarter of the longest one; returns whether that was anything."""
    turns: list[dict[str, Any]] = card.get("turns", [])
    lists: list[list[Any]] = [card["images"], card["findings"]]
    lists += [turn["answers"] for turn in turns if "answers" in turn]
    most = max(map(len, [turns, *lists])) // _FEWER
    kept = max(1, most)  # turns: a record has one at least
    is_shorter = len(turns) > kept or any(len(one) > most for one in lists)
    _note(card, "cut", sum(len(turn["user"]) + len(turn.get("assistant", "")) for turn in turns[kept:]))
    _note(card, "images_cut", max(0, len(card["images"]) - most))
    del turns[kept:]
    for one in lists:
        del one[most:]
    return is_shorter
