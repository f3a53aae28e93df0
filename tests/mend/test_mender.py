"""A mended copy: every fault that can be undone is undone and listed, the rest is set apart, nothing is lost."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from phi3v_data.errors import CannotRun, DataError, Phi3VError, UsageError
from phi3v_data.formats.kinds import format_of
from phi3v_data.layout import data_files, read_manifest
from phi3v_data.manifest.renew import renew_manifest
from phi3v_data.mend.mender import exit_code, mend
from phi3v_data.mend.output import render_json, render_text
from phi3v_data.validate import validate
from tests.mend.faults import (
    BOM,
    EXAMPLES,
    add_images,
    assert_nothing_is_lost,
    content,
    listed,
    make_image,
    record,
    tree,
)

DUPLICATE = record("dup").replace(b'"source": "s"', b'"source": "s",  "source": "s"')
NFD = record("cafe\u0301")
NFC = record("caf\u00e9")


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_every_fault_that_can_be_mended_at_once(tmp_path: Path) -> None:
    data = BOM + record(1) + b"\r\n\r\n" + DUPLICATE + b"\n  \t\n" + NFD + b"\r\r\n" + record(6) + b"\n" + record(7)
    source = write(tmp_path / "data.jsonl", data)
    assert validate([source]).counts == {"E103": 1, "W104": 2, "E120": 1, "W208": 1}
    mended = mend(source, tmp_path / "out")
    assert validate([tmp_path / "out" / "data.jsonl"]).counts == {} == mended.result.counts
    id_mended = NFD.replace("cafe\u0301".encode(), "caf\u00e9".encode(), 1)
    lines = [record(1), record("dup"), id_mended, record(6), record(7), b""]
    assert (tmp_path / "out" / "data.jsonl").read_bytes() == b"\n".join(lines)
    place = {"file": "data.jsonl", "line": 1}
    assert listed(tmp_path / "out" / "changes.ndjson") == [
        {**place, "kind": "byte-order-mark", "code": "E103"},
        {**place, "kind": "carriage-return"},
        {**place, "line": 2, "kind": "blank-line", "code": "W104"},
        {**place, "line": 3, "pointer": "/source", "kind": "duplicate-key", "code": "E120", "before": 2, "after": 1},
        {**place, "line": 4, "kind": "blank-line", "code": "W104"},
        {**place, "line": 5, "kind": "carriage-return"},
        {
            **place,
            "line": 5,
            "pointer": "/id",
            "kind": "id-form",
            "code": "W208",
            "before": "cafe\u0301",
            "after": "caf\u00e9",
        },
        {**place, "line": 7, "kind": "final-newline"},
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["changes.ndjson", "data.jsonl"]
    assert source.read_bytes() == data
    assert mended.rejects_path is None and exit_code(mended) == 0
    assert (mended.tally.lines, mended.tally.kept, mended.tally.blank) == (7, 5, 2)
    again = mend(tmp_path / "out" / "data.jsonl", tmp_path / "again")
    assert again.changes_path is None, "there is nothing to mend in what was mended"
    assert (tmp_path / "again" / "data.jsonl").read_bytes() == (tmp_path / "out" / "data.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("data", "kinds"),
    [
        (BOM + record(1) + b"\n", ["byte-order-mark"]),
        (BOM + b"\n" + record(1) + b"\n", ["byte-order-mark", "blank-line"]),
        (record(1) + b"\r\n", ["carriage-return"]),
        (record(1) + b"\r", ["carriage-return", "final-newline"]),
        (record(1) + b"\n\n", ["blank-line"]),
        (record(1) + b"\n  ", ["blank-line"]),
        (record(1), ["final-newline"]),
        (DUPLICATE + b"\n", ["duplicate-key"]),
        (NFD + b"\n", ["id-form"]),
        (record(1) + b"\n", []),
        (b"", []),
    ],
)
def test_each_fault_alone(data: bytes, kinds: list[str], tmp_path: Path) -> None:
    source = write(tmp_path / "data.jsonl", data)
    mended = mend(source, tmp_path / "out")
    assert [change["kind"] for change in listed(mended.changes_path)] == kinds if mended.changes_path else not kinds
    assert not set(mended.result.counts) - {"W106"}
    assert_nothing_is_lost(source, mended)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("invalid/*.jsonl")), ids=lambda path: path.stem)
def test_nothing_of_a_bad_example_is_lost(path: Path, tmp_path: Path) -> None:
    before = path.read_bytes()
    try:
        mended = mend(path, tmp_path / "out", images="decode")
    except UsageError as error:
        assert path.name[:4] in ("E111", "E112", "E113", "E114", "E121"), error
        assert not any(tmp_path.iterdir())
    else:
        assert_nothing_is_lost(path, mended)
        assert mended.result.errors == 0
        assert exit_code(mended) == int(bool(mended.rejects_path))
    assert path.read_bytes() == before


def test_all_bad_examples_in_one_file(tmp_path: Path) -> None:
    whole = ("E111", "E112", "E113", "E114", "E121")
    examples = [path for path in sorted(EXAMPLES.glob("invalid/*.jsonl")) if not path.name.startswith(whole)]
    joined = b"\n".join([record("first"), *(path.read_bytes().rstrip(b"\n") for path in examples)])
    source = write(tmp_path / "all.jsonl", joined)
    (tmp_path / "images").symlink_to(EXAMPLES / "invalid" / "images")
    mended = mend(source, tmp_path / "out", images="decode")
    assert_nothing_is_lost(source, mended)
    assert mended.result.errors == 0 and mended.result.records == mended.tally.kept > 1
    assert {
        "E101",
        "E102",
        "E108",
        "E118",
        "E201",
        "E301",
        "E401",
        "E402",
        "E405",
        "E701",
    } <= mended.tally.rejects.keys()


def test_a_line_is_set_apart_with_all_that_is_wrong_with_it(tmp_path: Path) -> None:
    bad = record(2).replace(b"It is 2.", b"<|user|> <|image_1|>")
    latin = '{"id": "caf\xe9"}\r'.encode("latin-1")
    source = write(tmp_path / "data.jsonl", record(1) + b"\n\n" + bad + b"\n" + latin + b"\n" + record(1) + b"\n")
    mended = mend(source, tmp_path / "out")
    rejects = listed(tmp_path / "out" / "rejects.jsonl")
    assert [(one["line"], one["code"], content(one)) for one in rejects] == [
        (3, "E701", bad),
        (4, "E102", latin),
        (5, "E301", record(1)),
    ]
    assert rejects[0]["findings"] == ["E701", "E702"]
    assert f"{source}:1" in rejects[2]["message"], "it names the original's line"
    assert rejects[2]["hint"]
    assert dict(mended.tally.rejects) == {"E701": 1, "E102": 1, "E301": 1}
    assert exit_code(mended) == 1


def test_a_line_over_the_limit_is_named_by_its_place(tmp_path: Path) -> None:
    long = record(2, group="g" * 5000)
    source = write(tmp_path / "data.jsonl", record(1) + b"\n" + long + b"\n" + record(3) + b"\n" + long)
    mended = mend(source, tmp_path / "out", max_line=1000)
    second, last = len(record(1)) + 1, source.stat().st_size - len(long)
    assert [
        (one["code"], one["line"], one["offset"], one["bytes"]) for one in listed(tmp_path / "out" / "rejects.jsonl")
    ] == [
        ("E105", 2, second, len(long)),
        ("E105", 4, last, len(long)),
    ]
    assert mended.tally.kept == 2


def test_the_twin_of_a_rejected_record_is_kept(tmp_path: Path) -> None:
    first, second = add_images(record(1), "gone.jpg"), add_images(record(1), "here.jpg")
    make_image(tmp_path / "images" / "here.jpg")
    mended = mend(write(tmp_path / "data.jsonl", first + b"\n" + second + b"\n"), tmp_path / "out")
    assert dict(mended.tally.rejects) == {"E401": 1}
    assert (tmp_path / "out" / "data.jsonl").read_bytes() == second + b"\n"


def test_an_id_that_collides_once_it_is_in_nfc(tmp_path: Path) -> None:
    source = write(tmp_path / "data.jsonl", NFC + b"\n" + NFD + b"\r\n" + record(3) + b"\n")
    mended = mend(source, tmp_path / "out")
    assert (tmp_path / "out" / "data.jsonl").read_bytes() == NFC + b"\n" + record(3) + b"\n"
    [reject] = listed(tmp_path / "out" / "rejects.jsonl")
    assert (reject["code"], content(reject)) == ("E301", NFD + b"\r")
    assert mended.changes_path is None, "what was set apart was not changed"


def test_keys_that_disagree_are_set_apart(tmp_path: Path) -> None:
    differ = record(1).replace(b'"source": "s"', b'"source": "s", "source": "t"')
    mended = mend(write(tmp_path / "data.jsonl", differ + b"\n" + DUPLICATE + b"\n"), tmp_path / "out")
    assert dict(mended.tally.rejects) == {"E120": 1} and dict(mended.tally.changes) == {"duplicate-key": 1}


def test_ignored_rules_set_nothing_apart_but_what_is_no_record(tmp_path: Path) -> None:
    data = record(1) + b"\n" + record(1) + b"\n{\n" + record(2, more=1) + b"\n"
    mended = mend(write(tmp_path / "data.jsonl", data), tmp_path / "out", ignore=["E"])
    assert dict(mended.tally.rejects) == {"E101": 1, "E203": 1}
    with pytest.raises(UsageError, match="E999"):
        mend(tmp_path / "data.jsonl", tmp_path / "other", ignore=["E999"])


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two splits with images and a manifest, edited since by somebody on Windows."""
    folder = tmp_path / "dataset"
    for split, count in {"train": 4, "val": 2}.items():
        lines = []
        for number in range(count):
            make_image(folder / "images" / split / f"{number}.png", 50 * number + (split == "val"))
            lines.append(add_images(record(f"{split}-{number}"), f"{split}/{number}.png"))
        write(folder / f"set_{split}.jsonl", b"\n".join(lines) + b"\n")
    renew_manifest(folder)
    document = json.loads((folder / "manifest.json").read_bytes())
    document["converter"]["name"], document["source"]["licence"] = "ucf101", "CC-BY-4.0"
    (folder / "manifest.json").write_text(json.dumps(document))
    write(folder / "rejects.jsonl", b'{"source": "x.avi", "split": "train", "code": "truncated", "message": "cut"}')
    train = (folder / "set_train.jsonl").read_bytes().replace(b"\n", b"\r\n")
    write(folder / "set_train.jsonl", BOM + train + add_images(record("bad"), "train/none.png") + b"\n")
    make_image(folder / "images" / "train" / "unnamed.png")
    return folder


def test_a_folder_with_images_and_a_manifest(dataset: Path, tmp_path: Path) -> None:
    before, out = tree(dataset), tmp_path / "out"
    old = read_manifest(dataset)
    mended = mend(dataset, out)
    assert tree(dataset) == before
    assert validate([out]).counts == {} == mended.result.counts
    manifest = read_manifest(out)
    assert old is not None and manifest is not None
    assert [(file.path, file.split, file.records, file.images) for file in manifest.files] == [
        ("set_train.jsonl", "train", 4, 4),
        ("set_val.jsonl", "val", 2, 2),
    ]
    assert (
        manifest.converter == old.converter and manifest.source == old.source and manifest.source.licence == "CC-BY-4.0"
    )
    assert manifest.edited_from is not None and manifest.rejects == 2
    assert dict(mended.tally.changes) == {"byte-order-mark": 1, "carriage-return": 4}
    assert [one["code"] for one in listed(out / "rejects.jsonl")] == ["truncated", "E401"]
    images = {path: data for path, (data, _) in before.items() if path.startswith("images/") and "unnamed" not in path}
    assert {path: data for path, (data, _) in tree(out).items() if path.startswith("images/")} == images
    assert mended.images == 6
    assert [path.name for path in data_files(out)] == ["set_train.jsonl", "set_val.jsonl"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset", "out"]


def test_images_of_a_folder_that_is_given_stay_there(dataset: Path, tmp_path: Path) -> None:
    (dataset / "images").rename(tmp_path / "pictures")
    mended = mend(dataset, tmp_path / "out", images_dir=tmp_path / "pictures")
    assert mended.images is None and not (tmp_path / "out" / "images").exists()
    assert mended.result.errors == 0 and mended.result.images == 6


def test_ids_are_compared_across_the_files_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write(folder / "set_train.jsonl", b"\n" + record(1) + b"\n" + record(2) + b"\n")
    write(folder / "set_val.jsonl", record(3) + b"\r\n" + record(2) + b"\n")
    mended = mend(folder, tmp_path / "out")
    [reject] = listed(tmp_path / "out" / "rejects.jsonl")
    assert (reject["file"], reject["line"], reject["code"]) == ("set_val.jsonl", 2, "E301")
    assert f"{folder / 'set_train.jsonl'}:3" in reject["message"]
    for name in ("set_train.jsonl", "set_val.jsonl"):
        assert_nothing_is_lost(folder / name, mended)
    assert mended.result.errors == 0


def test_a_file_in_a_folder_of_its_own_that_the_manifest_lists(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write(folder / "set_train.jsonl", record(1) + b"\n")
    renew_manifest(folder)
    write(folder / "more" / "set_train.jsonl", record(1) + b"\r\n")
    (folder / "set_train.jsonl").unlink()
    listing = (folder / "manifest.json").read_text().replace('"set_train.jsonl"', '"more/set_train.jsonl"')
    (folder / "manifest.json").write_text(listing)
    mended = mend(folder, tmp_path / "out")
    assert (tmp_path / "out" / "more" / "set_train.jsonl").read_bytes() == record(1) + b"\n"
    assert mended.result.counts == {}


def test_workers_change_nothing(tmp_path: Path) -> None:
    bad = [record(number, more=1) if number % 7 == 0 else record(number // 3) for number in range(12_000)]
    source = write(tmp_path / "data.jsonl", b"\r\n".join(line + b" " * 1000 for line in bad))
    for workers in (1, 2):
        mend(source, tmp_path / str(workers), workers=workers)
    one, two = ({name: data for name, (data, _) in tree(tmp_path / name).items()} for name in "12")
    assert one == two and len(one) == 3


def test_images_on_another_disk_are_copied(tmp_path: Path, dataset: Path) -> None:
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev or not os.access(shared, os.W_OK):
        pytest.skip("needs a second file system at /dev/shm")
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        mended = mend(dataset, Path(folder) / "out")
        assert mended.images == 6 and mended.result.errors == 0
        for path in (Path(folder) / "out" / "images").rglob("*.png"):
            twin = dataset / "images" / path.relative_to(Path(folder) / "out" / "images")
            assert path.read_bytes() == twin.read_bytes() and path.stat().st_mtime_ns == twin.stat().st_mtime_ns


def test_a_file_that_changes_meanwhile(tmp_path: Path) -> None:
    source = write(tmp_path / "data.jsonl", record(1) + b"\n")

    def append(done: int, total: int | None) -> None:
        source.write_bytes(source.read_bytes() + record(2) + b"\n")

    with pytest.raises(CannotRun, match="was changed meanwhile"):
        mend(source, tmp_path / "out", on_progress=append)
    assert [path.name for path in tmp_path.iterdir()] == ["data.jsonl"]


def test_two_runs_at_once(tmp_path: Path) -> None:
    source = write(tmp_path / "data.jsonl", record(1) + b"\n")
    refused: list[str] = []

    def mend_too(done: int, total: int | None) -> None:
        if not (tmp_path / "out" / "data.jsonl").exists():
            with pytest.raises(CannotRun) as raised:
                mend(source, tmp_path / "out")
            refused.append(str(raised.value))

    assert mend(source, tmp_path / "out", on_progress=mend_too).tally.kept == 1
    assert refused and "another run is writing" in refused[0]


def test_images_behind_links(tmp_path: Path) -> None:
    images = tmp_path / "images"
    make_image(images / "a.png")
    (images / "inside.png").symlink_to("a.png")
    (images / "outside.png").symlink_to(make_image(tmp_path / "secret.png"))
    os.mkfifo(images / "pipe.png")
    lines = [add_images(record(name), f"{name}.png") for name in ("a", "inside", "outside", "pipe", "gone")]
    source = write(tmp_path / "data.jsonl", b"\n".join(lines) + b"\n")
    mended = mend(source, tmp_path / "out")
    assert sorted(mended.tally.rejects.elements()) == ["E401", "E402", "E404"]
    assert sorted(path.name for path in (tmp_path / "out" / "images").iterdir()) == ["a.png", "inside.png"]
    assert not (tmp_path / "out" / "images" / "inside.png").is_symlink()
    unseen = mend(source, tmp_path / "unseen", images="none")
    assert sorted(path.name for path in (tmp_path / "unseen" / "images").iterdir()) == ["a.png", "inside.png"]
    assert unseen.images_left_out == 3


def test_without_an_images_folder(tmp_path: Path) -> None:
    source = write(tmp_path / "data.jsonl", add_images(record(1), "a.png") + b"\r\n")
    mended = mend(source, tmp_path / "out")
    assert mended.result.counts == {"E407": 1} and exit_code(mended) == 1
    assert mended.tally.kept == 1 and mended.images_left_out == 1


@pytest.mark.parametrize("where", ["itself", "inside", "around", "images", "in images", "link", "link to its parent"])
def test_a_copy_onto_the_dataset_is_refused(where: str, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(dataset)
    (tmp_path / "up").symlink_to(tmp_path)
    before = tree(tmp_path)
    out = {
        "itself": dataset,
        "inside": dataset / "new" / "copy",
        "around": tmp_path,
        "images": dataset / "images",
        "in images": dataset / "images" / "copy",
        "link": tmp_path / "link",
        "link to its parent": tmp_path / "up" / "dataset" / "copy",
    }[where]
    with pytest.raises(UsageError, match="lie in each other"):
        mend(dataset, out)
    with pytest.raises(UsageError, match=r"lie in each other|not empty"):
        mend(tmp_path / "link", out)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("where", ["", "data.jsonl", "hard.jsonl", "images", "full"])
def test_a_copy_of_a_file_onto_it_is_refused(where: str, tmp_path: Path) -> None:
    source = write(tmp_path / "data.jsonl", record(1))
    (tmp_path / "hard.jsonl").hardlink_to(source)
    make_image(tmp_path / "images" / "a.png")
    write(tmp_path / "full" / "notes.txt", b"mine")
    before = tree(tmp_path)
    with pytest.raises(UsageError, match=r"lie in each other|is no folder|not empty"):
        mend(source, tmp_path / where)
    assert tree(tmp_path) == before
    mend(source, tmp_path / "beside")
    (tmp_path / "empty").mkdir()
    mend(source, tmp_path / "empty")


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.jsonl", b"\x1f\x8b\x08\0", "compressed with gzip"),
        ("a.jsonl", record(1).decode().encode("utf-16"), "iconv"),
        ("a.jsonl", b"[\n" + record(1) + b"\n]", "jq"),
        ("a.jsonl", b"a,b\n1,2\n", "CSV"),
        ("a.tar", b"", "reshard"),
        ("a.parquet", b"", "reshard"),
        ("rejects.jsonl", record(1), "rename"),
    ],
)
def test_what_has_no_lines_to_mend_is_refused_with_the_way_out(
    name: str, data: bytes, says: str, tmp_path: Path
) -> None:
    source = write(tmp_path / "in" / name, data)
    with pytest.raises(UsageError, match=says):
        mend(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    if name != "rejects.jsonl":
        with pytest.raises(UsageError, match=says) as raised:
            mend(tmp_path / "in", tmp_path / "out")
        if says == "reshard":
            assert f"reshard {tmp_path / 'in'} " in str(raised.value), "not one shard of several"
    assert format_of(source) == "jsonl" or says == "reshard"


def test_what_has_no_lines_to_mend_behind_a_line_over_the_limit_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "data.jsonl", record("long") + b"\nsome\ntext\n")
    with pytest.raises(UsageError, match=r"data\.jsonl cannot be mended line by line \(the file is text"):
        mend(source, tmp_path / "out", max_line=80)
    assert [path.name for path in tmp_path.iterdir()] == ["data.jsonl"]


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    write(tmp_path / "broken" / "manifest.json", b"{")
    write(tmp_path / "broken" / "a.jsonl", record(1))
    (tmp_path / "nothing").mkdir()
    wanted: dict[str, type[Phi3VError]] = {
        "-": UsageError,
        "*.jsonl": UsageError,
        "gone.jsonl": CannotRun,
        "pipe.jsonl": UsageError,
        "broken": DataError,
        "nothing": CannotRun,
    }
    for name, error in wanted.items():
        with pytest.raises(error) as raised:
            mend(Path(name) if name == "-" else tmp_path / name, tmp_path / "out")
        assert type(raised.value) is error or error is DataError
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    source = write(tmp_path / "data.jsonl", record(1))
    write(tmp_path / "file", b"")
    with pytest.raises(CannotRun):
        mend(source, tmp_path / "file" / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.jsonl", "file"]


_RUN = "import sys; from pathlib import Path; from phi3v_data.mend.mender import mend; "


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    source = write(tmp_path / "data.jsonl", b"\n".join(record(number) for number in range(20_000)))
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)); "
    quiet = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            limit + quiet + _RUN + "mend(Path(sys.argv[1]), Path(sys.argv[2]))",
            source,
            tmp_path / "o",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "CannotRun: no space left" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["data.jsonl"]


def test_killed_half_way_and_run_again(tmp_path: Path) -> None:
    source = write(tmp_path / "data.jsonl", b"\r\n".join(record(number) for number in range(20_000)))
    stop = "import os, signal, phi3v_data.mend.making as making; "
    stop += "making._write_manifest = lambda *args: os.kill(os.getpid(), signal.SIGKILL); "
    killed = subprocess.run(
        [sys.executable, "-c", _RUN + stop + "mend(Path(sys.argv[1]), Path(sys.argv[2]))", source, tmp_path / "out"],
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert all(path.name.startswith(".") for path in (tmp_path / "out").iterdir()), "nothing of the copy is seen yet"
    mended = mend(source, tmp_path / "out")
    assert mended.result.counts == {} and mended.tally.kept == 20_000
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["changes.ndjson", "data.jsonl"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.jsonl", "out"]


def test_an_empty_folder_stays_the_folder_that_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "data.jsonl", record(1) + b"\r\n")
    out = tmp_path / "out"
    out.mkdir()
    before = out.stat().st_ino
    monkeypatch.chdir(out)
    mended = mend(source, Path())
    assert out.stat().st_ino == before, "it may be a mount point, or the folder that a shell is in"
    assert mended.result.records == 1
    assert sorted(path.name for path in out.iterdir()) == ["changes.ndjson", "data.jsonl"]


def test_interrupted_when_the_copy_is_there(tmp_path: Path) -> None:
    source = write(tmp_path / "data.jsonl", record(1) + b"\r\n")
    out = tmp_path / "out"

    def interrupt(done: int, total: int | None) -> None:
        if (out / "data.jsonl").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as raised:
        mend(source, out, on_progress=interrupt)
    assert raised.value.__notes__ == [f"The copy is whole: go on with phi3v-data validate {out / 'data.jsonl'}"]
    assert (out / "data.jsonl").read_bytes() == record(1) + b"\n"


def test_a_list_of_leaks_that_is_not_there_is_missed_before_anything_is_written(tmp_path: Path) -> None:
    source = write(tmp_path / "data.jsonl", record(1))
    with pytest.raises(UsageError, match="allowed leaks"):
        mend(source, tmp_path / "out", allow_leaks=tmp_path / "gone.txt")
    assert not (tmp_path / "out").exists()


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    measure = _RUN + "import resource; from phi3v_data.validate import validate; validate([Path(sys.argv[1])]); "
    measure += "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; "
    measure += "mend(Path(sys.argv[1]), Path(sys.argv[2])); "
    measure += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    lines = (record(number, group="g" * 200) + b"\r\n" for number in range(100_000))
    source = write(tmp_path / "data.jsonl", b"".join(lines))
    done = subprocess.run(
        [sys.executable, "-c", measure, source, tmp_path / "out"], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 12_000, "kilobytes, for a file of 38 MB and 100,000 changes"
    with (tmp_path / "out" / "changes.ndjson").open("rb") as file:
        assert sum(1 for _ in file) == 100_000


def test_the_text_and_the_document(tmp_path: Path) -> None:
    data = b"\r\n".join(record(number) for number in range(15)) + b"\n{\n" + record("e\u0301\u202e") + b"\n"
    source = write(tmp_path / "data.jsonl", data)
    mended = mend(source, tmp_path / "out")
    stream = io.StringIO()
    render_text(mended, stream, color=False)
    text = stream.getvalue()
    assert f"{source}:1: mended: carriage return before the newline removed" in text
    assert f"… and 4 more carriage-return in this file, all in {tmp_path / 'out' / 'changes.ndjson'}" in text
    assert f"{source}:16: rejected E101: " in text
    assert f"{tmp_path / 'out' / 'data.jsonl'}:16:/id: W208" in text, "what the copy still has is told of the copy"
    assert "\u202e" not in text
    assert "16 records kept, 1 rejected" in text
    assert text.splitlines()[-1].startswith("Next: correct the records in")
    stream = io.StringIO()
    render_json(mended, stream)
    document = json.loads(stream.getvalue())
    assert document["changes"] == {"carriage-return": 14, "id-form": 1} and document["rejects"] == {"E101": 1}
    assert (document["lines"], document["kept"], document["rejected"], document["blank"]) == (17, 16, 1, 0)
    assert document["validation"]["counts"] == {"W208": 1}
