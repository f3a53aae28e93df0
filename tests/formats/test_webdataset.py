"""WebDataset shards: what is in them, and what is said of those that are damaged or were made otherwise."""

from __future__ import annotations

import json
import pickle
import tarfile
from typing import TYPE_CHECKING

import pytest

from phi3v_data import Dataset
from phi3v_data.errors import DataError
from phi3v_data.formats.tar import END, header, padding
from phi3v_data.formats.webdataset import TarFile, TarWriter
from phi3v_data.image_folder import UnsafePath
from phi3v_data.media.checks import MissingImage, UnreadableImage
from phi3v_data.reader import BadRecord, BadShard
from phi3v_data.validate import validate
from tests.converters.made_sources import picture
from tests.formats.shards import codes, line, pack
from tests.helpers import run_python

if TYPE_CHECKING:
    from pathlib import Path

CAT, DOG = picture(1, "JPEG"), picture(2, "PNG")
RECORDS = [
    (line("a", "x/cat.JPG", "dog.png"), [("x/cat.JPG", CAT), ("dog.png", DOG)]),
    (line("b"), []),
    (line("c", "noname"), [("noname", CAT)]),
]


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """Three records, the first of them with two images."""
    writer = TarWriter(tmp_path / "toy_train.tar", first=7)
    for data, images in RECORDS:
        writer.add(data, images)
    writer.close()
    return writer.path


def cut(path: Path, size: int) -> Path:
    path.write_bytes(path.read_bytes()[:size])
    return path


def test_the_files_of_a_record_stand_together(shard: Path) -> None:
    with tarfile.open(shard) as archive:
        found = [(member.name, file.read()) for member in archive if (file := archive.extractfile(member))]
    assert found == [
        ("000000007.json", RECORDS[0][0]),
        ("000000007.0.jpg", CAT),
        ("000000007.1.png", DOG),
        ("000000008.json", RECORDS[1][0]),
        ("000000009.json", RECORDS[2][0]),
        ("000000009.0.img", CAT),
    ]


@pytest.mark.parametrize("path", ["a.pkl", "a.pyd", "a.npy", "a.pth", "a.json", "a.b!", "a.", ".jpg"])
def test_no_image_gets_a_suffix_that_readers_of_shards_would_run(tmp_path: Path, path: str) -> None:
    """Such as a pickle, which the `webdataset` library decodes without being asked."""
    writer = TarWriter(tmp_path / "toy_train.tar")
    writer.add(line("a", path), [(path, CAT)])
    writer.close()
    with tarfile.open(writer.path) as archive:
        assert archive.getnames() == ["000000000.json", "000000000.0.img"]
    record, images = Dataset(writer.path).split("train").load(0)
    assert record.image_paths() == [path] and images.read(path) == CAT


def test_what_was_written_is_read_in_every_way(shard: Path) -> None:
    split = Dataset(shard).split("train")
    assert [sample.data for sample in split.samples()] == [split.raw(place) for place in range(3)]
    assert [split.raw(place) for place in range(3)] == [data for data, _ in RECORDS]
    assert [split.place(place) for place in range(3)] == [f"{shard}:{number}" for number in (1, 2, 3)]
    images = split.load(0)[1]
    assert (images.read("x/cat.JPG"), images.read("dog.png")) == (CAT, DOG)
    assert images.header("dog.png") == (40, 30, "PNG")
    with images.open("x/cat.JPG") as image:
        assert (image.size, image.format) == ((40, 30), "JPEG")
    assert pickle.loads(pickle.dumps(split))[2].id == "c"
    assert codes(shard) == {}


def test_an_image_that_the_record_does_not_name(shard: Path) -> None:
    _, images = Dataset(shard).split("train").load(0)
    with pytest.raises(MissingImage, match=r"^cat\.jpg is not in the shard, beside its record$"):
        images.read("cat.jpg")
    for path in ("../cat.jpg", "/etc/passwd", "x\\cat.jpg", "http://x/cat.jpg"):
        with pytest.raises(UnsafePath):
            images.read(path)


@pytest.mark.parametrize("path", ["../cat.jpg", "/cat.jpg", "x\\cat.jpg", "a//b.jpg", "data:image/png;base64,AA"])
def test_a_path_that_leaves_is_refused_though_the_image_is_there(tmp_path: Path, path: str) -> None:
    shard = pack(tmp_path / "toy_train.tar", [("0.json", line("a", path)), ("0.0.jpg", CAT)])
    _, images = Dataset(shard).split("train").load(0)
    with pytest.raises(UnsafePath):
        images.read(path)
    assert codes(shard) == {"E402": 1}


class TestSamples:
    def test_fewer_images_than_the_record_names(self, tmp_path: Path) -> None:
        shard = pack(tmp_path / "toy_train.tar", [("0.json", line("a", "a.jpg", "b.jpg")), ("0.0.jpg", CAT)])
        _, images = Dataset(shard).split("train").load(0)
        assert images.read("a.jpg") == CAT
        with pytest.raises(MissingImage, match=r"b\.jpg is not in the shard"):
            images.read("b.jpg")
        assert codes(shard) == {"E401": 1}

    def test_more_images_than_the_record_names(self, tmp_path: Path) -> None:
        """Which of them is the one that is named, nobody can tell."""
        members = [("0.json", line("a", "b.jpg")), ("0.0.jpg", CAT), ("0.1.png", DOG)]
        shard = pack(tmp_path / "toy_train.tar", members)
        _, images = Dataset(shard).split("train").load(0)
        with pytest.raises(UnreadableImage, match=r"^b\.jpg cannot be told from the others: the shard holds more"):
            images.read("b.jpg")
        assert codes(shard) == {"E408": 1}

    def test_an_image_named_twice_is_held_once(self, tmp_path: Path) -> None:
        turns = [{"images": ["a.jpg", "b.png", "a.jpg"], "user": "u", "assistant": "a"}]
        data = json.dumps({"id": "a", "source": "s", "conversations": turns}).encode()
        shard = pack(tmp_path / "toy_train.tar", [("0.json", data), ("0.0.jpg", CAT), ("0.1.png", DOG)])
        record, images = Dataset(shard).split("train").load(0)
        assert [images.read(path) for path in record.image_paths()] == [CAT, DOG, CAT]

    @pytest.mark.parametrize(
        "members",
        [
            [("0.json", line("a")), ("1.0.jpg", CAT)],
            [("README", b"Hello.")],
            [("0.txt", b"Hello."), ("1.json", line("a"))],
        ],
    )
    def test_a_sample_without_a_record(self, tmp_path: Path, members: list[tuple[str, bytes]]) -> None:
        shard = pack(tmp_path / "toy_train.tar", members)
        with pytest.raises(BadShard, match=r"with no record \(\.json\) after record \d: fetch or"):
            len(Dataset(shard).split("train"))
        assert codes(shard)["E109"] == 1

    def test_other_writers_sort_the_files_of_a_sample(self, tmp_path: Path) -> None:
        names = [f"{number}.jpg" for number in range(11)]
        files = sorted([(f"0.{name}", CAT if name == "2.jpg" else DOG) for name in names])  # 10 comes before 2
        shard = pack(tmp_path / "toy_train.tar", [*files, ("0.json", line("a", *names)), ("1.json", line("b"))])
        split = Dataset(shard).split("train")
        assert [record.id for record in split] == ["a", "b"] == [split[0].id, split[1].id]
        _, images = split.load(0)
        assert [images.read(name) == CAT for name in names] == [name == "2.jpg" for name in names]

    def test_files_of_one_name_are_images_of_their_own(self, tmp_path: Path) -> None:
        members = [("0.json", line("a", "a.jpg", "b.jpg")), ("0.0.jpg", CAT), ("0.0.jpg", DOG)]
        _, images = Dataset(pack(tmp_path / "toy_train.tar", members)).split("train").load(0)
        assert (images.read("a.jpg"), images.read("b.jpg")) == (CAT, DOG)

    def test_two_records_of_one_sample_are_not_taken_for_one(self, tmp_path: Path) -> None:
        shard = pack(tmp_path / "toy_train.tar", [("0.json", line("a")), ("0.json", line("b"))])
        with pytest.raises(BadShard, match="holds the sample '0' with 2 records"):
            list(Dataset(shard).split("train"))
        assert codes(shard)["E109"] == 1

    def test_samples_in_folders_are_told_apart(self, tmp_path: Path) -> None:
        members = [("x/0.json", line("a", "a.jpg")), ("x/0.0.jpg", CAT), ("y/0.json", line("b"))]
        assert [record.id for record in Dataset(pack(tmp_path / "t.tar", members)).split("t")] == ["a", "b"]

    @pytest.mark.parametrize(
        ("data", "code"),
        [(b"", "E101"), (b" \n", "E101"), (b"{", "E101"), (b"[]", "E202"), (b"\xff", "E102"), (b"[" * 5000, "E108")],
    )
    def test_a_record_that_is_none(self, tmp_path: Path, data: bytes, code: str) -> None:
        shard = pack(tmp_path / "toy_train.tar", [("0.json", line("a")), ("1.json", data), ("1.0.jpg", CAT)])
        split = Dataset(shard).split("train")
        for read in (lambda: list(split), lambda: split[1]):
            with pytest.raises(BadRecord, match=rf"^{shard}:2: "):
                read()
        assert split[0].id == "a"
        result = validate([shard])
        assert (result.counts, result.records) == ({code: 1}, 2)

    def test_a_record_over_the_limit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("phi3v_data.formats.webdataset.MAX_LINE", 1000)
        members = [("0.json", line("a", user="x" * 1000)), ("1.json", line("b"))]
        shard = pack(tmp_path / "toy_train.tar", members)
        split = Dataset(shard).split("train")
        assert split[1].id == "b"
        for read in (lambda: list(split), lambda: split[0], lambda: split.raw(0)):
            with pytest.raises(BadRecord, match=rf"^{shard}:1: the line is longer than"):
                read()
        assert codes(shard) == {"E105": 1}


class TestDamage:
    def test_cut_anywhere(self, shard: Path) -> None:
        """What came before the cut is read; that something is missing is never passed over."""
        data = shard.read_bytes()
        for size in (*range(0, len(data) - 512, 512), *range(1, len(data) - 512, 733)):
            shard.write_bytes(data[:size])
            with pytest.raises(BadShard, match=r"after record \d: fetch or make it again$"):
                list(Dataset(shard).split("train"))
            with pytest.raises(BadShard):
                len(Dataset(shard).split("train"))
            assert codes(shard)["E109"] == 1

    def test_the_records_before_the_damage_are_checked(self, tmp_path: Path) -> None:
        members = [("0.json", line("a")), ("1.json", line("a")), ("2.json", b"{"), ("3.json", line("d", "no.jpg"))]
        shard = pack(tmp_path / "toy_train.tar", members)
        with tarfile.open(shard) as archive:
            cut(shard, archive.getmember("3.json").offset_data + 600)
        assert codes(shard) == {"E109": 1, "E301": 1, "E101": 1}

    @pytest.mark.parametrize("name", ["0.jsonl", "0", "0.tar"])
    def test_a_shard_within_a_shard(self, tmp_path: Path, shard: Path, name: str) -> None:
        outer = pack(tmp_path / "outer.tar", [(name, shard.read_bytes())])
        assert codes(outer) == {"E109": 1}

    def test_a_shard_that_changed_since_it_was_opened(self, shard: Path) -> None:
        split = Dataset(shard).split("train")
        assert len(split) == 3
        cut(shard, 4096)
        with pytest.raises(DataError):
            split[2]
        with pytest.raises(DataError, match="has changed since its records were counted"):
            pickle.loads(pickle.dumps(split))[0]

    def test_a_shard_emptied_since_it_was_opened(self, shard: Path) -> None:
        file = TarFile(shard)
        (*_, last) = file.iter_keys()
        with shard.open("r+b") as stream:
            stream.write(bytes(shard.stat().st_size))
        with pytest.raises(BadShard, match="has changed since its records were counted"):
            file.sample(last)


_WRITE_TAR = """
import sys, webdataset
with webdataset.TarWriter(sys.argv[1]) as writer:
    writer.write({"__key__": "0001", "json": sys.argv[2].encode(), "png": open(sys.argv[3], "rb").read()})
    writer.write({"__key__": "0002", "json": sys.argv[4].encode()})
"""


def test_what_the_webdataset_library_writes_is_read(tmp_path: Path) -> None:
    """It puts the files of a sample in order of name, in which a record has to be the first."""
    pytest.importorskip("webdataset")
    path, cat = tmp_path / "toy_train.tar", tmp_path / "cat"
    cat.write_bytes(CAT)
    lines = (line("a", "cat.jpg"), line("b"))
    run_python("-c", _WRITE_TAR, path, lines[0].decode(), cat, lines[1].decode())
    first, second = Dataset(path).split("train").samples()
    assert first.images.read("cat.jpg") == CAT
    assert (first.data, second.data) == lines


def test_an_archive_may_be_large_without_being_read(tmp_path: Path) -> None:
    """A hole of four gigabytes costs nothing: members are found by their headers."""
    size = 4 << 30
    path = tmp_path / "toy_train.tar"
    with path.open("wb") as file:
        file.write(header("0.json", len(RECORDS[1][0])) + RECORDS[1][0] + padding(len(RECORDS[1][0])))
        file.write(header("0.0.jpg", size))
        file.seek(size, 1)
        file.write(header("1.json", 2) + b"{}" + padding(2) + END)
    assert len(Dataset(path).split("train")) == 2
