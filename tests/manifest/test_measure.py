"""What is measured of a JSONL file, above all that an image counts once wherever it is named."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest

from phi3v_data.errors import DataError
from phi3v_data.manifest.measure import measure_file

if TYPE_CHECKING:
    from pathlib import Path


def line(*images: str) -> bytes:
    turn = {"images": list(images), "user": "u", "assistant": "a"}
    return json.dumps({"id": "a", "source": "s", "conversations": [turn]}).encode() + b"\n"


@pytest.mark.parametrize("block", [1, 2, 7, 1 << 20])
def test_an_image_counts_once(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phi3v_data.manifest.measure._BLOCK", block)
    sizes = {f"{number}.jpg": 10**number for number in range(1, 6)}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(bytes(size))
    named = random.Random(0).choices(list(sizes), k=40)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(line(*named[start : start + 3]) for start in range(0, 40, 3)))
    found = measure_file(path, tmp_path)
    assert (found.records, found.images, found.image_bytes) == (14, 5, 111_110)
    assert measure_file(path, None)[:3] == (14, 5, None)


def test_what_is_no_record_and_no_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n" + line() + b"{}\n")
    with pytest.raises(DataError, match=r"a\.jsonl:3: "):
        measure_file(path, None)
    path.write_bytes(line("nowhere.jpg"))
    with pytest.raises(DataError, match=r"nowhere\.jpg does not exist"):
        measure_file(path, tmp_path)
