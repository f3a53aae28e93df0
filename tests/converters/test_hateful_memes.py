"""`phi3v-data convert hateful_memes`: both releases and the Cauldron, and the datasets they become, to the byte."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import datasets
import pytest

from phi3v_converters.hateful_memes import HatefulMemes, HatefulMemesOptions
from phi3v_data.errors import CannotRun, UsageError
from tests.converters.converting import convert_folder, kill_after_a_part, rejects
from tests.converters.made_sources import picture, write_json_lines, write_parquet, write_picture
from tests.helpers import read_lines, run, snapshot

if TYPE_CHECKING:
    from pathlib import Path

QUESTION = "Is this meme hateful?\nAnswer yes or no."
TEXT = datasets.Value("string")
CAULDRON = datasets.Features(
    {
        "images": datasets.Sequence(datasets.Image()),
        "texts": [{"user": TEXT, "assistant": TEXT, "source": TEXT}],
    }
)


def row(number: int | str, label: int | None = None, text: str = "look at this", **changes: Any) -> dict[str, Any]:
    """Return a row of the originals, its fields in their order; without a label it has no such key."""
    labelled = {} if label is None else {"label": label}
    return {"id": number, "img": f"img/{int(number):05d}.png", **labelled, "text": text, **changes}


def record(identity: str, image: str, answer: str | None, number: Any = None, question: str = QUESTION) -> Any:
    """Return the record of a meme; without an answer it is there to be evaluated."""
    turn = {"images": [image], "user": question, **({"assistant": answer} if answer else {})}
    metadata = {} if number is None else {"metadata": {"id": number}}
    return {"id": identity, "source": "hateful_memes", "conversations": [turn], **metadata}


def records(out: Path) -> list[Any]:
    """Return the records of all splits, in order of their ids' numbers."""
    rows = [row for path in out.glob("hateful_memes_*.jsonl") for row in read_lines(path)]
    return sorted(rows, key=lambda row: row["id"].rpartition("-")[2])


def write_release(root: Path, files: dict[str, list[dict[str, Any]]]) -> Path:
    """Write the lines of each file, and a picture for each id: the one it names, of that seed."""
    for name, rows in files.items():
        write_json_lines(root / f"{name}.jsonl", rows)
        for meme in rows:
            write_picture(root / meme["img"], int(meme["id"]))
    return root


def write_first(root: Path) -> Path:
    write_release(root, {"train": [row(42953, 0), row(8291, 1)], "dev": [row(1234, 1)], "test": [row(16395)]})
    write_picture(root / "img/8291.png", 999)  # a picture that the id without its zeros would name
    return root


def write_later(root: Path) -> Path:
    files = {
        "train": [row("42953", 0), row("08291", 1)],
        "dev_seen": [row("01234", 1), row("01235", 0)],
        "dev_unseen": [row("01234", 1), row("05678", 0)],
        "test_seen": [row("16395", 1), row("16396")],
        "test_unseen": [row("20000", 0)],
    }
    write_release(root, files)
    write_picture(root / "img/42953.png", 42953, "JPEG")
    (root / "README.md").write_text("…", encoding="utf-8")
    return root


def cauldron_row(seed: int, user: str, assistant: str) -> dict[str, Any]:
    text = {"user": user, "assistant": assistant, "source": "Hateful Memes"}
    return {"images": [{"bytes": picture(seed), "path": None}], "texts": [text]}


def write_cauldron(root: Path) -> Path:
    rows = [
        cauldron_row(1, "Does this meme support discrimination?\nAnswer yes or no.", "Yes."),
        cauldron_row(2, "Is the humor in this meme in bad taste?\nAnswer yes or no.", "No."),
    ]
    write_parquet(root / "hateful_memes/train-00000-of-00007-33e2982e1d27df29.parquet", rows, CAULDRON)
    write_parquet(root / "docvqa/train-00000-of-00014-d617a15cc5127a86.parquet", rows[:1], CAULDRON)
    return root


SOURCES = {
    "first": (write_first, {}, [
        record("train-0000000000", "train/08291.0.png", "Yes.", 8291),
        record("train-0000000001", "train/42953.0.png", "No.", 42953),
        record("val-0000000002", "val/01234.0.png", "Yes.", 1234),
        record("test-0000000003", "test/16395.0.png", None, 16395),
    ]),
    "later": (write_later, {}, [
        record("train-0000000000", "train/08291.0.png", "Yes.", "08291"),
        record("train-0000000001", "train/42953.0.jpg", "No.", "42953"),
        record("val-0000000002", "val/01234.0.png", "Yes.", "01234"),
        record("val-0000000003", "val/01235.0.png", "No.", "01235"),
        record("test-0000000004", "test/16395.0.png", "Yes.", "16395"),
        record("test-0000000005", "test/16396.0.png", None, "16396"),
        record("val-unseen-0000000006", "val-unseen/01234.0.png", "Yes.", "01234"),
        record("val-unseen-0000000007", "val-unseen/05678.0.png", "No.", "05678"),
        record("test-unseen-0000000008", "test-unseen/20000.0.png", "No.", "20000"),
    ]),
    "cauldron": (write_cauldron, {"val_fraction": 0}, [
        record("train-0000000000", "train/train-00000/0000000.0.png", "Yes.",
               question="Does this meme support discrimination?\nAnswer yes or no."),
        record("train-0000000001", "train/train-00000/0000001.0.png", "No.",
               question="Is the humor in this meme in bad taste?\nAnswer yes or no."),
    ]),
}  # fmt: skip
CLASSES = {
    "first": {"train": {"hateful": 1, "not hateful": 1}, "val": {"hateful": 1}},
    "later": {
        "train": {"hateful": 1, "not hateful": 1},
        "val": {"hateful": 1, "not hateful": 1},
        "test": {"hateful": 1},
        "val-unseen": {"hateful": 1, "not hateful": 1},
        "test-unseen": {"not hateful": 1},
    },
    "cauldron": {"train": {"hateful": 1, "not hateful": 1}},
}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every source, in its documented layout."""
    base = tmp_path_factory.mktemp("raw")
    return {name: write(base / name) for name, (write, _, _) in SOURCES.items()}


@pytest.fixture(scope="module")
def made(raw: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The dataset that each of them becomes."""
    base = tmp_path_factory.mktemp("made")
    for name, (_, options, _) in SOURCES.items():
        convert_folder("hateful_memes", raw[name], base / name, **options)
    return {name: base / name for name in SOURCES}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty memes of the split train and twenty of val: seven parts."""
    root = tmp_path_factory.mktemp("many")
    for name, numbers in (("train", range(80)), ("dev_seen", range(80, 100))):
        write_json_lines(root / f"{name}.jsonl", [row(number, number % 2) for number in numbers])
    for number in range(100):
        write_picture(root / f"img/{number:05d}.png", number, "BMP" if number % 3 == 0 else "PNG")
    return root


class TestSources:
    @pytest.mark.parametrize("name", SOURCES)
    def test_becomes_these_records_and_nothing_else(self, name: str, made: dict[str, Path]) -> None:
        expected = SOURCES[name][2]
        assert records(made[name]) == expected
        images = {f"images/{image}" for row in expected for image in row["conversations"][0]["images"]}
        splits = {row["id"].rpartition("-")[0] for row in expected}
        files = {f"hateful_memes_{split}.jsonl" for split in splits} | {"manifest.json", "contact_sheet.jpg"}
        assert snapshot(made[name]).keys() == images | files

    @pytest.mark.parametrize("name", SOURCES)
    def test_the_manifest_counts_classes_of_what_is_labelled(self, name: str, made: dict[str, Path]) -> None:
        manifest = json.loads((made[name] / "manifest.json").read_text(encoding="utf-8"))
        assert manifest["classes"] == CLASSES[name]
        assert list(manifest["classes"]) == list(CLASSES[name])
        splits = {row["id"].rpartition("-")[0] for row in SOURCES[name][2]}
        assert {file["split"] for file in manifest["files"]} == splits

    @pytest.mark.parametrize("name", SOURCES)
    def test_two_workers_give_the_same_bytes(
        self, name: str, raw: dict[str, Path], made: dict[str, Path], tmp_path: Path
    ) -> None:
        flags = [word for key, value in SOURCES[name][1].items() for word in (f"--{key}", str(value))]
        run("convert", "hateful_memes", "--source", raw[name], "--out_dir", tmp_path / "out", "--workers", "2", *flags)
        assert snapshot(tmp_path / "out") == snapshot(made[name])

    def test_all_validate_clean_but_for_the_meme_that_both_vals_hold(self, made: dict[str, Path]) -> None:
        report = json.loads(run("validate", *made.values(), "--format", "json").stdout)
        assert report["counts"] == {"W502": 1}
        (finding,) = report["findings"]
        assert "'val-unseen/01234.0.png' is also in the split 'val'" in finding["message"]
        assert report["records"] == sum(len(expected) for _, _, expected in SOURCES.values())

    def test_a_line_is_the_one_of_the_documentation(self, made: dict[str, Path]) -> None:
        assert (made["first"] / "hateful_memes_train.jsonl").read_text(encoding="utf-8").splitlines()[0] == (
            '{"id":"train-0000000000","source":"hateful_memes","conversations":[{"images":["train/08291.0.png"],'
            '"user":"Is this meme hateful?\\nAnswer yes or no.","assistant":"Yes."}],"metadata":{"id":8291}}'
        )

    def test_the_picture_is_the_one_that_img_names(self, made: dict[str, Path]) -> None:
        assert (made["first"] / "images/train/08291.0.png").read_bytes() == picture(8291)
        assert (made["later"] / "images/train/08291.0.png").read_bytes() == picture(8291)
        assert (made["later"] / "images/train/42953.0.jpg").read_bytes() == picture(42953, "JPEG")

    def test_of_both_releases_in_one_folder_the_later_is_read(self, tmp_path: Path) -> None:
        files = {"dev": [row(1, 1)], "dev_seen": [row(2, 0)], "test": [row(3)], "test_seen": [row(4, 1)]}
        convert_folder("hateful_memes", write_release(tmp_path / "raw", files), tmp_path / "out")
        assert [(row["id"], row["metadata"]["id"]) for row in records(tmp_path / "out")] == [
            ("val-0000000000", 2),
            ("test-0000000001", 4),
        ]

    def test_the_cauldrons_own_folder_will_do_and_val_is_carved_off(self, tmp_path: Path) -> None:
        rows = [cauldron_row(n, f"Row {n}?\nAnswer yes or no.", "Yes." if n % 2 else "No.") for n in range(40)]
        write_parquet(tmp_path / "raw/train-00000-of-00007-33e2982e1d27df29.parquet", rows, CAULDRON)
        manifest = convert_folder("hateful_memes", tmp_path / "raw", tmp_path / "out", val_fraction=0.3, seed=4)
        assert (manifest.converter.options["val_fraction"], manifest.converter.options["seed"]) == (0.3, 4)
        counts = {file.split: file.records for file in manifest.files}
        assert counts["train"] + counts["val"] == 40
        assert 4 <= counts["val"] <= 20
        said = {
            row["conversations"][0]["user"]: row["conversations"][0]["assistant"] for row in records(tmp_path / "out")
        }
        assert said == {f"Row {n}?\nAnswer yes or no.": "Yes." if n % 2 else "No." for n in range(40)}


class TestPrompt:
    def test_the_caption_comes_before_the_question(self, tmp_path: Path) -> None:
        rows = [row(1, 0, 'they say "no"\nto us'), row(2, 1, "  über alles 日本 "), row(3, 0)]
        root = write_release(tmp_path / "raw", {"train": rows})
        convert_folder("hateful_memes", root, tmp_path / "out", include_text=True)
        assert [row["conversations"][0]["user"] for row in records(tmp_path / "out")] == [
            f'The meme says: "they say "no"\nto us"\n{QUESTION}',
            f'The meme says: "über alles 日本"\n{QUESTION}',
            f'The meme says: "look at this"\n{QUESTION}',
        ]

    def test_the_question_is_the_users_choice(self, raw: dict[str, Path], tmp_path: Path) -> None:
        convert_folder("hateful_memes", raw["first"], tmp_path / "out", include_text=True, prompt="Hate {or} not?")
        assert (
            records(tmp_path / "out")[0]["conversations"][0]["user"] == 'The meme says: "look at this"\nHate {or} not?'
        )

    @pytest.mark.parametrize("text", [None, "", " \n", 5, ["a"]], ids=str)
    def test_a_caption_is_needed_only_where_it_is_shown(self, text: Any, tmp_path: Path) -> None:
        lacking = [row(2, 1, text=text), {key: value for key, value in row(3, 1).items() if key != "text"}]
        root = write_release(tmp_path / "raw", {"train": [row(1, 0), *lacking]})
        convert_folder("hateful_memes", root, tmp_path / "with", include_text=True)
        assert rejects(tmp_path / "with") == [
            ("train.jsonl:2", "train", "no_caption"),
            ("train.jsonl:3", "train", "no_caption"),
        ]
        convert_folder("hateful_memes", root, tmp_path / "without")
        assert (rejects(tmp_path / "without"), len(records(tmp_path / "without"))) == ([], 3)


class TestRejects:
    def convert(self, root: Path, *rows: dict[str, Any]) -> Path:
        """Convert rows behind a good one of the id 1, of a folder that holds whatever was put there."""
        write_release(root, {"train": [row(1, 0)]})
        write_json_lines(root / "train.jsonl", [row(1, 0), *rows])
        out = root.with_name(root.name + "-out")
        convert_folder("hateful_memes", root, out, val_fraction=0)
        assert records(out)[0] == record("train-0000000000", "train/00001.0.png", "No.", 1)
        return out

    @pytest.mark.parametrize("label", [True, False, "1", "hateful", 2, -1, 1.0, [1]], ids=repr)
    def test_a_label_that_is_neither_0_nor_1(self, label: Any, tmp_path: Path) -> None:
        write_picture(tmp_path / "raw/img/00002.png", 2)
        out = self.convert(tmp_path / "raw", {**row(2), "label": label})
        assert rejects(out) == [("train.jsonl:2", "train", "bad_label")]
        message = f"the label is {label!r}, expected 0 (not hateful) or 1 (hateful)"
        assert read_lines(out / "rejects.jsonl")[0]["message"] == message
        assert len(records(out)) == 1

    def test_null_reads_as_absent(self, tmp_path: Path) -> None:
        write_picture(tmp_path / "raw/img/00002.png", 2)
        out = self.convert(tmp_path / "raw", {**row(2), "label": None}, row(2))
        assert rejects(out) == [(f"train.jsonl:{line}", "train", "no_label") for line in (2, 3)]

    @pytest.mark.parametrize("number", [1.5, [1], True])
    def test_an_id_of_another_type(self, number: Any, tmp_path: Path) -> None:
        write_picture(tmp_path / "raw/img/00002.png", 2)
        out = self.convert(tmp_path / "raw", {**row(2, 1), "id": number})
        assert rejects(out) == [("train.jsonl:2", "train", "bad_id")]

    @pytest.mark.parametrize("img", [None, "", 5, ["img/00001.png"]], ids=repr)
    def test_a_row_that_names_no_picture(self, img: Any, tmp_path: Path) -> None:
        out = self.convert(tmp_path / "raw", row(2, 1, img=img), {"id": 3, "label": 1, "text": "x"})
        assert rejects(out) == [("train.jsonl:2", "train", "no_picture"), ("train.jsonl:3", "train", "no_picture")]

    @pytest.mark.parametrize(
        "img", ["../secret.png", "img/../../secret.png", "/etc/secret.png", "..\\secret.png", "C:/x.png", "img//a.png",
                "img/a\0.png", "img/\ud83d.png", "img/", "."],
    )  # fmt: skip
    def test_a_path_that_may_leave_the_folder(self, img: str, tmp_path: Path) -> None:
        write_picture(tmp_path / "secret.png", 9)
        out = self.convert(tmp_path / "raw", row(2, 1, img=img))
        assert [(split, code) for _, split, code in rejects(out)] == [("train", "unsafe_path")]
        assert [image for image in snapshot(out) if image.startswith("images/")] == ["images/train/00001.0.png"]
        assert sorted(child.name for child in tmp_path.iterdir()) == ["raw", "raw-out", "secret.png"]

    def test_a_picture_of_two_rows_and_two_pictures_of_one_name(self, tmp_path: Path) -> None:
        write_picture(tmp_path / "raw/other/00001.png", 9)
        out = self.convert(tmp_path / "raw", row(2, 1, img="img/00001.png"), row(3, 1, img="other/00001.png"))
        assert rejects(out) == [
            ("train.jsonl:2", "train", "duplicate_picture"),
            ("other/00001.png", "train", "duplicate_output"),
        ]
        first = read_lines(out / "rejects.jsonl")[0]
        assert first["message"] == "its picture img/00001.png is also that of train.jsonl:1"
        assert (out / "images/train/00001.0.png").read_bytes() == picture(1)

    def test_a_row_that_is_refused_does_not_keep_its_picture_from_another(self, tmp_path: Path) -> None:
        write_picture(tmp_path / "raw/img/00002.png", 2)
        out = self.convert(tmp_path / "raw", row(2, 7), row(2, 1))
        assert rejects(out) == [("train.jsonl:2", "train", "bad_label")]
        assert len(records(out)) == 2

    def test_pictures_that_are_missing_or_none(self, tmp_path: Path) -> None:
        images = tmp_path / "raw/img"
        images.mkdir(parents=True)
        bad = {
            2: (b"", "empty_image"),
            3: (picture(3)[:500], "truncated"),
            4: (b"<html>404</html>", "not_an_image"),
            5: (b"version https://git-lfs.github.com/spec/v1\n", "not_an_image"),
            6: (None, "missing_image"),
        }
        for number, (data, _) in bad.items():
            if data is not None:
                (images / f"{number:05d}.png").write_bytes(data)
        out = self.convert(tmp_path / "raw", *(row(number, 1) for number in bad))
        assert rejects(out) == [(f"img/{number:05d}.png", "train", code) for number, (_, code) in bad.items()]

    def test_lines_that_are_no_rows(self, tmp_path: Path) -> None:
        write_release(tmp_path / "raw", {"train": [row(1, 0), row(2, 1)]})
        good = [json.dumps(row(number, number - 1)).replace("/", "\\/").encode() for number in (1, 2)]
        lines = [
            b"\xef\xbb\xbf" + good[0],
            b"",
            b"{",
            b"[1]",
            b"null",
            b"\xff\xfe{}",
            b"[" * 100_000,
            good[1][:-9],
            good[1],
        ]
        (tmp_path / "raw/train.jsonl").write_bytes(b"\r\n".join(lines))
        convert_folder("hateful_memes", tmp_path / "raw", tmp_path / "out")
        assert rejects(tmp_path / "out") == [(f"train.jsonl:{line}", "train", "invalid_json") for line in range(3, 9)]
        assert [row["metadata"]["id"] for row in records(tmp_path / "out")] == [1, 2]

    def test_half_a_surrogate_pair_costs_its_meme(self, tmp_path: Path) -> None:
        write_picture(tmp_path / "raw/img/00002.png", 2)
        out = self.convert(tmp_path / "raw", {**row(2, 1), "id": "\ud83d"})
        assert [(source, split) for source, split, _ in rejects(out)] == [("img/00002.png", "train")]


class TestUsage:
    def listed(self, root: Path, **options: Any) -> list[Any]:
        """List all that the converter finds in a folder."""
        splits = HatefulMemes(HatefulMemesOptions(**options), root).sources()
        return [source for split in splits.values() for source in split]

    def test_a_folder_of_something_else(self, tmp_path: Path) -> None:
        says = (
            r"no Hateful Memes found in .*: expected train.jsonl, dev_seen.jsonl or others of the release beside img/"
        )
        with pytest.raises(UsageError, match=says):
            self.listed(tmp_path)
        features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
        rows = [{"image": {"bytes": picture(1), "path": None}, "label": 1}]
        write_parquet(tmp_path / "data/train-00000-of-00001.parquet", rows, features)
        with pytest.raises(UsageError, match="is not the Cauldron's Hateful Memes: it has the columns image, label"):
            self.listed(tmp_path)

    def test_a_parquet_file_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "train-00000-of-00007.parquet").write_bytes(b"<html>")
        with pytest.raises(CannotRun, match=r"cannot be read as Parquet .*: get it anew"):
            self.listed(tmp_path)

    @pytest.mark.parametrize(
        ("name", "options", "flag"),
        [
            ("first", {"val_fraction": 0.1}, "val_fraction"),
            ("later", {"seed": 0}, "seed"),
            ("cauldron", {"prompt": QUESTION}, "prompt"),
            ("cauldron", {"include_text": True}, "include_text"),
            ("cauldron", {"include_text": False}, "include_text"),
        ],
    )
    def test_a_flag_without_meaning_for_the_source(
        self, name: str, options: dict[str, Any], flag: str, raw: dict[str, Path]
    ) -> None:
        with pytest.raises(UsageError, match=f"--{flag} has no meaning for this source, for .*: leave it out"):
            self.listed(raw[name], **options)

    def test_errors_are_one_sentence_and_leave_nothing(self, raw: dict[str, Path], tmp_path: Path) -> None:
        (tmp_path / "raw").mkdir()
        (tmp_path / "raw/train.jsonl").write_text('[{"id": 1}]\n', encoding="utf-8")
        for source, flags, says in (
            (tmp_path / "raw", (), "found nothing to convert in the source; train.jsonl:1: the line is no JSON object"),
            (raw["cauldron"], ("--include-text",), "--include_text has no meaning for this source"),
            (raw["first"], ("--prompt", ""), "--prompt: string should have at least 1 character"),
        ):
            done = run("convert", "hateful_memes", "--source", source, "--out_dir", tmp_path / "out", *flags, code=2)
            assert (done.stdout, says in done.stderr.splitlines()[-1]) == ("", True), done.stderr
            assert not (tmp_path / "out").exists()


class TestRuns:
    def test_killed_and_run_again_gives_the_same_bytes(self, many: Path, tmp_path: Path) -> None:
        flags = ("--include_text", "--image_size", "32")
        convert = ("convert", "hateful_memes", "--source", many, *flags)
        run(*convert, "--out_dir", tmp_path / "whole", "--workers", "1")
        kill_after_a_part("hateful_memes", many, tmp_path / "killed", *flags, "--workers", "2")
        run(*convert, "--out_dir", tmp_path / "killed", "--workers", "2")
        assert snapshot(tmp_path / "killed") == snapshot(tmp_path / "whole")

    def test_the_same_again_has_nothing_to_do_and_other_options_are_refused(
        self, raw: dict[str, Path], tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        convert_folder("hateful_memes", raw["first"], out, include_text=True)
        before = snapshot(out)
        command = ("convert", "hateful_memes", "--source", raw["first"], "--out_dir", out)
        assert run(*command, "--include_text").stdout.startswith("Nothing to do: the dataset was complete.")
        for options, says in (
            ({}, "include_text True, now False"),
            ({"include_text": True, "decode": True}, "decode False, now True"),
        ):
            with pytest.raises(UsageError, match=f"holds another conversion \\({says}\\): choose another --out_dir"):
                convert_folder("hateful_memes", raw["first"], out, **options)
        assert snapshot(out) == before

    def test_a_label_that_changed_is_another_plan(self, raw: dict[str, Path], tmp_path: Path) -> None:
        shutil.copytree(raw["first"], tmp_path / "raw")
        convert_folder("hateful_memes", tmp_path / "raw", tmp_path / "out")
        write_json_lines(tmp_path / "raw/dev.jsonl", [row(1234, 0)])
        with pytest.raises(UsageError, match="made from other source files"):
            convert_folder("hateful_memes", tmp_path / "raw", tmp_path / "out")
