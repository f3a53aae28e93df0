"""Records, and files of them with faults, for the tests of mending."""

from __future__ import annotations

import base64
import json
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    from phi3v_data.mend.mender import Mended

__all__ = [
    "BOM",
    "EXAMPLES",
    "add_images",
    "assert_nothing_is_lost",
    "content",
    "listed",
    "make_image",
    "record",
    "tree",
]

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


def content(reject: dict[str, Any], original: bytes = b"") -> bytes:
    """Return the line that was set apart; of one over the limit only its place in the original is told."""
    if "bytes" in reject:
        return original[reject["offset"] :][: reject["bytes"]]
    return reject["text"].encode() if "text" in reject else base64.b64decode(reject["base64"])


def assert_nothing_is_lost(source: Path, mended: Mended) -> None:
    """Account for every line of a file: it is in the copy as it was, or changed as listed, or in the rejects."""
    name = source.name
    changes = [one for one in listed(mended.changes_path) if one["file"] == name] if mended.changes_path else []
    rejects = [one for one in listed(mended.rejects_path) if one["file"] == name] if mended.rejects_path else []
    kept = _lines_of(mended.out_dir / name)
    kinds: dict[int, set[str]] = {}
    for one in changes:
        kinds.setdefault(one["line"], set()).add(one["kind"])
    apart = {one["line"]: one for one in rejects}
    assert not kinds.keys() & apart.keys()
    for number, line in enumerate(_lines_of(source), 1):
        if number in apart:
            assert content(apart[number], source.read_bytes()) == line
        elif "blank-line" in kinds.get(number, ()):
            assert not line.removeprefix(BOM).strip()
        else:
            _assert_said_alike(line, kept.pop(0), kinds.get(number, set()))
    assert not kept
    assert len(apart) == len(rejects)


def _assert_said_alike(line: bytes, left: bytes, kinds: set[str]) -> None:
    if kinds <= {"final-newline"}:
        assert left == line
        return
    value = json.loads(line.removeprefix(BOM))
    if "id-form" in kinds:
        value["id"] = unicodedata.normalize("NFC", value["id"])
    assert json.loads(left) == value
    assert left.startswith(b"{") and not left.endswith(b"\r")


def _lines_of(path: Path) -> list[bytes]:
    """Return the lines of a file, whatever they hold."""
    lines = path.read_bytes().split(b"\n")
    return lines if lines[-1] else lines[:-1]
