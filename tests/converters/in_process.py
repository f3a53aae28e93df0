"""Run a converter without the engine, where what it lists and makes is all that a test asks about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from phi3v_data.convert.converter import Reject
from phi3v_data.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from phi3v_data.convert.converter import Converter

__all__ = ["Made", "convert_here"]


class Made(NamedTuple):
    """An example, as the engine would be handed it."""

    split: str
    path: str
    group: str | None
    user: str
    assistant: str | None
    pictures: Sequence[bytes]
    metadata: Mapping[str, Any] | None


def convert_here(converter: Converter[Any]) -> tuple[list[Made], list[Reject]]:
    """Return every example of a converter, in the plan's order, and every reject, as listed and then as converted."""
    made, rejects = [], []
    for split, listing in converter.sources().items():
        entries = list(listing)
        rejects += [entry for entry in entries if isinstance(entry, Reject)]
        for source in sorted((entry for entry in entries if not isinstance(entry, Reject)), key=lambda one: one.path):
            try:
                for example in converter.convert(source):
                    (turn,) = example.turns
                    pictures = [image.data for image in turn.images]
                    told = (source.group, turn.user, turn.assistant, pictures, example.metadata)
                    made.append(Made(split, source.path, *told))
            except SourceError as error:
                rejects.append(Reject.because(error, source.path, split))
    return made, rejects
