"""`phi3v-data convert ucf101`: every layout it reads, and the dataset it writes, to the byte."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from phi3v_data.tokens import image_tokens
from tests.helpers import convert, make_video, read_lines, run, snapshot, spread

if TYPE_CHECKING:
    from pathlib import Path

QUESTION = "Classify the video into one of the following classes: Alpha, Bêta, 日本."


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips that all convert, no two with a frame in common: three splits, three classes, two containers."""
    root = tmp_path_factory.mktemp("raw")
    names = (
        "train/Alpha/v_Alpha_g01_c01.avi",
        "train/Alpha/v_Alpha_g01_c02.mp4",
        "train/Bêta/holiday.mkv",
        "train/日本/2024/夏 祭り.MP4",
        "val/Alpha/v_Alpha_g02_c01.avi",
        "test/Bêta/v_Bêta_g03_c01.avi",
        "test/日本/kyoto.avi",
    )
    for index, name in enumerate(names):
        make_video(root / name, blue=30 * index)
    make_video(root / "train/Alpha/short.avi", count=3, blue=240)
    return root


@pytest.fixture(scope="module")
def dataset(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the clips become with no options."""
    out = tmp_path_factory.mktemp("made") / "dataset"
    convert(raw, out)
    return out


def frames(split: str, clip: str, count: int = 8) -> list[str]:
    return [f"{split}/{clip}.{k}.jpg" for k in range(count)]


class TestDataset:
    def test_first_line_is_what_the_recipe_wrote_and_a_group(self, dataset: Path) -> None:
        images = ",".join(f'"train/Alpha/short.{k}.jpg"' for k in range(8))
        second = ",".join(f'"train/Alpha/v_Alpha_g01_c01.{k}.jpg"' for k in range(8))
        written = (dataset / "ucf101_train.jsonl").read_text(encoding="utf-8").splitlines()
        assert written[0] == (
            '{"id":"train-0000000000","source":"ucf101",'
            f'"conversations":[{{"images":[{images}],"user":"{QUESTION}","assistant":"Alpha"}}]}}'
        )
        assert written[1] == (
            '{"id":"train-0000000001","source":"ucf101","group":"Alpha/g01",'
            f'"conversations":[{{"images":[{second}],"user":"{QUESTION}","assistant":"Alpha"}}]}}'
        )

    def test_records_are_numbered_over_train_val_and_test_in_sorted_order(self, dataset: Path) -> None:
        rows = [row for split in ("train", "val", "test") for row in read_lines(dataset / f"ucf101_{split}.jsonl")]
        assert [(row["id"], row.get("group"), row["conversations"][0]["assistant"]) for row in rows] == [
            ("train-0000000000", None, "Alpha"),
            ("train-0000000001", "Alpha/g01", "Alpha"),
            ("train-0000000002", "Alpha/g01", "Alpha"),
            ("train-0000000003", None, "Bêta"),
            ("train-0000000004", None, "日本"),
            ("val-0000000005", "Alpha/g02", "Alpha"),
            ("test-0000000006", "Bêta/g03", "Bêta"),
            ("test-0000000007", None, "日本"),
        ]
        assert rows[4]["conversations"][0]["images"] == frames("train", "日本/2024/夏 祭り")
        assert {row["conversations"][0]["user"] for row in rows} == {QUESTION}

    def test_the_folder_holds_what_it_says_and_nothing_else(self, dataset: Path) -> None:
        rows = [row for path in dataset.glob("ucf101_*.jsonl") for row in read_lines(path)]
        images = {f"images/{name}" for row in rows for name in row["conversations"][0]["images"]}
        files = {f"ucf101_{split}.jsonl" for split in ("train", "val", "test")}
        assert snapshot(dataset).keys() == images | files | {"manifest.json", "contact_sheet.jpg"}
        assert not (dataset / ".convert").exists()
        with Image.open(dataset / "contact_sheet.jpg") as sheet:
            sheet.load()
        manifest = json.loads((dataset / "manifest.json").read_text(encoding="utf-8"))
        assert manifest["classes"] == {
            "train": {"Alpha": 3, "Bêta": 1, "日本": 1},
            "val": {"Alpha": 1},
            "test": {"Bêta": 1, "日本": 1},
        }
        assert [(file["split"], file["records"], file["images"]) for file in manifest["files"]] == [
            ("train", 5, 40),
            ("val", 1, 8),
            ("test", 2, 16),
        ]

    def test_it_validates_clean(self, dataset: Path) -> None:
        report = json.loads(run("validate", dataset, "--strict", "--format", "json").stdout)
        assert (report["records"], report["counts"], report["findings"]) == (8, {}, [])

    def test_a_clip_shorter_than_asked_repeats_its_frames(self, dataset: Path) -> None:
        shown = [(dataset / "images" / name).read_bytes() for name in frames("train", "Alpha/short")]
        assert [shown.index(frame) for frame in shown] == [0, 0, 0, 3, 3, 3, 6, 6]  # floor(k * 3 / 8) rises at 3 and 6

    def test_the_same_again_has_nothing_to_do_and_changes_nothing(self, raw: Path, dataset: Path) -> None:
        before = snapshot(dataset)
        done = run("convert", "ucf101", "--source", raw, "--out-dir", dataset, "--format", "json")
        assert json.loads(done.stdout)["was_complete"] is True
        assert snapshot(dataset) == before

    def test_a_dry_run_shows_the_first_record_and_writes_nothing(
        self, raw: Path, dataset: Path, tmp_path: Path
    ) -> None:
        out, scratch = tmp_path / "out", tmp_path / "scratch"
        scratch.mkdir()
        command = ("convert", "ucf101", "--source", raw, "--out_dir", out, "--dry_run", "--workers", "1")
        before = snapshot(raw)
        text = run(*command, cwd=scratch, env={"TMPDIR": str(scratch)}).stdout
        document = json.loads(run(*command, "--format", "json", cwd=scratch, env={"TMPDIR": str(scratch)}).stdout)
        assert list(tmp_path.rglob("*")) == [scratch]
        assert snapshot(raw) == before
        first = (dataset / "ucf101_train.jsonl").read_text(encoding="utf-8").splitlines()[0]
        assert document["first_record"] == first == text.splitlines()[-1]
        assert document["splits"] == {"train": 5, "val": 1, "test": 2}
        assert (document["rejected"], document["sampled"], document["sample_rejects"]) == (0, 7, 0)
        assert (document["records"], document["images"]) == (8, 64)
        tokens = {crops: 64 * image_tokens(64, 48, crops) for crops in (1, 4, 16)}
        assert document["image_tokens"] == {str(crops): count for crops, count in tokens.items()}
        assert f"image tokens at num_crops 4: {tokens[4]:,}" in text


class TestOptions:
    def test_they_shape_frames_prompt_and_choice(self, raw: Path, dataset: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        flags = ("--num-frames", "4", "--image-size", "32", "--quality", "30", "--limit", "1")
        asked = ("--classes", "日本,Alpha", "--prompt", "Which of {classes} is {it}?")
        done = convert(raw, out, *flags, *asked, "--format", "json")
        document = json.loads(done.stdout)
        assert document["out_dir"] == str(out)
        assert document["was_complete"] is False
        assert document["manifest"] == json.loads((out / "manifest.json").read_text(encoding="utf-8"))
        assert done.stderr == ""
        rows = [row for split in ("train", "val", "test") for row in read_lines(out / f"ucf101_{split}.jsonl")]
        question = "Which of 日本, Alpha is {it}?"
        assert [(row["id"], row["conversations"]) for row in rows] == [
            (identity, [{"images": frames(split, clip, 4), "user": question, "assistant": label}])
            for identity, split, clip, label in (
                ("train-0000000000", "train", "Alpha/short", "Alpha"),
                ("val-0000000001", "val", "Alpha/v_Alpha_g02_c01", "Alpha"),
                ("test-0000000002", "test", "日本/kyoto", "日本"),
            )
        ]
        small = out / "images" / frames("val", "Alpha/v_Alpha_g02_c01")[0]
        plain = dataset / small.relative_to(out)
        with Image.open(small) as image, Image.open(plain) as full:
            assert (image.size, full.size) == ((32, 24), (64, 48))
            assert image.quantization[0][0] > full.quantization[0][0]
        run("validate", out, "--strict")

    def test_wrong_usage_is_one_sentence_that_names_the_flag(self, raw: Path, tmp_path: Path) -> None:
        spread(tmp_path / "bare", "Alpha/notes.txt", "readme.md")
        out = tmp_path / "out"
        for flags, says in (
            (["--source", tmp_path / "bare"], "no videos found in"),
            (["--source", tmp_path / "nowhere"], f"there is no {tmp_path / 'nowhere'}"),
            (["--source", raw, "--classes", "Alpah"], "did you mean 'Alpha'?"),
            (["--source", raw, "--num_frames", "eight"], "--num_frames: input should be a valid integer"),
            (["--source", raw, "--fold", "4"], "'--fold': '4' is not one of '1', '2', '3'"),
            (["--source", raw, "--image-size", "0"], "--image_size: input should be greater than or equal to 16"),
        ):
            done = run("convert", "ucf101", "--out_dir", out, *flags, code=2)
            assert done.stdout == ""
            assert says in done.stderr.splitlines()[-1]
        assert not out.exists()


class TestRejects:
    def test_each_is_named_and_costs_nobody_else_a_number(self, tmp_path: Path) -> None:
        raw, out = tmp_path / "wrapper" / "data", tmp_path / "out [red][/y]"
        for name in ("train/A/a.avi", "train/A/c.avi", "train/B/sub/d.avi", "test/A/e.avi", "train/stray.avi"):
            make_video(raw / name, count=9)
        make_video(raw / "train/A/a.mp4", count=9)
        spread(raw, "train/A/b.avi", content=b"a text in a video's clothes")
        spread(raw, "train/A/empty.mp4", content=b"")
        spread(raw, "train/A/._a.avi", "train/A/.DS_Store", "train/.hidden/f.avi", "train/__MACOSX/A/g.avi")
        spread(raw.parent, "__MACOSX/data/train/A/h.avi", "._data", ".DS_Store")
        done = convert(raw.parent, out, code=1)
        assert done.stderr == f"4 rejected (--max_rejects 0): see {out / 'rejects.jsonl'}\n"
        assert "[red][/y]" in done.stdout.partition("┏")[0].replace("\n", "")
        rejects = read_lines(out / "rejects.jsonl")
        assert all(row.keys() == {"source", "split", "code", "message"} and row["message"] for row in rejects)
        assert [(row["source"], row["split"], row["code"]) for row in rejects] == [
            ("train/stray.avi", "train", "no_class"),
            ("train/A/a.mp4", "train", "duplicate_output"),
            ("train/A/b.avi", "train", "not_a_video"),
            ("train/A/empty.mp4", "train", "empty"),
        ]
        train, test = read_lines(out / "ucf101_train.jsonl"), read_lines(out / "ucf101_test.jsonl")
        assert [(row["id"], row["conversations"][0]["images"][0]) for row in train + test] == [
            ("train-0000000000", "train/A/a.0.jpg"),
            ("train-0000000003", "train/A/c.0.jpg"),
            ("train-0000000005", "train/B/sub/d.0.jpg"),
            ("test-0000000006", "test/A/e.0.jpg"),
        ]
        run("validate", out)
        again = convert(raw.parent, out, "--max_rejects", "4")
        assert again.stdout.startswith(
            "Nothing to do: the dataset was complete; where rejected sources were mended, pass --overwrite."
        )
