"""Parquet shards: what is in them, and what is said of those that are damaged or were made otherwise."""

from __future__ import annotations

import json
import pickle
import random
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from phi3v_data import Dataset
from phi3v_data.errors import DataError
from phi3v_data.formats.parquet import ParquetWriter
from phi3v_data.image_folder import UnsafePath
from phi3v_data.media.checks import BadImage, MissingImage
from phi3v_data.reader import BadRecord, BadShard
from tests.converters.made_sources import picture
from tests.formats.shards import codes, line

if TYPE_CHECKING:
    from pathlib import Path

CAT, DOG = picture(1, "JPEG"), picture(2, "PNG")
METADATA = {
    "null": None,
    "big": 123456789012345678901234567890,
    "small": 1e-7,
    "whole": 1.0,
    "nested": [{"é": [[], {}, "\u2028", "\x7f"]}],
    "empty": "",
}
RECORDS = [
    (line("a", "x/cat.JPG", "dog.png", metadata=METADATA), [("x/cat.JPG", CAT), ("dog.png", DOG)]),
    (line("b", group="g", system="Be brief."), []),
    (line("c", "noname", answer=None, metadata={}), [("noname", CAT)]),
]
TURN = {"images": ["a.jpg"], "user": "u", "assistant": "a", "answers": None}
ROW = {
    "id": "a",
    "source": "s",
    "group": None,
    "system": None,
    "conversations": [TURN],
    "metadata": None,
    "images": [{"bytes": CAT, "path": "a.jpg"}],
}


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """Three records, the first of them with two images."""
    return write(tmp_path / "toy_train.parquet", RECORDS)


def write(path: Path, records: list[tuple[bytes, list[tuple[str, bytes]]]]) -> Path:
    writer = ParquetWriter(path)
    for data, images in records:
        writer.add(data, images)
    writer.close()
    return path


def table(path: Path, *rows: dict[str, Any], **columns: Any) -> Path:
    """Write rows as anyone might, with the types that pyarrow finds in them, or that the columns are given."""
    found = pa.Table.from_pylist([{**ROW, **row} for row in rows])
    for name, values in columns.items():
        found = found.set_column(found.column_names.index(name), name, values)
    pq.write_table(found, path)
    return path


def test_the_columns_are_those_of_a_record(shard: Path) -> None:
    found = pq.read_table(shard)
    assert found.column_names == ["id", "source", "group", "system", "conversations", "metadata", "images"]
    first, second, third = found.to_pylist()
    assert first["images"] == [{"bytes": CAT, "path": "x/cat.JPG"}, {"bytes": DOG, "path": "dog.png"}]
    assert json.loads(first["metadata"]) == METADATA
    assert (second["images"], second["group"], second["system"]) == ([], "g", "Be brief.")
    assert (second["metadata"], third["metadata"]) == (None, "{}")
    features = json.loads(found.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["images"] == [{"_type": "Image"}]


def test_what_was_written_is_read_in_every_way(shard: Path) -> None:
    split = Dataset(shard).split("train")
    assert [sample.data for sample in split.samples()] == [data for data, _ in RECORDS]
    for _ in range(2):  # the second time from what is held in memory
        assert [split.raw(place) for place in (2, 1, 0, 0)] == [RECORDS[place][0] for place in (2, 1, 0, 0)]
    assert [split.place(place) for place in range(3)] == [f"{shard}:{number}" for number in (1, 2, 3)]
    images = split.load(0)[1]
    assert (images.read("x/cat.JPG"), images.read("dog.png")) == (CAT, DOG)
    assert images.header("dog.png") == (40, 30, "PNG")
    assert pickle.loads(pickle.dumps(split))[2].id == "c"
    assert codes(shard) == {}


def test_row_groups_are_joined_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phi3v_data.formats.row_writer._GROUP_ROWS", 3)
    records = [(line(f"{number}", "cat.jpg"), [("cat.jpg", CAT + bytes([number]))]) for number in range(8)]
    path = write(tmp_path / "toy_train.parquet", records)
    assert pq.ParquetFile(path).num_row_groups == 3
    split = Dataset(path).split("train")
    order = random.Random(0).sample(range(8), 8)
    assert [split[place].id for place in order] == [str(place) for place in order]
    assert [split.load(place)[1].read("cat.jpg")[-1] for place in order] == order
    assert [sample.images.read("cat.jpg")[-1] for sample in split.samples()] == list(range(8))


def test_numbers_that_json_has_not_become_null(tmp_path: Path) -> None:
    data = b'{"id":"a","source":"s","conversations":[{"user":"u"}],"metadata":{"x":NaN,"y":[1e999]}}'
    path = write(tmp_path / "toy_train.parquet", [(data, [])])
    assert Dataset(path).split("train")[0].metadata == {"x": None, "y": [None]}
    assert b'"metadata":{"x":null,"y":[null]}' in Dataset(path).split("train").raw(0)


class TestMadeByOthers:
    def test_columns_that_may_be_absent(self, tmp_path: Path) -> None:
        row = {name: ROW[name] for name in ("id", "source", "conversations", "images")}
        pq.write_table(pa.Table.from_pylist([row]), path := tmp_path / "toy_train.parquet")
        record, images = Dataset(path).split("train").load(0)
        assert record.id == "a" and images.read("a.jpg") == CAT
        assert codes(path) == {}

    @pytest.mark.parametrize("name", ["id", "source", "conversations", "images"])
    def test_columns_that_may_not(self, tmp_path: Path, name: str) -> None:
        row = {key: value for key, value in ROW.items() if key != name}
        pq.write_table(pa.Table.from_pylist([row]), path := tmp_path / "toy_train.parquet")
        with pytest.raises(BadShard, match=f"has no column '{name}', so it holds no records: fetch or"):
            Dataset(path).split("train")[0]
        assert codes(path) == {"E109": 1}

    def test_other_columns_are_passed_over(self, tmp_path: Path) -> None:
        path = table(tmp_path / "toy_train.parquet", {"more": 1})
        assert Dataset(path).split("train")[0].id == "a"
        assert codes(path) == {}

    @pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
    def test_other_kinds_of_text_columns(self, tmp_path: Path, kind: pa.DataType) -> None:
        path = table(tmp_path / "toy_train.parquet", {}, id=pa.array(["a"]).cast(kind))
        assert Dataset(path).split("train")[0].id == "a"

    @pytest.mark.parametrize(
        ("row", "says"),
        [
            ({"id": 17}, "'id' of int64, where string is expected"),
            ({"id": b"a"}, "'id' of binary"),
            ({"conversations": "u"}, "'conversations' of string, where list"),
            ({"conversations": ["u"]}, "'conversations' of list"),
            ({"conversations": TURN}, "'conversations' of struct"),
            ({"conversations": [{**TURN, "images": "a.jpg"}]}, "'conversations' of list"),
            ({"conversations": [{**TURN, "images": [7]}]}, "'conversations' of list"),
            ({"metadata": 7}, "'metadata' of int64"),
            ({"metadata": {"x": 1}}, "'metadata' of struct"),
            ({"images": ["a.jpg"]}, "'images' of list"),
            ({"images": 7}, "'images' of int64"),
            ({"images": [{"bytes": "text", "path": "a.jpg"}]}, "'images' of list"),
        ],
    )
    def test_columns_of_other_types(self, tmp_path: Path, row: dict[str, Any], says: str) -> None:
        path = table(tmp_path / "toy_train.parquet", row)
        with pytest.raises(BadShard, match=rf"^{path} has a column {says}"):
            Dataset(path).split("train")[0]
        assert codes(path) == {"E109": 1}

    @pytest.mark.parametrize(
        ("row", "code"),
        [
            ({"id": None}, "E201"),
            ({"conversations": None}, "E201"),
            ({"conversations": [None]}, "E202"),
            ({"conversations": []}, "E204"),
            ({"conversations": [{**TURN, "images": [None]}]}, "E202"),
            ({"conversations": [{**TURN, "more": "x"}]}, "E203"),
            ({"metadata": "{no JSON"}, "E202"),
            ({"metadata": '{}, "id": "another"'}, "E202"),
            ({"metadata": "[]"}, "E202"),
            ({"metadata": "[" * 5000}, "E202"),
        ],
    )
    def test_a_row_that_is_no_record(self, tmp_path: Path, row: dict[str, Any], code: str) -> None:
        path = table(tmp_path / "toy_train.parquet", row)
        split = Dataset(path).split("train")
        for read in (lambda: list(split), lambda: split[0]):
            with pytest.raises(BadRecord, match=rf"^{path}:1: "):
                read()
        assert codes(path) == {code: 1}

    @pytest.mark.parametrize(
        ("images", "code"),
        [
            (None, "E401"),
            ([], "E401"),
            ([None], "E401"),
            ([{"bytes": None, "path": "a.jpg"}], "E401"),
            ([{"path": "a.jpg"}], "E401"),
            ([{"bytes": b"", "path": "a.jpg"}], "E403"),
            ([{"bytes": b"no image", "path": "a.jpg"}], "E404"),
            ([{"bytes": CAT[:-9], "path": "a.jpg"}], "E405"),
            ([{"bytes": CAT}, {"bytes": DOG}], "E408"),
        ],
    )
    def test_an_image_that_is_none(self, tmp_path: Path, images: Any, code: str) -> None:
        path = table(tmp_path / "toy_train.parquet", {"images": images})
        assert codes(path) == {code: 1}
        record, held = Dataset(path).split("train").load(0)
        with pytest.raises(BadImage, match=r"^a\.jpg "):
            held.header(*record.image_paths())

    def test_a_path_that_leaves_is_refused_though_the_image_is_there(self, tmp_path: Path) -> None:
        path = table(tmp_path / "t.parquet", {"conversations": [{**TURN, "images": ["../a.jpg"]}]})
        assert codes(path) == {"E402": 1}
        with pytest.raises(UnsafePath):
            Dataset(path).split("t").load(0)[1].read("../a.jpg")

    def test_metadata_over_several_lines_is_one_line_of_json(self, tmp_path: Path) -> None:
        path = table(tmp_path / "t.parquet", {"metadata": '{\n  "x": 1\n}'})
        assert Dataset(path).split("t").raw(0).endswith(b'"metadata":{"x":1}}')

    def test_fewer_images_than_the_record_names(self, tmp_path: Path) -> None:
        turn = {**TURN, "images": ["a.jpg", "b.jpg"]}
        _, images = Dataset(table(tmp_path / "t.parquet", {"conversations": [turn]})).split("t").load(0)
        assert images.read("a.jpg") == CAT
        with pytest.raises(MissingImage, match=r"b\.jpg is not in the shard"):
            images.read("b.jpg")

    def test_no_row_at_all(self, tmp_path: Path) -> None:
        path = write(tmp_path / "toy_train.parquet", [])
        assert len(Dataset(path).split("train")) == 0
        assert codes(path) == {"W106": 1}

    def test_a_record_over_the_limit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("phi3v_data.formats.parquet.MAX_LINE", 1000)
        path = write(tmp_path / "toy_train.parquet", [(line("a", user="x" * 1000), []), (line("b"), [])])
        split = Dataset(path).split("train")
        assert split[1].id == "b"
        for read in (lambda: list(split), lambda: split[0], lambda: split.raw(0)):
            with pytest.raises(BadRecord, match=rf"^{path}:1: the line is longer than"):
                read()
        assert codes(path) == {"E105": 1}


class TestDamage:
    def test_cut_anywhere(self, shard: Path) -> None:
        data = shard.read_bytes()
        for size in (*range(0, len(data), 211), *range(len(data) - 12, len(data))):
            shard.write_bytes(data[:size])
            with pytest.raises(BadShard, match=r"cannot be read as Parquet \(.*\): fetch or make it again$"):
                list(Dataset(shard).split("train"))
            with pytest.raises(BadShard):
                len(Dataset(shard).split("train"))
        assert codes(shard) == {"E109": 1}

    def test_whatever_bits_are_flipped_the_answer_is_an_error_or_a_record(self, shard: Path) -> None:
        data = shard.read_bytes()
        choose = random.Random(1)
        faults = 0
        for _ in range(150):
            flipped = bytearray(data)
            flipped[choose.randrange(len(data) - 3000, len(data))] ^= 1 << choose.randrange(8)
            shard.write_bytes(flipped)
            split = Dataset(shard).split("train")
            try:
                for place in range(len(split)):
                    record, images = split.load(place)
                    assert all(isinstance(images.read(path), bytes) for path in record.image_paths())
            except DataError:
                faults += 1
                assert codes(shard)
        assert faults > 20

    def test_a_shard_that_changed_since_it_was_opened(self, shard: Path) -> None:
        split = Dataset(shard).split("train")
        assert len(split) == 3
        write(shard.with_name("new"), RECORDS[:1]).replace(shard)
        with pytest.raises(DataError, match="has changed since its records were counted"):
            pickle.loads(pickle.dumps(split))[0]
