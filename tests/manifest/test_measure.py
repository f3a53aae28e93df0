"""What is measured of a JSONL file, above all that an image counts once wherever it is named."""

from __future__ import annotations

import hashlib
import json
import random
from typing import TYPE_CHECKING

import pytest

from phi3v_data.errors import DataError
from phi3v_data.formats.kinds import open_writer
from phi3v_data.image_folder import UnsafePath
from phi3v_data.manifest.measure import measure_file
from tests.formats.shards import SHARDED, pack

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.formats.kinds import Format


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


class TestShards:
    @pytest.mark.parametrize("output", SHARDED)
    def test_an_image_counts_once_for_each_record_that_holds_it(self, tmp_path: Path, output: Format) -> None:
        writer = open_writer(output, tmp_path / "shard", first=0)
        turns = [{"images": ["a.jpg", "b.jpg"], "user": "u", "assistant": "a"}, {"images": ["a.jpg"], "user": "v"}]
        data = json.dumps({"id": "a", "source": "s", "conversations": turns}).encode()
        for _ in range(3):
            writer.add(data, [("a.jpg", bytes(10)), ("b.jpg", bytes(100))])
        digest = writer.close()
        path = writer.path.rename(tmp_path / f"shard{writer.suffix}")
        found = measure_file(path, tmp_path)
        assert found == (3, 6, 330, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        assert (writer.records, writer.images, writer.image_bytes, writer.size, digest) == found
        assert measure_file(path, None) == found._replace(image_bytes=None)

    def test_what_cannot_be_measured(self, tmp_path: Path) -> None:
        path = pack(tmp_path / "a.tar", [("0.json", line("../a.jpg")[:-1]), ("0.0.jpg", b"x")])
        assert measure_file(path, None).images == 1
        with pytest.raises(UnsafePath):
            measure_file(path, tmp_path)
        with pytest.raises(DataError, match=r"a\.jpg is not in the shard"):
            measure_file(pack(path, [("0.json", line("a.jpg")[:-1])]), tmp_path)
        with pytest.raises(DataError, match=r"a\.tar:1: "):
            measure_file(pack(path, [("0.json", b"{}")]), None)
        path.write_bytes(path.read_bytes()[:700])
        with pytest.raises(DataError, match=r"a\.tar is cut short after record 0"):
            measure_file(path, None)
