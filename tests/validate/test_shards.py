"""Shards through the validator: every record and image, where they stand, and what is wrong with the file itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from phi3v_data.validate import validate
from tests.converters.made_sources import picture
from tests.formats.shards import SHARDED, codes, line, pack, reshard, write_dataset
from tests.helpers import run

if TYPE_CHECKING:
    from phi3v_data.formats.kinds import Format
    from phi3v_data.validate.images import ImageLevel

CAT = picture(1, "JPEG")


def places(*paths: Path | str) -> list[tuple[str, int | None, str, str]]:
    """Return file, number, pointer and code of every finding."""
    found = validate(paths).findings
    return [(Path(finding.file).name, finding.line, finding.pointer, finding.code) for finding in found]


def test_findings_say_where(tmp_path: Path) -> None:
    members = [
        ("0.json", line("a", "cat.jpg")),
        ("0.0.jpg", CAT),
        ("1.json", line("b", "cat.jpg", "dog.jpg")),
        ("1.0.jpg", CAT),
        ("1.1.jpg", b"GIF89a no image"),
        ("2.json", line("a", user="<|image_1|>")),
        ("3.json", b"{"),
        ("4.json", line("e", "../cat.jpg")),
        ("4.0.jpg", CAT),
    ]
    assert places(pack(tmp_path / "toy_train.tar", members)) == [
        ("toy_train.tar", 2, "/conversations/0/images/1", "E404"),
        ("toy_train.tar", 3, "/conversations/0/user", "E701"),
        ("toy_train.tar", 4, "", "E101"),
        ("toy_train.tar", 5, "/conversations/0/images/0", "E402"),
        ("toy_train.tar", 3, "/id", "E301"),
    ]


@pytest.mark.parametrize(("level", "found"), [("none", {}), ("exists", {"E401": 1, "E403": 1}), ("header", None)])
def test_images_are_looked_at_as_closely_as_is_asked(
    tmp_path: Path, level: ImageLevel, found: dict[str, int] | None
) -> None:
    members = [("0.json", line("a", "a.jpg", "b.jpg", "c.jpg")), ("0.0.jpg", CAT[:-5]), ("0.1.jpg", b"")]
    shard = pack(tmp_path / "toy_train.tar", members)
    expected = {"E401": 1, "E403": 1, "E405": 1} if found is None else found
    assert dict(validate([shard], images=level).counts) == expected


@pytest.mark.parametrize("output", SHARDED)
def test_ids_of_all_shards_of_a_dataset_differ(tmp_path: Path, output: Format) -> None:
    data = write_dataset(
        tmp_path / "data", {"train": [line(name, user=f"{name}?") for name in "abcba"], "val": [line("c", user="c?")]}
    )
    reshard(data, tmp_path / "out", output, shard_records=2)
    (tmp_path / "out/manifest.json").unlink()
    suffix = {"webdataset": "tar", "parquet": "parquet"}[output]
    expected = [
        (f"toy_train-00001-of-00003.{suffix}", 2, "/id", "E301"),
        (f"toy_train-00002-of-00003.{suffix}", 1, "/id", "E301"),
        (f"toy_val-00000-of-00001.{suffix}", 1, "/id", "E301"),
    ]
    assert places(tmp_path / "out") == [("manifest.json", None, "", "W607"), *expected]
    assert places(str(tmp_path / "out" / f"*.{suffix}")) == expected


@pytest.mark.parametrize("output", SHARDED)
def test_damage_after_duplicates(tmp_path: Path, output: Format) -> None:
    """Whoever looks for duplicates reads the file again, and meets the damage again."""
    data = write_dataset(tmp_path / "data", {"train": [line(name, user=name * 900) for name in "aabcde"]})
    reshard(data, tmp_path / "out", output)
    (path,) = (tmp_path / "out").glob("toy_train*")
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"cccc") + 9] if output == "webdataset" else content[:-9])
    expected = {"E109": 1, "E301": 1} if output == "webdataset" else {"E109": 1}
    assert codes(path) == expected
    assert codes(tmp_path / "out") == {"E602": 1, **expected}


def test_a_missing_and_an_extra_shard(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", {"train": [line(name, user=f"{name}?") for name in "abc"]})
    reshard(data, tmp_path / "out", "webdataset", shard_records=1)
    first, second, third = sorted((tmp_path / "out").glob("*.tar"))
    third.rename(third.with_name("toy_val.tar"))
    assert codes(tmp_path / "out") == {"E604": 1, "W605": 1}
    (tmp_path / "out/manifest.json").unlink()
    assert codes(tmp_path / "out") == {"E604": 1, "W607": 1}
    assert codes(first, second) == {}


def test_one_kind_of_file_is_the_dataset(tmp_path: Path) -> None:
    """The shards that were made of a dataset may lie beside it, and are another one."""
    data = write_dataset(tmp_path / "data", {"train": [line("a")]})
    reshard(data, tmp_path / "out", "webdataset")
    (shard,) = (tmp_path / "out").glob("*.tar")
    shard.rename(data / "toy_train.tar")
    assert codes(data) == {"W607": 1} and validate([data]).records == 1


@pytest.mark.parametrize("suffix", ["tar", "parquet"])
@pytest.mark.parametrize(
    "content", [b"", b"no shard", bytes(2000), b"\x1f\x8b" + bytes(600), b"PAR1" + bytes(600) + b"PAR1"]
)
def test_something_else_called_a_shard(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"toy_train.{suffix}"
    path.write_bytes(content)
    found = codes(path)
    empty_archive = suffix == "tar" and content == bytes(2000)
    assert found == ({"W106": 1} if empty_archive else {"E109": 1})


def test_progress_reaches_the_size(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", {"train": [line(name) for name in "abc"]})
    reshard(data, tmp_path / "out", "parquet", shard_records=1)
    told: list[tuple[int, int | None]] = []
    validate([tmp_path / "out"], on_progress=lambda done, total: told.append((done, total)))
    size = sum(path.stat().st_size for path in (tmp_path / "out").glob("*.parquet"))
    assert told[-1] == (size, size) and len(told) == 3


def test_on_the_command_line(tmp_path: Path) -> None:
    shard = pack(tmp_path / "toy_train.tar", [("0.json", line("a", "cat.jpg"))])
    done = run("validate", shard, code=1)
    assert f"{shard}:1:/conversations/0/images/0: E401 the image 'cat.jpg' is not in the shard" in done.stdout
    shard.write_bytes(shard.read_bytes()[:600])
    assert f"{shard}: E109 the shard is cut short after record 0" in run("validate", shard, code=1).stdout
