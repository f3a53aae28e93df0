"""A page read back in Python, as a browser's parser would find its data blocks."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import chain
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Page", "read_page"]


@dataclass(frozen=True)
class Page:
    """What a page holds.

    Args:
        title: The text of its title.
        facts: The first block.
        records: The records of all blocks.
        strips: The line of each record: base64, or nothing.
    """

    title: str
    facts: dict[str, Any]
    records: list[dict[str, Any]]
    strips: list[str]

    def strip(self, number: int) -> Image.Image:
        """Return the picture of a record's images."""
        return Image.open(io.BytesIO(base64.b64decode(self.strips[number])))

    def record(self, record_id: str) -> dict[str, Any]:
        """Return the record of an id."""
        (found,) = [record for record in self.records if record["id"] == record_id]
        return found


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[tuple[str, str]] = []
        self.title = ""
        self._open: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = tag
        if tag == "script":
            given = dict(attrs)
            self.blocks.append((given.get("id") or given.get("class") or "", ""))

    def handle_endtag(self, tag: str) -> None:
        self._open = None

    def handle_data(self, data: str) -> None:
        if self._open == "script":
            name, text = self.blocks[-1]
            self.blocks[-1] = name, text + data
        elif self._open == "title":
            self.title += data


def read_page(path: Path) -> Page:
    """Read a page; its blocks must pair up."""
    parser = _Parser()
    parser.feed(path.read_text(encoding="utf-8"))
    (facts,) = [json.loads(text) for name, text in parser.blocks if name == "facts"]
    blocks = [json.loads(text) for name, text in parser.blocks if name == "records"]
    strips = [text.split("\n") for name, text in parser.blocks if name == "strips"]
    assert [len(block) for block in blocks] == [len(block) for block in strips]
    assert all(len(block) == 100 for block in blocks[:-1])
    assert {name for name, _ in parser.blocks} <= {"", "facts", "records", "strips"}
    return Page(parser.title, facts, list(chain(*blocks)), list(chain(*strips)))
