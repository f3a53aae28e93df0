"""Annotation files of raw data: where they are, JSON lines one by one, JSON as a whole; nothing is trusted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from phi3v_data.convert.converter import Reject
from phi3v_data.errors import UsageError
from phi3v_data.lines import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["bases", "read_json", "read_json_lines"]

_ENCODING = "utf-8-sig"  # with a byte order mark or without
_DEEPEST = 4


def bases(root: Path) -> list[str]:
    """Return where a release may lie below a folder, the likeliest first, each "" or a path with a final '/'.

    That is the folder itself, or the single folder that an archive often wraps around everything; files beside it, such
    as a README, do not matter.
    """
    found = [""]
    for _ in range(_DEEPEST):
        inside = (path for path in (root / found[-1]).iterdir() if path.is_dir())
        folders = [path.name for path in inside if not path.name.startswith((".", "__MACOSX"))]
        if len(folders) != 1:
            break
        found.append(f"{found[-1]}{folders[0]}/")
    return found


def read_json(path: Path) -> Any:
    """Return a JSON document.

    Raises:
        UsageError: The file is not JSON.
    """
    try:
        return json.loads(path.read_text(_ENCODING))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON ({_reason(error)}): is the download complete?") from error


def read_json_lines(path: Path, shown: str, split: str | None = None) -> Iterator[tuple[str, dict[str, Any]] | Reject]:
    """Yield the objects of a file of JSON lines, each with its place, such as "dev.json:17"; blank lines are no rows.

    Args:
        path: The file.
        shown: What to call it in places.
        split: The split that its rejects belong to.

    Yields:
        A place and an object; for a line that is none, a reject with the code `invalid_json`.
    """
    with path.open("rb") as file:
        for line in read_lines(file):
            place = f"{shown}:{line.number}"
            if line.is_blank:
                continue
            try:
                value = _parse(line.data)
            except (ValueError, RecursionError) as error:
                message = f"the line is no JSON object: {_reason(error)}"
                yield Reject(source=place, split=split, code="invalid_json", message=message)
            else:
                yield place, value


def _parse(data: bytes | None) -> dict[str, Any]:
    if data is None:
        raise ValueError("it is too long")
    value = json.loads(data.decode(_ENCODING))
    if not isinstance(value, dict):
        raise ValueError(f"it holds a {type(value).__name__}")
    return value


def _reason(error: Exception) -> str:
    return "it is nested too deep" if isinstance(error, RecursionError) else str(error)
