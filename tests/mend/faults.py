"""Records, and files of them with faults, for the tests of mending."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

__all__ = ["BOM", "EXAMPLES", "add_images", "listed", "make_image", "record", "tree"]

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
BOM = b"\xef\xbb\xbf"


def record(number: int | str, **fields: Any) -> bytes:
    """Return a record as a line without its newline."""
    turns = [{"user": f"What is {number}?", "assistant": f"It is {number}."}]
    return json.dumps({"id": str(number), "source": "s", "conversations": turns, **fields}, ensure_ascii=False).encode()


def add_images(line: bytes, *paths: str) -> bytes:
    """Return a record whose turn has images."""
    value = json.loads(line)
    value["conversations"][0]["images"] = list(paths)
    return json.dumps(value, ensure_ascii=False).encode()


def make_image(path: Path, colour: int = 0) -> Path:
    """Write an image of noise that differs by colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", (32, 32), (colour % 256, 40, 90))
    picture.paste((200, colour % 200, 10), (4, 4, 20, 12))
    picture.save(path)
    return path


def listed(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a file of JSON lines."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return every file below a folder, with its content and the time it was last changed."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
