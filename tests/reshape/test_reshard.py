"""`phi3v-data reshard`: the same records and images in another format, and back, whatever they are."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from phi3v_data import Dataset
from phi3v_data.convert.registry import load_converter
from phi3v_data.errors import CannotRun, DataError, UsageError
from phi3v_data.formats.kinds import SUFFIX_OF
from phi3v_data.layout import read_manifest
from tests.converters.converting import convert_folder, rejects
from tests.converters.made_sources import picture
from tests.formats.shards import SHARDED, codes, contents, line, pack, reshard, reshard_again, write_dataset
from tests.helpers import run, snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.formats.kinds import Format

FORMATS = ("jsonl", *SHARDED)
CAT, DOG = picture(1, "JPEG"), picture(2, "PNG")
IMAGES = ["cat.jpg", "x/dog.png", "x/y/größe.jpg", "bird.jpeg", "mouse.jpg"]
METADATA = {
    "null": None,
    "big": 123456789012345678901234567890,
    "numbers": [1e-7, 1.0, -0.0, 5e-324, 1e22, 0.1],
    "nested": {"a": [{"b": [[], {}]}]},
    "text": 'é\u2028\x7f\U0001f600\\"/\n',
}


def turns(*told: tuple[list[str] | None, str, str | None, list[str] | None]) -> list[dict[str, object]]:
    names = ("images", "user", "assistant", "answers")
    return [{name: value for name, value in zip(names, turn, strict=True) if value is not None} for turn in told]


def plain(record_id: str, conversations: list[dict[str, object]], **fields: object) -> bytes:
    """Return a record as this package writes it."""
    record = {"id": record_id, "source": "toy", **fields, "conversations": conversations}
    record |= {"metadata": record.pop("metadata")} if "metadata" in record else {}
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


LINES = [
    line("one", "cat.jpg", metadata=METADATA),
    line("none", system="Be brief.", group="g"),
    plain("several", turns((IMAGES[:2], "u", "a", ["a", "b"]), (None, "v", "c", []), ([], "w", None, None))),
    plain("again", turns((["cat.jpg"], "u", "a", None), (["cat.jpg", "bird.jpeg"], "v", "b", None)), group="g"),
    line("unicode é \U0001f600", "x/y/größe.jpg", user="ß\u2028\t\n", answer="\x7f", metadata={}),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of every kind in two splits, without a manifest."""
    folder = tmp_path_factory.mktemp("data")
    return write_dataset(folder, {"train": LINES, "val": [line("v", "mouse.jpg")]}, IMAGES)


def copy_of(folder: Path, records: list[bytes]) -> Path:
    """Write records whose pictures are not looked at."""
    return write_dataset(folder, {"train": records}, ["cat.jpg"])


class TestRoundTrip:
    def test_there_and_back_gives_the_same_bytes(self, data: Path, tmp_path: Path) -> None:
        reshard(data, tmp_path / "tar", "webdataset", shard_records=2)
        reshard(tmp_path / "tar", tmp_path / "parquet", "parquet", shard_records=3)
        reshard(tmp_path / "parquet", tmp_path / "lines")
        for name in ("toy_train.jsonl", "toy_val.jsonl"):
            assert (tmp_path / "lines" / name).read_bytes() == (data / name).read_bytes()
        assert snapshot(tmp_path / "lines/images") == snapshot(data / "images")
        for folder in ("tar", "parquet", "lines"):
            assert contents(tmp_path / folder) == contents(data)
            assert codes(tmp_path / folder) == {}

    @pytest.mark.parametrize("output", SHARDED)
    def test_shards_of_shards_are_those_of_the_lines(self, data: Path, tmp_path: Path, output: Format) -> None:
        """The format that lies between leaves no trace in the files."""
        reshard(data, tmp_path / "straight", output, shard_records=2)
        for between in FORMATS:
            reshard(data, tmp_path / between, between, shard_records=4)
            reshard(tmp_path / between, tmp_path / f"{between}-on", output, shard_records=2)
            straight, on = snapshot(tmp_path / "straight"), snapshot(tmp_path / f"{between}-on")
            del straight["manifest.json"], on["manifest.json"]  # which says where the records came from
            assert on == straight

    def test_lines_written_by_hand(self, tmp_path: Path) -> None:
        """Their bytes stay through tar, which holds them as they are; Parquet holds values."""
        by_hand = [
            b'{ "source": "toy",  "id": "a", "conversations": [ {"assistant": "b", "user": "u"} ] }',
            b'{"id":"\\u0062","source":"toy","group":null,"conversations":[{"user":"u"}],'
            b'"metadata":{"x":1.50, "y":1E2}}\r',
        ]
        data = write_dataset(tmp_path / "data", {"train": by_hand})
        reshard(data, tmp_path / "tar", "webdataset")
        reshard(tmp_path / "tar", tmp_path / "lines")
        assert (tmp_path / "lines/toy_train.jsonl").read_bytes() == (data / "toy_train.jsonl").read_bytes()
        reshard(tmp_path / "tar", tmp_path / "parquet", "parquet")
        reshard(tmp_path / "parquet", tmp_path / "again")
        assert (tmp_path / "again/toy_train.jsonl").read_bytes().splitlines() == [
            b'{"id":"a","source":"toy","conversations":[{"user":"u","assistant":"b"}]}',
            b'{"id":"b","source":"toy","conversations":[{"user":"u"}],"metadata":{"x":1.5,"y":100.0}}',
        ]

    def test_the_manifest_says_where_the_records_came_from(self, data: Path, tmp_path: Path) -> None:
        reshard(data, tmp_path / "a", "webdataset")
        reshard(tmp_path / "a", tmp_path / "b", "parquet")
        first, second = read_manifest(tmp_path / "a"), read_manifest(tmp_path / "b")
        assert first and second and (first.converter.name, first.source.kind) == ("reshard", "dataset")
        assert str(tmp_path) not in first.to_json() + second.to_json()
        (origin,) = second.converter.shared["origins"]
        assert origin["converter"] == first.converter.model_dump(mode="json", exclude_none=True)
        assert [(file.split, file.records) for file in second.files] == [("train", 5), ("val", 1)]

    def test_classes_stay_counted(self, tmp_path: Path) -> None:
        load_converter("nlvr2").write_sample(tmp_path / "raw")
        convert_folder("nlvr2", tmp_path / "raw", tmp_path / "lines")
        run("reshard", tmp_path / "lines", "--out_dir", tmp_path / "tar", "--output", "webdataset")
        before, after = read_manifest(tmp_path / "lines"), read_manifest(tmp_path / "tar")
        assert before and after and before.classes == after.classes != {}
        assert (tmp_path / "tar/contact_sheet.jpg").stat().st_size > 5000


class TestSources:
    def test_a_single_file(self, data: Path, tmp_path: Path) -> None:
        manifest = reshard(data / "toy_val.jsonl", tmp_path / "out", "parquet")
        assert [(file.path, file.records) for file in manifest.files] == [("toy_val-00000-of-00001.parquet", 1)]
        manifest = reshard(tmp_path / "out/toy_val-00000-of-00001.parquet", tmp_path / "back")
        assert (tmp_path / "back/toy_val.jsonl").read_bytes() == (data / "toy_val.jsonl").read_bytes()

    def test_a_file_of_any_name(self, data: Path, tmp_path: Path) -> None:
        shutil.copytree(data, tmp_path / "data")
        (tmp_path / "data/toy_val.jsonl").rename(tmp_path / "data/mine.jsonl")
        manifest = reshard(tmp_path / "data/mine.jsonl", tmp_path / "out", "webdataset")
        assert [file.path for file in manifest.files] == ["records_mine-00000-of-00001.tar"]

    def test_images_elsewhere(self, data: Path, tmp_path: Path) -> None:
        copy = shutil.copytree(data, tmp_path / "data")
        (copy / "images").rename(tmp_path / "pictures")
        manifest = reshard(copy, tmp_path / "out", "webdataset", images_dir=tmp_path / "pictures")
        assert manifest.rejects == 0 and contents(tmp_path / "out") == contents(data)

    @pytest.mark.parametrize("output", FORMATS)
    def test_a_missing_image_is_a_reject(self, data: Path, tmp_path: Path, output: Format) -> None:
        copy = shutil.copytree(data, tmp_path / "data")
        (copy / "images/bird.jpeg").unlink()
        assert reshard(copy, tmp_path / "out", output).rejects == 1
        ((_, split, code),) = rejects(tmp_path / "out")
        assert (split, code) == ("train", "missing_image")
        assert [record["id"] for record, _ in contents(tmp_path / "out")["train"]] == [
            json.loads(text)["id"] for place, text in enumerate(LINES) if place != 3
        ]
        assert codes(tmp_path / "out") == {}

    def test_lines_that_are_no_records_are_rejects(self, tmp_path: Path) -> None:
        bad = [b"{", b"[]", b'{"id":"b","source":"s","conversations":[]}', line("b", "../../etc/passwd"), b"\xff"]
        data = write_dataset(tmp_path / "data", {"train": [line("a"), *bad, b"", line("z")]})
        out = tmp_path / "out"
        done = run("reshard", data, "--out_dir", out, "--output", "webdataset", code=1)
        assert "5 rejected" in done.stderr
        assert [code for _, _, code in rejects(out)] == ["invalid_record"] * 3 + ["unsafe_path", "invalid_record"]
        reasons = [json.loads(text)["message"] for text in (out / "rejects.jsonl").read_text().splitlines()]
        assert reasons[2] == "record 4 of toy_train.jsonl: /conversations: 'conversations' holds no turn"
        assert reasons[3].startswith("record 5 of toy_train.jsonl: the image path '../../etc/passwd' leaves")
        assert [record["id"] for record, _ in contents(out)["train"]] == ["a", "z"]
        run("reshard", data, "--out_dir", tmp_path / "more", "--max_rejects", "5")


class TestHostileShards:
    @pytest.mark.parametrize("output", FORMATS)
    @pytest.mark.parametrize("path", ["../out.jpg", "/tmp/phi3v-out.jpg", "a\\b.jpg", "a/../../../out.jpg", "x//y.jpg"])
    def test_no_path_leads_outside(self, tmp_path: Path, output: Format, path: str) -> None:
        members = [("0.json", line("a", path)), ("0.0.jpg", CAT), ("1.json", line("b", "b.jpg")), ("1.0.jpg", CAT)]
        (tmp_path / "in").mkdir()
        shard = pack(tmp_path / "in/toy_train.tar", members)
        assert reshard(shard, tmp_path / "deep/er/out", output).rejects == 1
        assert [code for _, _, code in rejects(tmp_path / "deep/er/out")] == ["unsafe_path"]
        outside = [name for name in snapshot(tmp_path) if not name.startswith("deep/er/out/")]
        assert outside == ["in/toy_train.tar"]
        assert [record["id"] for record, _ in contents(tmp_path / "deep/er/out")["train"]] == ["b"]

    @pytest.mark.parametrize("names", [("a", "a/b.jpg"), ("a/b.jpg", "a")])
    def test_a_file_that_would_be_a_folder(self, tmp_path: Path, names: tuple[str, str]) -> None:
        members = [(f"{place}{end}", data) for place, name in enumerate(names) for end, data in both(name)]
        assert reshard(pack(tmp_path / "toy_train.tar", members), tmp_path / "out").rejects == 1
        assert [code for _, _, code in rejects(tmp_path / "out")] == ["unwritable_name"]
        assert codes(tmp_path / "out") == {}

    @pytest.mark.parametrize("count", [2, 40])
    def test_different_images_of_one_path(self, tmp_path: Path, count: int) -> None:
        """In one part, and in two of them; shards keep them apart."""
        members = []
        for number in range(count):
            image = DOG if number == count - 1 else CAT
            members += [(f"{number:02d}.json", line(f"{number}", "cat.jpg")), (f"{number:02d}.0.jpg", image)]
        shard = pack(tmp_path / "toy_train.tar", members)
        with pytest.raises(CannotRun, match=r"^two records have different images under one path, cat\.jpg: keep them"):
            reshard(shard, tmp_path / "lines")
        done = run("reshard", shard, "--out_dir", tmp_path / "lines", code=3)
        assert done.stderr.count("\n") == 1 and "under one path, cat.jpg" in done.stderr
        reshard(shard, tmp_path / "parquet", "parquet")
        assert contents(tmp_path / "parquet") == contents(shard)

    def test_a_damaged_shard_is_one_sentence(self, tmp_path: Path) -> None:
        members = [(f"{number}{end}", data) for number in range(4) for end, data in both("cat.jpg")]
        shard = pack(tmp_path / "toy_train.tar", members)
        shard.write_bytes(shard.read_bytes()[:9000])
        for command, *words in (
            ("reshard", shard),
            ("split", shard, "a=1", "b=1"),
            ("merge", shard, f"b={shard}"),
        ):
            done = run(command, *words, "--out_dir", tmp_path / "out", code=1)
            assert done.stderr.count("\n") == 1, done.stderr
            assert f"Error: {shard} is cut short after record " in done.stderr
            assert not (tmp_path / "out").exists()

    def test_a_shard_that_is_damaged_where_images_are(self, data: Path, tmp_path: Path) -> None:
        """Found only when the images are read: the records in that place are rejects."""
        reshard(data, tmp_path / "in", "parquet")
        path = tmp_path / "in/toy_train-00000-of-00001.parquet"
        content = bytearray(path.read_bytes())
        start, stop = content.index(b"\xff\xd8\xff"), content.index(b"\xff\xd9")
        content[start - 200 : stop] = bytes(stop - start + 200)  # of the same size, which is all that is looked at
        path.write_bytes(content)
        done = run("reshard", tmp_path / "in", "--out_dir", tmp_path / "out", "--output", "webdataset", code=1)
        assert done.stderr.startswith("5 rejected") and done.stderr.count("\n") == 1
        assert {code for _, _, code in rejects(tmp_path / "out")} == {"damaged_shard"}
        assert list(contents(tmp_path / "out")) == ["val"]

    def test_nothing_in_it(self, tmp_path: Path) -> None:
        shard = pack(tmp_path / "toy_train.tar", [])
        done = run("reshard", shard, "--out_dir", tmp_path / "out", code=2)
        assert "found nothing to convert" in done.stderr and done.stderr.count("\n") == 1


def both(image: str) -> list[tuple[str, bytes]]:
    """Return the two files of a sample whose record names one image, called after it."""
    return [(".json", line(f"named {image}", image)), (".0.jpg", CAT)]


class TestFolders:
    def test_onto_itself_inside_it_or_around_it(self, data: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(data)
        for target in (data, data / "out", data.parent, tmp_path / "link", data / "images", data / ".." / data.name):
            with pytest.raises(UsageError, match="lie in each other: choose another --out_dir"):
                reshard(data, target)
        with pytest.raises(UsageError, match="lie in each other"):
            reshard(data / "toy_val.jsonl", data)
        assert not (data / ".convert").exists()

    def test_a_folder_of_something_else(self, data: Path, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(UsageError, match="is not empty and holds no dataset"):
            reshard(data, tmp_path)
        assert snapshot(tmp_path) == {"notes.txt": b"mine"}

    def test_no_dataset(self, tmp_path: Path) -> None:
        assert "there is no dataset at" in run("reshard", tmp_path / "no", "--out_dir", tmp_path / "out", code=3).stderr
        (tmp_path / "empty").mkdir()
        done = run("reshard", tmp_path / "empty", "--out_dir", tmp_path / "out", code=3)
        assert "holds no JSONL file and no shard" in done.stderr and not (tmp_path / "out").exists()

    def test_a_split_that_no_file_can_be_named_after(self, tmp_path: Path) -> None:
        data = write_dataset(tmp_path / "data", {"a\\b": [line("a")]})
        with pytest.raises(DataError, match=r"the name of the split '.*' of .* holds a backslash: rename its file"):
            reshard(data, tmp_path / "out")

    def test_again(self, data: Path, tmp_path: Path) -> None:
        reshard(data, tmp_path / "out", "webdataset")
        assert reshard_again(data, tmp_path / "out", "webdataset")
        copy = shutil.copytree(data, tmp_path / "data")
        assert reshard_again(copy, tmp_path / "out", "webdataset")  # the same records, wherever they lie
        (copy / "toy_val.jsonl").write_bytes(line("other", "cat.jpg") + b"\n")
        with pytest.raises(UsageError, match="holds another conversion"):
            reshard(copy, tmp_path / "out", "webdataset")


_KILLED = """
import os, signal
from phi3v_data.cli import main
from phi3v_data.convert import executors, shards
from phi3v_data.convert.worker import PartDone

def die():
    os.killpg(0, signal.SIGKILL)

if {when!r} == "part":
    run = executors.LocalExecutor.run
    executors.LocalExecutor.run = lambda self, folder, parts, tell: run(
        self, folder, parts, lambda message: die() if isinstance(message, PartDone) else tell(message)
    )
else:
    commit, left = shards._commit, [{when!r}]
    def commit_and_die(*args):
        facts = commit(*args)
        left[0] -= 1
        return facts if left[0] else die()
    shards._commit = commit_and_die
main()
"""


@pytest.mark.parametrize(
    ("output", "when"), [("jsonl", "part"), ("jsonl", 3), ("webdataset", "part"), ("webdataset", 1), ("parquet", 3)]
)
def test_killed_and_run_again(tmp_path: Path, output: Format, when: str | int) -> None:
    """After a part of three, or after so many shards, which begin and end within parts."""
    lines = [line(f"{number:02d}", f"{number % 5}.png") for number in range(40)]
    data = write_dataset(tmp_path / "data", {"train": lines}, [f"{number}.png" for number in range(5)])
    out = tmp_path / "out"
    words = ["reshard", str(data), "--out_dir", str(out), "--output", output, "--shard_records", "9"]
    program = [sys.executable, "-c", _KILLED.format(when=when), *words]
    killed = subprocess.run(program, start_new_session=True, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    finished = {path.stat().st_ino for path in out.glob(f".convert/shards/train/*{SUFFIX_OF[output]}")}
    assert len(finished) == (0 if when == "part" else when)
    reshard(data, out, output, shard_records=9)
    reshard(data, tmp_path / "expected", output, shard_records=9)
    assert snapshot(out) == snapshot(tmp_path / "expected")
    assert finished <= {path.stat().st_ino for path in out.glob("toy_train-*")}
    assert contents(out) == contents(data)


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_hard_links(
    tmp_path: Path, number: int, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reshard(data, tmp_path / "tar", "webdataset")
    reshard(tmp_path / "tar", tmp_path / "expected")

    def refuse(source: object, target: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.link", refuse)
    reshard(tmp_path / "tar", tmp_path / "out")
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "expected")
    members = [("0.json", line("a", "cat.jpg")), ("0.0.jpg", CAT), ("1.json", line("b", "cat.jpg")), ("1.0.jpg", DOG)]
    with pytest.raises(CannotRun, match="under one path"):
        reshard(pack(tmp_path / "toy_train.tar", members), tmp_path / "apart")


def test_images_that_parts_share_are_written_once(tmp_path: Path) -> None:
    """Forty records of one image, with two workers: three parts, of which each names it."""
    lines = [line(f"{number:02d}", "cat.jpg") for number in range(40)]
    data = write_dataset(tmp_path / "data", {"train": lines}, ["cat.jpg"])
    reshard(data, tmp_path / "tar", "webdataset")
    run("reshard", tmp_path / "tar", "--out_dir", tmp_path / "out", "--workers", "2")
    (file,) = (read_manifest(tmp_path / "out") or pytest.fail()).files
    assert (file.records, file.images) == (40, 1)
    assert snapshot(tmp_path / "out/images") == snapshot(data / "images")
    assert len(Dataset(tmp_path / "out").split("train")) == 40


class TestChangedInput:
    """What was changed since is never passed over as done."""

    def test_a_line_that_the_manifest_does_not_know(self, data: Path, tmp_path: Path) -> None:
        reshard(data, tmp_path / "in")
        reshard(tmp_path / "in", tmp_path / "out", "parquet")
        path = tmp_path / "in/toy_train.jsonl"
        path.write_bytes(path.read_bytes().replace(b"A cat.", b"A dog."))
        done = run("reshard", tmp_path / "in", "--out_dir", tmp_path / "out", "--output", "parquet", code=1)
        assert "toy_train.jsonl is not as manifest.json says: restore it, or accept the change with" in done.stderr
        run("manifest", tmp_path / "in")
        done = run("reshard", tmp_path / "in", "--out_dir", tmp_path / "out", "--output", "parquet", code=2)
        assert "holds another conversion (made from other source files)" in done.stderr

    def test_an_image_of_another_size(self, data: Path, tmp_path: Path) -> None:
        shutil.copytree(data, tmp_path / "in")
        reshard(tmp_path / "in", tmp_path / "out", "webdataset")
        image = next(path for path in sorted((tmp_path / "in/images").rglob("*")) if path.is_file())
        image.write_bytes(image.read_bytes() + b"\0")
        done = run("reshard", tmp_path / "in", "--out_dir", tmp_path / "out", "--output", "webdataset", code=2)
        assert "holds another conversion (made from other source files)" in done.stderr
