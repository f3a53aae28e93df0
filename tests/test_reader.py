"""Reading back: splits by iteration and by index, in several processes, images, and the manifest."""

from __future__ import annotations

import io
import json
import multiprocessing
import pickle
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phi3v_data import Dataset
from phi3v_data.errors import CannotRun, DataError, Phi3VError
from phi3v_data.image_folder import UnsafePath
from phi3v_data.layout import missing_shards, parse_name
from phi3v_data.lines import read_lines
from phi3v_data.media.checks import MissingImage, NotAnImage
from phi3v_data.reader import BadRecord, Split
from tests.formats.shards import pack

if TYPE_CHECKING:
    from phi3v_schemas import Record

EXAMPLES = Path(__file__).parents[1] / "schemas" / "examples"


def line(record_id: str, user: str = "u") -> bytes:
    return json.dumps({"id": record_id, "source": "s", "conversations": [{"user": user}]}).encode() + b"\n"


def ids(records: Split | list[Record]) -> list[str]:
    return [record.id for record in records]


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A sharded dataset whose records differ in length, with blank lines, CRLF and no final newline."""
    for shard in range(3):
        with (tmp_path / f"toy_train-{shard:05d}-of-00003.jsonl").open("wb") as file:
            for number in range(200):
                file.write(line(f"{shard}-{number}", "u" * (number * 7 % 900 + 1)))
                if number % 50 == 3:
                    file.write(b"\n \r\n")
    (tmp_path / "toy_val.jsonl").write_bytes(line("v0").replace(b"\n", b"\r\n") + line("v1").strip())
    return tmp_path


def test_a_dataset_folder() -> None:
    dataset = Dataset(EXAMPLES / "valid" / "dataset")
    assert dataset.splits == ["train", "val"]
    assert [path.name for path in dataset.files("train")] == ["toy_train.jsonl"]
    [record] = dataset.split("train")
    assert record.image_paths() == ["cat.jpg"]
    with dataset.open_image("cat.jpg") as image:
        assert image.size == (16, 12)
        assert image.convert("RGB").getpixel((0, 0)) != (0, 0, 0)
    assert dataset.image_path("cat.jpg").is_file()
    assert dataset.check_manifest() == []


def test_one_file_is_a_dataset_of_one_split() -> None:
    path = EXAMPLES / "valid" / "dataset" / "toy_val.jsonl"
    dataset = Dataset(path)
    assert dataset.splits == ["val"]
    assert dataset.files("val") == [path]
    assert Dataset(str(path), split="test").splits == ["test"]
    assert Dataset(EXAMPLES / "valid" / "minimal.jsonl").splits == ["minimal"]
    assert dataset.check_manifest() == []
    with dataset.open_image("cat.jpg") as image:
        assert image.format == "JPEG"
    assert Dataset(path, images_dir=path.parent / "images").image_path("cat.jpg").is_file()


def test_shards_are_one_split_in_order(many: Path) -> None:
    dataset = Dataset(many)
    assert dataset.splits == ["train", "val"]
    train = dataset.split("train")
    expected = [f"{shard}-{number}" for shard in range(3) for number in range(200)]
    assert len(train) == 600
    assert ids(train) == expected
    assert [train[position].id for position in range(600)] == expected
    assert [train[position].id for position in (-1, -600, 199, 200)] == ["2-199", "0-0", "0-199", "1-0"]
    assert list(train) == [train[position] for position in range(len(train))]
    assert Dataset(many, split="val").splits == ["val"]


def test_raw_bytes_are_those_of_the_file(many: Path) -> None:
    val = Dataset(many).split("val")
    assert val.raw(0) == line("v0").strip() + b"\r"
    assert val.raw(-1) == line("v1").strip()
    train = Dataset(many).split("train")
    assert [train.raw(position) + b"\n" for position in (3, 4)] == [
        line("0-3", "u" * 22),
        line("0-4", "u" * 29),
    ]


@pytest.mark.parametrize("position", [600, -601, 10**9])
def test_positions_out_of_range(many: Path, position: int) -> None:
    with pytest.raises(IndexError, match=f"record {position} of 600"):
        Dataset(many).split("train")[position]


def test_positions_that_are_no_numbers(many: Path) -> None:
    with pytest.raises(TypeError):
        Dataset(many).split("train")["0"]  # type: ignore[index]


def test_an_empty_file_holds_no_records(tmp_path: Path) -> None:
    path = tmp_path / "toy_train.jsonl"
    path.write_bytes(b"\n")
    split = Dataset(path).split("train")
    assert len(split) == 0
    assert list(split) == []


def test_a_bad_record_names_file_line_place_and_fault(tmp_path: Path) -> None:
    path = tmp_path / "toy_train.jsonl"
    path.write_bytes(line("a") + b"\n\n" + line("b", "") + b'{"id": \n')
    split = Dataset(path).split("train")
    expected = f"{path}:4: /conversations/0/user: 'user' is empty"
    with pytest.raises(BadRecord) as caught:
        list(split)
    assert str(caught.value) == expected
    assert split[0].id == "a"
    with pytest.raises(BadRecord) as caught:
        split[1]
    assert str(caught.value) == expected
    with pytest.raises(BadRecord, match=r":5: not valid JSON: .* at column"):
        split[2]
    assert isinstance(caught.value, Phi3VError)


def test_a_line_over_the_limit_is_refused_both_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("jsonl", "record_file"):
        monkeypatch.setattr(f"phi3v_data.formats.{module}.MAX_LINE", 100)
    path = tmp_path / "toy_train.jsonl"
    path.write_bytes(line("a", "x" * 200) + line("b"))
    split = Dataset(path).split("train")
    assert split[1].id == "b"
    with pytest.raises(BadRecord, match=":1: the line is longer than 100 bytes"):
        split[0]
    with pytest.raises(BadRecord, match=":1: the line is longer than 100 bytes"):
        list(split)


def test_a_file_that_changed_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "toy_train.jsonl"
    path.write_bytes(line("a"))
    split = Dataset(path).split("train")
    assert len(split) == 1
    path.write_bytes(line("a") + line("b"))
    with pytest.raises(DataError, match="has changed since"):
        split[0]


def test_a_split_can_be_pickled_before_and_after_use(many: Path) -> None:
    split = Dataset(many).split("train")
    assert pickle.loads(pickle.dumps(split))[5].id == "0-5"
    assert split[5].id == "0-5"
    again = pickle.loads(pickle.dumps(split))
    assert len(again) == 600
    assert again[-1].id == "2-199"


def test_a_dataset_can_be_pickled(many: Path) -> None:
    dataset = Dataset(many)
    assert dataset.splits == ["train", "val"]
    assert pickle.loads(pickle.dumps(dataset)).splits == ["train", "val"]


def _read_all(split: Split, order: int) -> list[str]:
    return [split[position].id for position in range(len(split))[::order]]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_read_without_disturbing_each_other(many: Path, method: str) -> None:
    split = Dataset(many).split("train")
    assert split[0].id == "0-0"  # the file is open before the workers start
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        forward, backward = pool.starmap(_read_all, [(split, 1), (split, -1)])
    assert forward == backward[::-1] == ids(split)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match="there is no dataset at"):
        Dataset(tmp_path / "none")
    with pytest.raises(CannotRun, match="holds no JSONL file"):
        _ = Dataset(tmp_path).splits
    (tmp_path / "toy_train.jsonl").write_bytes(line("a"))
    with pytest.raises(DataError, match="no split 'val'; it has train"):
        Dataset(tmp_path).split("val")
    with pytest.raises(DataError, match="no split 'val'; it has train"):
        _ = Dataset(tmp_path, split="val").splits
    (tmp_path / "toy_val-00001-of-00003.jsonl").write_bytes(line("a"))
    with pytest.raises(DataError, match=r"lacks toy_val-00000-of-00003.jsonl, toy_val-00002-of-00003.jsonl"):
        Dataset(tmp_path).split("val")


def test_images_are_opened_safely_and_faults_named(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    shutil.copytree(EXAMPLES / "valid" / "dataset", folder)
    dataset = Dataset(folder)
    with pytest.raises(UnsafePath, match="leaves the folder"):
        dataset.open_image("../manifest.json")
    (folder / "images" / "out").symlink_to(tmp_path)
    with pytest.raises(UnsafePath, match="leaves the folder through a link"):
        dataset.image_path("out/x.jpg")
    with pytest.raises(MissingImage, match=r"none\.jpg does not exist"):
        dataset.open_image("none.jpg")
    (folder / "images" / "text.jpg").write_text("text")
    with pytest.raises(NotAnImage, match=r"text\.jpg is text"):
        dataset.open_image("text.jpg")


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("E601-manifest-unreadable", ["E601"]),
        ("E602-checksum-differs", ["E602"]),
        ("E603-record-count-differs", ["E603"]),
        ("E604-file-missing", ["E604"]),
        ("W605-extra-file", ["W605"]),
        ("E606-schema-newer", ["E606"]),
        ("W607-no-manifest", ["W607"]),
    ],
)
def test_check_manifest_says_what_validate_says(name: str, codes: list[str]) -> None:
    from phi3v_data.validate import validate

    folder = EXAMPLES / "invalid" / name
    found = Dataset(folder).check_manifest()
    assert [finding.code for finding in found] == codes
    assert found == list(validate([folder]).findings)


@pytest.mark.parametrize("name", ["E601-manifest-unreadable", "E606-schema-newer"])
def test_an_unusable_manifest_is_not_passed_over(name: str) -> None:
    with pytest.raises(DataError, match=r"manifest\.json"):
        _ = Dataset(EXAMPLES / "invalid" / name).splits


def test_a_manifest_may_not_name_files_outside(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    shutil.copytree(EXAMPLES / "valid" / "dataset", folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][0]["path"] = "../toy_train.jsonl"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert [finding.code for finding in Dataset(folder).check_manifest()] == ["E601"]


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("ucf101_train.jsonl", ("ucf101", "train", 0, 1)),
        ("my_own_set_val-00002-of-00008.jsonl", ("my_own_set", "val", 2, 8)),
        ("train.jsonl", ("", "train", 0, 1)),
        ("a_b-c.jsonl", ("a", "b-c", 0, 1)),
        ("odd.txt", ("", "odd", 0, 1)),
        ("a_b_train-00001-of-00002.tar", ("a_b", "train", 1, 2)),
        ("toy_test-unseen.parquet", ("toy", "test-unseen", 0, 1)),
        ("train.tar.gz", ("", "train.tar", 0, 1)),
    ],
)
def test_file_names(name: str, parsed: tuple[str, str, int, int]) -> None:
    assert parse_name(Path(name)) == parsed


def test_missing_shards() -> None:
    paths = [Path("a_t-00000-of-00003.jsonl"), Path("a_t-00002-of-00003.jsonl"), Path("a_v.jsonl")]
    assert missing_shards(paths) == ["a_t-00001-of-00003.jsonl"]
    assert missing_shards([Path("a_t-00001-of-00002.tar")]) == ["a_t-00000-of-00002.tar"]


class TestShards:
    """What differs from one format to another is tested with the formats."""

    @pytest.fixture
    def shards(self, tmp_path: Path) -> Path:
        """Two splits in three shards, without a manifest."""
        for name, number in (("toy_train-00000-of-00002", 0), ("toy_train-00001-of-00002", 1), ("toy_val", 2)):
            pack(tmp_path / f"{name}.tar", [(f"{number}.json", line(str(number)))])
        return tmp_path

    def test_a_folder(self, shards: Path) -> None:
        dataset = Dataset(shards)
        assert dataset.splits == ["train", "val"]
        train = dataset.split("train")
        assert ids(train) == [train[0].id, train[-1].id] == ["0", "1"]
        assert train.place(1) == f"{shards / 'toy_train-00001-of-00002.tar'}:1"
        assert Dataset(shards / "toy_val.tar").splits == ["val"]

    def test_a_missing_one(self, shards: Path) -> None:
        (shards / "toy_train-00000-of-00002.tar").unlink()
        with pytest.raises(DataError, match=r"lacks toy_train-00000-of-00002\.tar; make the dataset again"):
            Dataset(shards).split("val")

    def test_json_lines_beside_them_are_the_dataset(self, shards: Path) -> None:
        """Such as those of which the shards were made."""
        (shards / "toy_train.jsonl").write_bytes(line("of lines"))
        assert Dataset(shards).splits == ["train"]
        assert ids(Dataset(shards).split("train")) == ["of lines"]

    def test_their_images_are_not_in_a_folder(self, shards: Path) -> None:
        with pytest.raises(MissingImage, match=r"images/cat\.jpg does not exist"):
            Dataset(shards).open_image("cat.jpg")

    def test_examples(self) -> None:
        first, second = (
            Dataset(EXAMPLES / "valid" / f"shard.{suffix}").split("shard") for suffix in ("tar", "parquet")
        )
        assert list(first) == list(second)
        for split in (first, second):
            record, images = split.load(0)
            with images.open(record.image_paths()[0]) as image:
                assert image.size == (16, 12)


@given(st.binary(max_size=300).map(lambda data: data.replace(b"\x00", b"\n")), st.integers(0, 20))
def test_lines_add_up_to_the_file(data: bytes, limit: int) -> None:
    lines = list(read_lines(io.BytesIO(data), limit=limit))
    expected = data.split(b"\n")[: len(lines)]
    assert [line.data for line in lines] == [text if len(text) <= limit else None for text in expected]
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
    assert all(data[line.offset :].startswith(text) for line, text in zip(lines, expected, strict=True))
    assert len(lines) == data.count(b"\n") + (not data.endswith(b"\n") and bool(data))


def test_lines_that_span_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phi3v_data.lines._CHUNK", 5)
    data = b"abc\n" + b"x" * 23 + b"\n\nlast one"
    assert [(found.offset, found.data) for found in read_lines(io.BytesIO(data), limit=10)] == [
        (0, b"abc"),
        (4, None),
        (28, b""),
        (29, b"last one"),
    ]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([b"\n", b" \r\n", line("a"), line("b", "uu"), line("c", "é" * 50)]), max_size=15))
def test_index_and_iteration_agree(tmp_path: Path, pieces: list[bytes]) -> None:
    path = tmp_path / "toy_train.jsonl"
    path.write_bytes(b"".join(pieces))
    split = Dataset(path).split("train")
    assert [split[position] for position in range(len(split))] == list(split)
    assert len(split) == sum(piece.strip() != b"" for piece in pieces)
