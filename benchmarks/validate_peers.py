"""What benchmarks/validate.py runs beside ours: other ways to check lines of JSON and images, and plain loops.

    python benchmarks/validate_peers.py baseline FILE.jsonl
    python benchmarks/validate_peers.py pillow-open FOLDER

Those that check lines go on after a bad one and print how many were sound; `datasets` and pyarrow stop at the first.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def baseline(path: Path) -> int:
    """Decode with `json`, check with the schema's model: what anyone would write first."""
    from phi3v_schemas import Record

    sound = 0
    with path.open("rb") as lines:
        for line in lines:
            try:
                Record.model_validate(json.loads(line))
            except ValueError:
                continue
            sound += 1
    return sound


def with_jsonlines(path: Path) -> int:
    """Read with jsonlines, check with the schema's model."""
    import jsonlines

    from phi3v_schemas import Record

    sound = 0
    with jsonlines.open(path) as reader:
        for value in reader.iter(skip_invalid=True):
            try:
                Record.model_validate(value)
            except ValueError:
                continue
            sound += 1
    return sound


def with_jsonschema(path: Path) -> int:
    """Decode with `json`, check with jsonschema against the JSON Schema of a record."""
    from jsonschema import Draft202012Validator

    from phi3v_schemas.jsonschema import json_schema

    return _count_sound(path, Draft202012Validator(json_schema("record")).is_valid)


def with_fastjsonschema(path: Path) -> int:
    """Decode with `json`, check with the code that fastjsonschema makes of the JSON Schema of a record."""
    import fastjsonschema  # type: ignore[import-not-found, import-untyped, unused-ignore]

    from phi3v_schemas.jsonschema import json_schema

    check = fastjsonschema.compile(json_schema("record"))

    def is_sound(value: Any) -> bool:
        try:
            check(value)
        except fastjsonschema.JsonSchemaException:
            return False
        return True

    return _count_sound(path, is_sound)


def _count_sound(path: Path, is_sound: Callable[[Any], bool]) -> int:
    sound = 0
    with path.open("rb") as lines:
        for line in lines:
            try:
                value = json.loads(line)
            except ValueError:
                continue
            sound += is_sound(value)
    return sound


def with_datasets(path: Path) -> int:
    """Load with `datasets`, which guesses the types of the fields and writes a copy."""
    import datasets

    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory(dir=path.parent) as cache:
        return int(datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=cache).num_rows)


def with_pyarrow(path: Path) -> int:
    """Read with pyarrow, which guesses the types of the fields and holds the whole table."""
    from pyarrow.json import read_json

    return int(read_json(path).num_rows)


def lines_alone(path: Path) -> int:
    """Read line by line."""
    with path.open("rb") as lines:
        return sum(1 for _ in lines)


def visit(folder: Path, look: Callable[[str], object]) -> int:
    """Apply a function to each file of a folder."""
    paths = sorted(entry.path for entry in os.scandir(folder))
    for path in paths:
        look(path)
    return len(paths)


def names(folder: Path) -> int:
    """List the images, which every loop below does too."""
    return visit(folder, len)


def stat(folder: Path) -> int:
    """Ask the system for each image."""
    return visit(folder, os.stat)


def read_ends(folder: Path) -> int:
    """Read 4 KB of each image's beginning and 64 bytes of its end."""

    def look(path: str) -> None:
        with open(path, "rb") as file:  # noqa: PTH123 -- Path would take longer than the reading
            file.read(4096)
            file.seek(-64, os.SEEK_END)
            file.read(64)

    return visit(folder, look)


def pillow_names(folder: Path) -> int:
    """List the images, with Pillow imported."""
    from PIL import Image

    Image.preinit()
    return names(folder)


def pillow_open(folder: Path) -> int:
    """Open each image with Pillow."""
    from PIL import Image

    return visit(folder, lambda path: Image.open(path).close())


def pillow_load(folder: Path) -> int:
    """Decode each image with Pillow."""
    from PIL import Image

    def look(path: str) -> None:
        with Image.open(path) as image:
            image.load()

    return visit(folder, look)


ACTIONS: dict[str, Callable[[Path], int]] = {
    "baseline": baseline,
    "jsonlines": with_jsonlines,
    "jsonschema": with_jsonschema,
    "fastjsonschema": with_fastjsonschema,
    "datasets": with_datasets,
    "pyarrow": with_pyarrow,
    "lines": lines_alone,
    "names": names,
    "stat": stat,
    "read-ends": read_ends,
    "pillow-names": pillow_names,
    "pillow-open": pillow_open,
    "pillow-load": pillow_load,
}


if __name__ == "__main__":
    print(ACTIONS[sys.argv[1]](Path(sys.argv[2])))
