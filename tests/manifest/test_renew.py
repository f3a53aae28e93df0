"""`phi3v-data manifest`: an edited dataset gets a manifest that fits it and says so, or nothing is written."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from phi3v_data import Dataset
from phi3v_data.fs import hold_folder
from phi3v_data.manifest.renew import renew_manifest
from phi3v_data.validate import columns, target_run
from phi3v_schemas import SCHEMA_VERSION
from phi3v_schemas.jsonschema import json_schema
from tests.helpers import convert, make_video, run, snapshot

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "schemas" / "examples"
PLUGIN = ROOT / "tests" / "plugins" / "odd"
VIDEOS = ("train/A/1.avi", "train/A/2.avi", "train/B/3.avi", "val/A/4.avi", "test/B/5.avi")
FRAMES = ("--num_frames", "2")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five videos of two classes."""
    folder = tmp_path_factory.mktemp("raw")
    for name in VIDEOS:
        make_video(folder / name)
    return folder


@pytest.fixture(scope="module")
def converted(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a conversion of them writes."""
    out = tmp_path_factory.mktemp("converted") / "out"
    convert(raw, out, *FRAMES)
    return out


@pytest.fixture
def dataset(converted: Path, tmp_path: Path) -> Path:
    """A copy to edit."""
    return shutil.copytree(converted, tmp_path / "dataset")


def manifest_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_bytes())


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(path: Path, *records: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def record(name: str, *images: str, answer: str = "A") -> dict[str, Any]:
    turn = {"images": list(images), "user": f"What is {name}?", "assistant": answer}
    return {"id": name, "source": "mine", "conversations": [turn]}


def drop_first_line(path: Path) -> None:
    path.write_bytes(path.read_bytes().partition(b"\n")[2])


def test_a_dataset_as_it_was_converted_is_left_alone(dataset: Path) -> None:
    before = (dataset / "manifest.json").stat()
    done = run("manifest", dataset)
    assert done.stdout.splitlines() == [
        "ucf101_train.jsonl: unchanged",
        "ucf101_val.jsonl: unchanged",
        "ucf101_test.jsonl: unchanged",
        f"Nothing to do: {dataset / 'manifest.json'} fits the dataset.",
    ]
    after = (dataset / "manifest.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_every_kind_of_edit_is_told_and_written_down(dataset: Path) -> None:
    old, old_sha256 = manifest_of(dataset), sha256(dataset / "manifest.json")
    drop_first_line(dataset / "ucf101_train.jsonl")
    (dataset / "ucf101_val.jsonl").unlink()
    shutil.rmtree(dataset / "images/val")
    (dataset / "images/test/B/5.0.jpg").write_bytes(b"\xff\xd8\xff another picture \xff\xd9")
    frames = ["train/A/1.0.jpg", "train/A/1.1.jpg"]
    write(dataset / "more_train.jsonl", record("x", *frames), record("y", frames[0], answer="B"))
    assert run("manifest", dataset).stdout.splitlines() == [
        "ucf101_train.jsonl: 3 -> 2 records",
        "more_train.jsonl: new, 2 records",
        "ucf101_test.jsonl: 1 record as before, with other images",
        "ucf101_val.jsonl: gone, 1 record",
        f"Wrote {dataset / 'manifest.json'}",
    ]
    new = manifest_of(dataset)
    expected = {
        "ucf101_train.jsonl": (
            "train",
            2,
            ["train/A/2.0.jpg", "train/A/2.1.jpg", "train/B/3.0.jpg", "train/B/3.1.jpg"],
        ),
        "more_train.jsonl": ("train", 2, frames),
        "ucf101_test.jsonl": ("test", 1, ["test/B/5.0.jpg", "test/B/5.1.jpg"]),
    }
    assert new["files"] == [
        {
            "path": name,
            "split": split,
            "records": records,
            "images": len(images),
            "image_bytes": sum((dataset / "images" / image).stat().st_size for image in images),
            "bytes": (dataset / name).stat().st_size,
            "sha256": sha256(dataset / name),
        }
        for name, (split, records, images) in expected.items()
    ]
    assert new["classes"] == {"train": {"A": 2, "B": 2}, "test": {"B": 1}}
    assert new["edited_from"] == old_sha256
    assert all(new[key] == old[key] for key in ("converter", "source", "plan_sha256", "rejects"))
    assert run("validate", dataset, "--images", "exists", "--strict").stdout.startswith("clean")


def test_a_second_run_changes_nothing_and_a_second_edit_keeps_the_origin(dataset: Path) -> None:
    converted = sha256(dataset / "manifest.json")
    drop_first_line(dataset / "ucf101_train.jsonl")
    run("manifest", dataset)
    edited = (dataset / "manifest.json").read_bytes()
    again = json.loads(run("manifest", dataset, "--format", "json").stdout)
    assert again["unchanged"] and all(file["unchanged"] for file in again["files"])
    assert (dataset / "manifest.json").read_bytes() == edited
    drop_first_line(dataset / "ucf101_train.jsonl")
    document = json.loads(run("manifest", dataset, "--format", "json").stdout)
    assert document["files"][0] == {
        "path": "ucf101_train.jsonl",
        "records_before": 2,
        "records": 1,
        "unchanged": False,
    }
    assert document["manifest"] == manifest_of(dataset)
    assert document["manifest"]["edited_from"] == converted


def test_errors_are_shown_as_validate_shows_them_and_nothing_is_written(dataset: Path) -> None:
    shutil.copy(dataset / "ucf101_test.jsonl", dataset / "copy_test.jsonl")
    (dataset / "images/val/A/4.0.jpg").unlink()
    before = snapshot(dataset)
    done = run("manifest", dataset, code=1)
    lines = done.stdout.splitlines()
    assert "E401 the image 'val/A/4.0.jpg' is not in" in lines[0] and lines[1].startswith("    hint: ")
    assert "copy_test.jsonl:1:/id: E301 the id 'test-0000000004' is already that of " in lines[2]
    assert lines[-1].startswith("2 errors, 0 warnings: 4 files, 6 records, 12 images in ")
    assert done.stderr == f"No manifest was written into {dataset}: mend what was found first.\n"
    report = json.loads(run("manifest", dataset, "--format", "json", "--max-findings", "1", code=1).stdout)
    assert report["counts"] == {"E401": 1, "E301": 1} and len(report["findings"]) == 1
    assert snapshot(dataset) == before


def test_warnings_hinder_nothing(dataset: Path) -> None:
    with (dataset / "ucf101_val.jsonl").open("ab") as file:
        file.write(b"\n")
    done = run("manifest", dataset)
    assert "ucf101_val.jsonl: 1 record as before, with other content" in done.stdout
    assert done.stderr == "There are warnings, 1 in all: see them with phi3v-data validate\n"


class TestWithoutAManifest:
    def test_the_files_are_described_by_their_names(self, tmp_path: Path) -> None:
        (tmp_path / "images").mkdir()
        shutil.copy(EXAMPLES / "valid/dataset/images/cat.jpg", tmp_path / "images")
        write(tmp_path / "mine_val.jsonl", record("v"))
        write(tmp_path / "mine_train-00000-of-00002.jsonl", record("a", "cat.jpg"), record("b"), record("c", "cat.jpg"))
        write(tmp_path / "mine_train-00001-of-00002.jsonl", record("d", "cat.jpg"))
        assert run("manifest", tmp_path).stdout.splitlines()[:3] == [
            "mine_train-00000-of-00002.jsonl: new, 3 records",
            "mine_train-00001-of-00002.jsonl: new, 1 record",
            "mine_val.jsonl: new, 1 record",
        ]
        manifest = manifest_of(tmp_path)
        Draft202012Validator(json_schema("manifest")).validate(manifest)
        size = (tmp_path / "images/cat.jpg").stat().st_size
        assert [(file["split"], file["images"], file["image_bytes"]) for file in manifest["files"]] == [
            ("train", 1, size),
            ("train", 1, size),
            ("val", 0, 0),
        ]
        assert (manifest["converter"]["name"], manifest["source"]["kind"]) == ("manifest", "jsonl")
        assert manifest["classes"] == {} and "edited_from" not in manifest
        assert {split: len(Dataset(tmp_path).split(split)) for split in ("train", "val")} == {"train": 4, "val": 1}
        assert run("validate", tmp_path, "--strict").stdout.startswith("clean")
        assert "Nothing to do" in run("manifest", tmp_path).stdout

    def test_a_missing_shard_is_an_error_still(self, tmp_path: Path) -> None:
        write(tmp_path / "mine_train-00000-of-00002.jsonl", record("a"))
        assert "E604 mine_train-00001-of-00002.jsonl is missing" in run("manifest", tmp_path, code=1).stdout
        assert not (tmp_path / "manifest.json").exists()

    def test_a_name_that_no_manifest_may_hold(self, tmp_path: Path) -> None:
        write(tmp_path / "a\\b.jsonl", record("a"))
        done = run("manifest", tmp_path, code=1)
        assert done.stderr == f"Error: the name of 'a\\\\b.jsonl' in {tmp_path} holds a backslash: rename the file\n"

    @pytest.mark.parametrize("folder", ["empty", "nowhere"])
    def test_nothing_to_describe(self, folder: str, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        (tmp_path / "empty/rejects.jsonl").write_text("{}\n")
        done = run("manifest", tmp_path / folder, code=3)
        says = {"empty": "empty holds no JSONL file", "nowhere": "there is no folder"}[folder]
        assert says in done.stderr and done.stderr.count("\n") == 1
        assert snapshot(tmp_path) == {"empty/rejects.jsonl": b"{}\n"}


class TestImages:
    def test_nobody_looks_at_them(self, dataset: Path) -> None:
        old = {file["path"]: file for file in manifest_of(dataset)["files"]}
        shutil.rmtree(dataset / "images")
        drop_first_line(dataset / "ucf101_train.jsonl")
        run("manifest", dataset, code=1)
        run("manifest", dataset, "--images", "none")
        train, *others = manifest_of(dataset)["files"]
        assert (train["records"], train["images"]) == (2, 4) and "image_bytes" not in train
        assert others == [old[file["path"]] for file in others]
        assert run("validate", dataset, "--images", "none", "--strict").stdout.startswith("clean")

    def test_they_are_elsewhere(self, dataset: Path, tmp_path: Path) -> None:
        (dataset / "images").rename(tmp_path / "pictures")
        assert "Nothing to do" in run("manifest", dataset, "--images-dir", tmp_path / "pictures").stdout

    def test_they_are_looked_at_closely_on_demand(self, dataset: Path) -> None:
        (dataset / "images/train/B/3.0.jpg").write_bytes(b"<html>")
        assert "E404" in run("manifest", dataset, "--images", "header", code=1).stdout
        assert "with other images" in run("manifest", dataset).stdout


class TestClasses:
    def test_a_class_that_answers_do_not_tell_is_left_out(self, tmp_path: Path) -> None:
        for split, name in (("train", "a"), ("train", "b"), ("val", "c")):
            (tmp_path / "raw" / split).mkdir(parents=True, exist_ok=True)
            (tmp_path / "raw" / split / f"{name}.txt").write_text("ok")
        out = tmp_path / "out"
        env = {"PYTHONPATH": os.pathsep.join([str(PLUGIN), *sys.path])}
        run("convert", "odd", "--source", tmp_path / "raw", "--out_dir", out, env=env)
        assert manifest_of(out)["classes"] == {"train": {"a": 1, "b": 1}, "val": {"c": 1}}
        drop_first_line(out / "odd_train.jsonl")
        assert "classes of train: left out, its answers do not tell them" in run("manifest", out).stdout
        assert manifest_of(out)["classes"] == {"val": {"c": 1}}

    def test_a_corrected_answer_counts_for_its_new_class(self, dataset: Path) -> None:
        path = dataset / "ucf101_train.jsonl"
        path.write_bytes(path.read_bytes().replace(b'"assistant":"A"', b'"assistant":"B"', 1))
        run("manifest", dataset)
        assert manifest_of(dataset)["classes"]["train"] == {"A": 1, "B": 2}


def test_the_reject_list_stays_counted(raw: Path, tmp_path: Path) -> None:
    source = shutil.copytree(raw, tmp_path / "raw")
    (source / "train/A/9.avi").write_bytes(b"")
    out = tmp_path / "out"
    convert(source, out, *FRAMES, code=1)
    drop_first_line(out / "ucf101_train.jsonl")
    run("manifest", out)
    assert manifest_of(out)["rejects"] == 1
    (out / "rejects.jsonl").unlink()
    assert "rejects: 1 -> 0" in run("manifest", out).stdout
    assert manifest_of(out)["rejects"] == 0


def test_a_manifest_of_an_older_version_stays_until_something_changes(tmp_path: Path) -> None:
    folder = shutil.copytree(EXAMPLES / "valid/dataset", tmp_path / "dataset")
    before = snapshot(folder)
    assert manifest_of(folder)["schema_version"] != SCHEMA_VERSION
    assert "Nothing to do" in run("manifest", folder).stdout and snapshot(folder) == before
    (folder / "toy_val.jsonl").unlink()
    run("manifest", folder)
    assert manifest_of(folder)["schema_version"] == SCHEMA_VERSION


class TestConvertAfterwards:
    def test_an_edit_is_neither_taken_for_the_output_nor_destroyed(
        self, dataset: Path, converted: Path, raw: Path
    ) -> None:
        drop_first_line(dataset / "ucf101_train.jsonl")
        write(dataset / "more_train.jsonl", record("x"))
        run("manifest", dataset)
        before = snapshot(dataset)
        done = convert(raw, dataset, *FRAMES, code=2)
        assert done.stderr == (
            f"Error: {dataset} holds a dataset that was edited by hand: choose another --out_dir, or pass --overwrite "
            "to replace it\n"
        )
        assert snapshot(dataset) == before
        convert(raw, dataset, *FRAMES, "--overwrite")
        assert snapshot(dataset) == snapshot(converted)

    def test_what_no_conversion_made_is_never_replaced(self, tmp_path: Path, raw: Path) -> None:
        out = tmp_path / "out"
        write(out / "mine_train.jsonl", record("a"))
        run("manifest", out)
        before = snapshot(out)
        for flags in ((), ("--overwrite",)):
            assert "holds no dataset that phi3v-data converted" in convert(raw, out, *flags, code=2).stderr
        assert snapshot(out) == before

    def test_an_unfinished_conversion_is_not_described(self, dataset: Path) -> None:
        (dataset / ".convert").mkdir()
        drop_first_line(dataset / "ucf101_train.jsonl")
        before = snapshot(dataset)
        done = run("manifest", dataset, code=3)
        assert "holds an unfinished conversion" in done.stderr and snapshot(dataset) == before


@pytest.mark.parametrize(
    ("example", "says"),
    [("E601-manifest-unreadable", "restore it, or delete it"), ("E606-schema-newer", "update phi3v-data")],
)
def test_an_unusable_manifest_is_one_sentence(example: str, says: str, tmp_path: Path) -> None:
    folder = shutil.copytree(EXAMPLES / "invalid" / example, tmp_path / "dataset")
    before = snapshot(folder)
    done = run("manifest", folder, code=1)
    assert says in done.stderr and done.stderr.count("\n") == 1 and not done.stdout
    assert snapshot(folder) == before


def test_a_folder_that_another_run_holds(dataset: Path) -> None:
    with hold_folder(dataset):
        done = run("manifest", dataset, code=3)
    assert done.stderr == f"Error: another run is writing into {dataset}: wait for its end\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_leaves_the_old_manifest(number: int, code: int, dataset: Path) -> None:
    """While it counts rejects, the last thing before it writes, it waits for somebody to fill this pipe."""
    drop_first_line(dataset / "ucf101_train.jsonl")
    before = snapshot(dataset)
    pipe = dataset / "rejects.jsonl"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "phi3v_data", "manifest", str(dataset)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    writer = None
    while writer is None:
        assert process.poll() is None
        try:
            writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads yet
            continue
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    os.close(writer)
    assert (process.returncode, stdout) == (code, "")
    assert stderr.endswith("ed. Run the same command again.\n") and stderr.count("\n") == 1
    assert snapshot(dataset) == before


def test_a_full_disk_leaves_the_old_manifest(dataset: Path) -> None:
    drop_first_line(dataset / "ucf101_train.jsonl")
    before = snapshot(dataset)

    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))

    command = [sys.executable, "-m", "phi3v_data", "manifest", str(dataset)]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=lower, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"Error: no space left for {dataset}: free some space and run the same command again\n"
    assert snapshot(dataset) == before


def test_memory_does_not_grow_with_the_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_IN_MEMORY", 1)
    monkeypatch.setitem(target_run.PIECE_SIZE, "none", 1 << 16)

    def peak(records: int) -> int:
        folder = tmp_path / str(records)
        write(folder / "mine_train.jsonl", *(record(f"{number}", f"{number}.jpg") for number in range(records)))
        tracemalloc.start()
        renew_manifest(folder, images="none")
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    small, large = peak(1_000), peak(11_000)
    assert large - small < 10_000 * 60
