"""How the figures are shown: text, or one JSON document."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from phi3v_data.stats.document import document_of
from phi3v_data.stats.text import lines_of
from phi3v_data.validate.shown import write_lines

if TYPE_CHECKING:
    from typing import TextIO

    from phi3v_data.stats.result import Stats

__all__ = ["render_json", "render_text"]


def render_text(stats: Stats, stream: TextIO | None = None, *, color: bool | None = None) -> None:
    """Write the figures for a person.

    Args:
        stats: What `collect` returned.
        stream: Where to write; standard output by default.
        color: Whether to colour; by default where the stream is a terminal and NO_COLOR is not set.
    """
    stream = sys.stdout if stream is None else stream
    encoding = getattr(stream, "encoding", None) or "utf-8"
    blocks = "█".encode(encoding, "ignore") != b""
    write_lines(lines_of(stats, blocks=blocks), stream, color=color)


def render_json(stats: Stats, stream: TextIO | None = None) -> None:
    """Write the figures for a program, as `document_of` has them.

    Args:
        stats: What `collect` returned.
        stream: Where to write; standard output by default. All it gets is ASCII.
    """
    write_lines([json.dumps(document_of(stats), indent=2)], stream)
