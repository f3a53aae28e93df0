"""The page without its data: a template, its style and its script, as they come with the package."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from pathlib import Path

__all__ = ["fill_template"]

_FOLDER = Path(__file__).with_name("page")
_PARTS = (  # of the script, in order
    "facts",
    "helpers",
    "blocks",
    "search",
    "state",
    "filtering",
    "sheet",
    "beginnings",
    "cards",
    "figures",
    "filters",
    "detail",
    "start",
)
_MARK = re.compile(r"\{\{(\w+)\}\}")


def fill_template(title: str) -> tuple[bytes, bytes]:
    """Return what stands before the data of a page, and what stands behind.

    Args:
        title: The page's title.
    """
    style, script = _read("style.css"), _script()
    values = {
        "title": html.escape(title),
        "style": style,
        "style_hash": _hash_of(style),
        "script": script,
        "script_hash": _hash_of(script),
    }
    before, after = (_MARK.sub(lambda mark: values[mark[1]], part) for part in _read("page.html").split("{{data}}"))
    return before.encode(), after.encode()


def _script() -> str:
    """Return one script of all parts, whose names are known to each other and to nobody else."""
    parts = "\n".join(_read(f"script/{name}.js") for name in _PARTS)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


def _read(name: str) -> str:
    """Read a part of the page; a browser hashes what it parsed, whose lines end in a newline alone."""
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash_of(text: str) -> str:
    """Return what a Content-Security-Policy allows a text by (SHA-256, base64)."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
