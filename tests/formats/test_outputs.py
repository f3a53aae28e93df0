"""Conversions into every format: the same records and images, the same bytes however often they were stopped."""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import pickle
import resource
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from phi3v_data import Dataset
from phi3v_data.convert.registry import load_converter
from phi3v_data.errors import DataError, UsageError
from phi3v_data.formats.kinds import SUFFIX_OF
from phi3v_data.manifest.renew import renew_manifest
from phi3v_data.validate import validate
from tests.converters.converting import kill_after_a_part, rejects
from tests.formats.shards import SHARDED, codes, contents, convert_to, line, reshard, write_dataset
from tests.helpers import run, snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.formats.kinds import Format
    from phi3v_data.reader import Split

FORMATS = ("jsonl", *SHARDED)
THREE = ("--shard_records", "3")

_KILLED = """
import os, signal
from phi3v_data.cli import main
from phi3v_data.convert import {module} as module

def and_die(*args, of=module.{function}):
    of(*args)
    os.killpg(0, signal.SIGKILL)

module.{function} = and_die
main()
"""
"""The command, killed as soon as a function has returned for the first time."""


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of pictures: 16 records to train on, 4 and 4 others, in three parts."""
    folder = tmp_path_factory.mktemp("raw")
    load_converter("nlvr2").write_sample(folder)
    return folder


@pytest.fixture(scope="module")
def made(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Format, Path]:
    """The same conversion in every format, three records a file."""
    folder = tmp_path_factory.mktemp("made")
    for output in FORMATS:
        convert_to(output, "nlvr2", raw, folder / output, shard_records=3)
    return {output: folder / output for output in FORMATS}


@pytest.fixture
def copy(made: dict[Format, Path], tmp_path: Path, output: Format) -> Path:
    """A dataset to damage."""
    return shutil.copytree(made[output], tmp_path / "copy")


def convert(raw: Path, out: Path, output: Format, *flags: str, code: int = 0) -> str:
    """Run the command; returns what it says."""
    words = ("convert", "nlvr2", "--source", raw, "--out_dir", out, "--output", output, *flags)
    done = run(*words, code=code)
    return done.stdout + done.stderr


def killed_after(function: str, *words: str | Path) -> None:
    """Run the command until a function of the engine, written as MODULE.NAME, has returned."""
    module, _, name = function.partition(".")
    program = [sys.executable, "-c", _KILLED.format(module=module, function=name), *map(str, words)]
    done = subprocess.run(program, start_new_session=True, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def first_shard(folder: Path, output: Format) -> Path:
    return folder / f"nlvr2_train-00000-of-00006{SUFFIX_OF[output]}"


def read_places(split: Split, places: list[int]) -> list[tuple[bytes, list[bytes]]]:
    """Return some records with their images, for other processes too."""
    found = []
    for place in places:
        record, images = split.load(place)
        found.append((split.raw(place), [images.read(path) for path in record.image_paths()]))
    return found


class TestSameRecords:
    @pytest.mark.parametrize("output", SHARDED)
    def test_lines_and_images_are_those_of_the_json_lines(self, made: dict[Format, Path], output: Format) -> None:
        assert contents(made[output]) == contents(made["jsonl"])
        for split in ("train", "val", "test"):
            ours, theirs = Dataset(made[output]).split(split), Dataset(made["jsonl"]).split(split)
            assert len(ours) == len(theirs)
            places = list(range(len(ours)))[::-1]
            assert read_places(ours, places) == read_places(theirs, places)
            assert list(ours) == list(theirs) == [ours[place] for place in range(len(ours))]

    @pytest.mark.parametrize("output", FORMATS)
    def test_everything_is_clean(self, made: dict[Format, Path], output: Format) -> None:
        result = validate([made[output]])
        assert (dict(result.counts), result.records, len(result.files)) == ({}, 24, 10)
        assert Dataset(made[output]).check_manifest() == []
        assert not (made[output] / "rejects.jsonl").exists() and not (made[output] / ".convert").exists()

    @pytest.mark.parametrize("output", FORMATS)
    def test_the_manifest_says_what_is_there(self, made: dict[Format, Path], output: Format) -> None:
        manifest = json.loads((made[output] / "manifest.json").read_bytes())
        assert manifest["converter"]["output"] == {"format": output, "shard_records": 3}
        assert {name: sum(counts.values()) for name, counts in manifest["classes"].items()} == {
            "train": 16,
            "val": 4,
            "test": 4,
        }
        suffix = SUFFIX_OF[output]
        counted = {"train": [3, 3, 3, 3, 3, 1], "val": [3, 1], "test": [3, 1]}
        assert [(file["path"], file["records"]) for file in manifest["files"]] == [
            (f"nlvr2_{split}-{number:05d}-of-{len(sizes):05d}{suffix}", records)
            for split, sizes in counted.items()
            for number, records in enumerate(sizes)
        ]
        for file in manifest["files"]:
            path = made[output] / file["path"]
            assert (file["bytes"], file["sha256"]) == (
                path.stat().st_size,
                hashlib.sha256(path.read_bytes()).hexdigest(),
            )
            [records] = contents(path).values()
            assert (file["records"], file["images"]) == (len(records), 2 * len(records))
            assert file["image_bytes"] == sum(len(data) for _, images in records for data in images.values())

    @pytest.mark.parametrize("output", FORMATS)
    def test_the_contact_sheet_shows_the_pictures(self, made: dict[Format, Path], output: Format) -> None:
        sheet = (made[output] / "contact_sheet.jpg").read_bytes()
        assert sheet == (made["jsonl"] / "contact_sheet.jpg").read_bytes()
        with Image.open(io.BytesIO(sheet)) as image:
            saturation = image.convert("HSV").getchannel("S")
        assert (
            sum(saturation.histogram()[150:]) > 1000
        )  # the discs are of bright colours, and a missing picture is grey

    @pytest.mark.parametrize(("output", "method"), [("webdataset", "fork"), ("parquet", "fork"), ("parquet", "spawn")])
    def test_processes_read_without_disturbing_each_other(
        self, made: dict[Format, Path], output: Format, method: str
    ) -> None:
        split = Dataset(made[output]).split("train")
        expected = read_places(split, list(range(16)))  # the files are open before the workers start
        with multiprocessing.get_context(method).Pool(2) as pool:
            tasks = [(split, list(range(16))), (split, list(range(15, -1, -1)))]
            forward, backward = pool.starmap(read_places, tasks)
        assert forward == backward[::-1] == expected
        assert read_places(pickle.loads(pickle.dumps(split)), [7]) == expected[7:8]


class TestSameBytes:
    @pytest.mark.parametrize("output", FORMATS)
    def test_again_and_with_any_number_of_workers(
        self, raw: Path, made: dict[Format, Path], output: Format, tmp_path: Path
    ) -> None:
        convert(raw, tmp_path / "out", output, *THREE, "--workers", "2")
        assert snapshot(tmp_path / "out") == snapshot(made[output])
        convert_to(output, "nlvr2", raw, tmp_path / "again", shard_records=3)
        assert snapshot(tmp_path / "again") == snapshot(made[output])

    @pytest.mark.parametrize("output", FORMATS)
    def test_killed_between_parts(self, raw: Path, made: dict[Format, Path], output: Format, tmp_path: Path) -> None:
        kill_after_a_part("nlvr2", raw, tmp_path / "out", "--output", output, *THREE, "--workers", "2")
        convert_to(output, "nlvr2", raw, tmp_path / "out", shard_records=3)
        assert snapshot(tmp_path / "out") == snapshot(made[output])

    @pytest.mark.parametrize("output", FORMATS)
    def test_killed_after_the_first_shard(
        self, raw: Path, made: dict[Format, Path], output: Format, tmp_path: Path
    ) -> None:
        """What was finished is not written again."""
        out = tmp_path / "out"
        words = ("convert", "nlvr2", "--source", raw, "--out_dir", out, "--output", output, *THREE)
        killed_after("shards._commit", *words)
        assert not list(out.glob("nlvr2_*")) and not (out / "manifest.json").exists()
        finished = (out / f".convert/shards/train/00000{SUFFIX_OF[output]}").stat()
        convert_to(output, "nlvr2", raw, out, shard_records=3)
        placed = first_shard(out, output).stat()
        assert (placed.st_ino, placed.st_mtime_ns) == (finished.st_ino, finished.st_mtime_ns)
        assert snapshot(out) == snapshot(made[output])

    @pytest.mark.parametrize("function", ["shards.sync_folder", "finalize.make_shards", "finalize.place_shards"])
    def test_killed_anywhere_in_the_end(
        self, raw: Path, made: dict[Format, Path], function: str, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        words = ("convert", "nlvr2", "--source", raw, "--out_dir", out, "--output", "webdataset", *THREE)
        killed_after(function, *words)
        assert not (out / "manifest.json").exists()
        convert_to("webdataset", "nlvr2", raw, out, shard_records=3)
        assert snapshot(out) == snapshot(made["webdataset"])

    def test_killed_when_all_is_done(self, raw: Path, made: dict[Format, Path], tmp_path: Path) -> None:
        out = tmp_path / "out"
        words = ("convert", "nlvr2", "--source", raw, "--out_dir", out, "--output", "parquet", *THREE)
        killed_after("engine.finalize", *words)
        assert "Nothing to do" in convert(raw, out, "parquet", *THREE)
        assert snapshot(out) == snapshot(made["parquet"])

    def test_a_half_written_shard_counts_for_nothing(self, raw: Path, made: dict[Format, Path], tmp_path: Path) -> None:
        out = tmp_path / "out"
        words = ("convert", "nlvr2", "--source", raw, "--out_dir", out, "--output", "webdataset", *THREE)
        killed_after("shards._commit", *words)
        shards = out / ".convert/shards/train"
        (shards / "00001.new").write_bytes(b"half of a shard")
        (shards / "00000.tar").write_bytes((shards / "00000.tar").read_bytes()[:-512])
        convert_to("webdataset", "nlvr2", raw, out, shard_records=3)
        assert snapshot(out) == snapshot(made["webdataset"])


class TestShards:
    @pytest.fixture
    def large(self, tmp_path: Path) -> Path:
        """Seven records of 400 kB of text each."""
        lines = [line(f"r{number}", user=f"{number}" * 400_000) for number in range(7)]
        return write_dataset(tmp_path / "large", {"train": lines})

    @pytest.mark.parametrize("output", FORMATS)
    def test_megabytes(self, large: Path, tmp_path: Path, output: Format) -> None:
        manifest = reshard(large, tmp_path / "out", output, shard_mb=1)
        assert [(file.path, file.records) for file in manifest.files] == [
            (f"toy_train-{number:05d}-of-00003{SUFFIX_OF[output]}", records) for number, records in enumerate((3, 3, 1))
        ]
        assert codes(tmp_path / "out") == {}

    def test_records_and_megabytes(self, large: Path, tmp_path: Path) -> None:
        manifest = reshard(large, tmp_path / "out", "webdataset", shard_mb=1, shard_records=2)
        assert [file.records for file in manifest.files] == [2, 2, 2, 1]

    @pytest.mark.parametrize("output", SHARDED)
    def test_packed_formats_begin_anew_by_themselves(
        self, large: Path, tmp_path: Path, output: Format, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("phi3v_data.convert.shards._PACKED_MB", 2)
        assert [file.records for file in reshard(large, tmp_path / "out", output).files] == [5, 2]
        alone = reshard(large, tmp_path / "alone", output, shard_records=100)
        assert [(file.path, file.records) for file in alone.files] == [
            (f"toy_train-00000-of-00001{SUFFIX_OF[output]}", 7)
        ]

    def test_one_file_of_json_lines_where_nothing_is_said(self, large: Path, tmp_path: Path) -> None:
        assert [file.path for file in reshard(large, tmp_path / "out").files] == ["toy_train.jsonl"]

    @pytest.mark.parametrize("flags", [("--shard_records", "0"), ("--shard_mb", "-1"), ("--output", "csv")])
    def test_limits_that_make_no_sense(self, large: Path, tmp_path: Path, flags: tuple[str, str]) -> None:
        assert flags[0] in run("reshard", large, "--out_dir", tmp_path / "out", *flags, code=2).stderr


class TestTheSameFolder:
    @pytest.mark.parametrize("output", FORMATS)
    def test_a_whole_dataset_is_left_alone(self, raw: Path, copy: Path, output: Format) -> None:
        before = {path: path.stat().st_mtime_ns for path in copy.rglob("*") if path.is_file()}
        assert "Nothing to do: the dataset was complete." in convert(raw, copy, output, *THREE)
        assert {path: path.stat().st_mtime_ns for path in copy.rglob("*") if path.is_file()} == before

    @pytest.mark.parametrize("output", ["webdataset"])
    @pytest.mark.parametrize(
        ("flags", "says"),
        [
            (("parquet",), "the output is webdataset --shard_records 3, now parquet"),
            (("webdataset",), "the output is webdataset --shard_records 3, now webdataset"),
            (("webdataset", "--shard_mb", "3"), "now webdataset --shard_mb 3"),
            (("jsonl",), "now jsonl"),
        ],
    )
    def test_another_output_is_refused(self, raw: Path, copy: Path, flags: tuple[str, ...], says: str) -> None:
        before = snapshot(copy)
        said = convert(raw, copy, *flags, code=2)
        assert said.count("\n") == 1 and said.startswith(f"Error: {copy} holds another conversion (")
        assert says in said and said.endswith("pass --overwrite to replace it\n")
        assert snapshot(copy) == before

    @pytest.mark.parametrize("output", FORMATS)
    @pytest.mark.parametrize("new", FORMATS)
    def test_overwriting_leaves_nothing_of_the_old(
        self, raw: Path, made: dict[Format, Path], copy: Path, output: Format, new: Format
    ) -> None:
        convert_to(new, "nlvr2", raw, copy, overwrite=True, shard_records=3)
        assert snapshot(copy) == snapshot(made[new])

    @pytest.mark.parametrize("output", FORMATS)
    def test_a_deleted_shard_is_noticed_and_made_again(
        self, raw: Path, made: dict[Format, Path], copy: Path, output: Format
    ) -> None:
        lost = first_shard(copy, output)
        lost.unlink()
        assert codes(copy) == {"E604": 1} | ({"W417": 1} if output == "jsonl" else {})  # its images are there still
        with pytest.raises(DataError, match=f"lacks {lost.name}; make the dataset again"):
            Dataset(copy).split("val")
        convert_to(output, "nlvr2", raw, copy, shard_records=3)
        assert snapshot(copy) == snapshot(made[output])

    @pytest.mark.parametrize("output", SHARDED)
    def test_a_cut_shard_is_noticed_and_made_again(
        self, raw: Path, made: dict[Format, Path], copy: Path, output: Format
    ) -> None:
        cut = first_shard(copy, output)
        cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
        assert codes(copy) == {"E109": 1, "E602": 1}
        assert [finding.code for finding in Dataset(copy).check_manifest()] == ["E603", "E602"]
        with pytest.raises(DataError, match="fetch or make it again"):
            list(Dataset(copy).split("train"))
        convert_to(output, "nlvr2", raw, copy, shard_records=3)
        assert snapshot(copy) == snapshot(made[output])

    @pytest.mark.parametrize("output", SHARDED)
    def test_a_flipped_bit_is_noticed(self, copy: Path, output: Format) -> None:
        """In a picture, of which only the sum can tell."""
        path = first_shard(copy, output)
        data = bytearray(path.read_bytes())
        data[data.index(b"\x89PNG") + 60] ^= 1
        path.write_bytes(data)
        assert codes(copy) == {"E602": 1}
        assert [finding.code for finding in Dataset(copy).check_manifest()] == ["E602"]


class TestManifest:
    @pytest.mark.parametrize("output", SHARDED)
    def test_a_dataset_as_it_was_converted_is_left_alone(self, copy: Path, output: Format) -> None:
        before = snapshot(copy)
        assert "Nothing to do" in run("manifest", copy).stdout
        assert snapshot(copy) == before

    @pytest.mark.parametrize("output", SHARDED)
    def test_a_folder_without_one(self, copy: Path, output: Format) -> None:
        old = json.loads((copy / "manifest.json").read_bytes())
        (copy / "manifest.json").unlink()
        assert codes(copy) == {"W607": 1}
        manifest = renew_manifest(copy).manifest
        assert manifest is not None
        figures = [file.model_dump() for file in manifest.files]
        assert figures == sorted(old["files"], key=lambda file: file["path"])
        assert codes(copy) == {}

    @pytest.mark.parametrize("output", SHARDED)
    def test_images_that_nobody_looks_at(self, copy: Path, output: Format) -> None:
        (copy / "manifest.json").unlink()
        manifest = renew_manifest(copy, images="none").manifest
        assert manifest is not None and {file.image_bytes for file in manifest.files} == {None}
        assert sum(file.images for file in manifest.files) == 48

    @pytest.mark.parametrize("output", SHARDED)
    def test_a_shard_that_is_gone(self, copy: Path, output: Format) -> None:
        first_shard(copy, output).unlink()
        assert "E604" in run("manifest", copy, code=1).stdout
        for path in copy.glob("nlvr2_train*"):
            path.unlink()
        assert "nlvr2_train-00000-of-00006" in run("manifest", copy).stdout
        assert {file["split"] for file in json.loads((copy / "manifest.json").read_bytes())["files"]} == {"val", "test"}
        assert codes(copy) == {}


@pytest.mark.parametrize("output", SHARDED)
def test_rejects_are_told_as_ever(raw: Path, tmp_path: Path, output: Format) -> None:
    source = shutil.copytree(raw, tmp_path / "raw")
    broken = min(source.rglob("*.png"))
    broken.write_bytes(broken.read_bytes()[:50])
    for kind in (output, "jsonl"):
        convert_to(kind, "nlvr2", source, tmp_path / kind)
    assert rejects(tmp_path / output) == rejects(tmp_path / "jsonl") != []
    assert contents(tmp_path / output) == contents(tmp_path / "jsonl")
    assert codes(tmp_path / output) == {}


@pytest.mark.parametrize("output", SHARDED)
def test_a_full_disk_is_one_sentence_and_the_next_run_goes_on(tmp_path: Path, output: Format) -> None:
    """A limit on the size of any file, which the parts stay below and the shard does not."""
    lines = [line(f"r{number:02d}", user=f"{number:02d}" * 40_000) for number in range(40)]
    data = write_dataset(tmp_path / "data", {"train": lines})
    out, expected = tmp_path / "out", tmp_path / "expected"
    words = [sys.executable, "-m", "phi3v_data", "reshard", str(data), "--out_dir", str(out), "--output", output]

    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))

    done = subprocess.run(words, capture_output=True, text=True, preexec_fn=lower, check=False)
    assert done.returncode == 3
    says = f"Error: no space left for {out}: free some space and run the same command again\n"
    assert done.stderr.endswith(says) and done.stderr.count("\n") == 1
    assert len(list((out / ".convert/parts").iterdir())) == 3 and not list(out.rglob("*.new"))
    run(*words[3:])
    reshard(data, expected, output)
    assert snapshot(out) == snapshot(expected)


def test_only_parquet_needs_pyarrow(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['pyarrow'] = None; from phi3v_data.cli import main; sys.argv[0] = 'phi3v-data'; main()"
    )
    data = write_dataset(tmp_path / "data", {"train": [line("a")]})
    for output, code in (("webdataset", 0), ("parquet", 3)):
        words = ["reshard", str(data), "--out_dir", str(tmp_path / output), "--output", output]
        done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
    assert done.stderr.startswith(
        "Error: Reading and writing Parquet files needs the package 'pyarrow': run pip install"
    )


def test_a_changed_output_is_a_usage_error(raw: Path, made: dict[Format, Path]) -> None:
    with pytest.raises(UsageError, match="holds another conversion"):
        convert_to("jsonl", "nlvr2", raw, made["parquet"], shard_records=3)
