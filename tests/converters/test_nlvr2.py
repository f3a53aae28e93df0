"""`phi3v-data convert nlvr2`: what a sentence and its label become, from every source that has them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from phi3v_converters.nlvr2 import NLVR2, NLVR2Options
from phi3v_data.errors import UsageError
from tests.converters.converting import kill_after_a_part
from tests.converters.in_process import convert_here
from tests.converters.made_sources import picture, write_json_lines, write_parquet, write_picture
from tests.helpers import read_lines, run, snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phi3v_data.convert.converter import Reject
    from tests.converters.in_process import Made

REAL = Path(__file__).parents[3] / "shared" / "data" / "nlvr2" / "dev_first120.json"
SIDES = "The first image is the image on the left, the second image is the image on the right. "

IMAGES = datasets.Features({"left_image": datasets.Image(), "right_image": datasets.Image()})
STRING = datasets.Value("string")
TEXT = {"user": STRING, "assistant": STRING, "source": STRING}
CAULDRON = datasets.Features({"images": datasets.List(datasets.Image()), "texts": datasets.List(TEXT)})


def asked(sentence: str) -> str:
    return f'{SIDES}Given the left and right images, does the statement "{sentence}" hold true? Answer yes or no.'


def line(identifier: str, label: object = "True", sentence: object = "It is so.", **more: Any) -> dict[str, Any]:
    """Return a row of the original, as published."""
    facts = {"validation": {"61": label}, "sentence": sentence, "writer": "61", "label": label, "synset": "dog"}
    return {**facts, "identifier": identifier, "left_url": "http://a/l.jpg", "right_url": "http://a/r.jpg", **more}


def write_pair(folder: Path, pair: str, seed: int, form: str = "PNG", suffix: str = "png") -> None:
    """Write the two pictures of a pair, whose seeds are `seed` and the next."""
    for side in (0, 1):
        write_picture(folder / f"{pair}-img{side}.{suffix}", seed + side, form)


def convert_folder(root: Path, **options: Any) -> tuple[list[Made], list[Reject]]:
    return convert_here(NLVR2(NLVR2Options(**options), root))


def codes(rejects: Sequence[Reject]) -> list[tuple[str, str | None, str]]:
    return sorted((reject.source, reject.split, reject.code) for reject in rejects)


def answers(made: Sequence[Made]) -> dict[str, str | None]:
    """Return what was answered, by identifier."""
    return {one.metadata["identifier"]: one.assistant for one in made if one.metadata}


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The original's four files, and pictures wherever people have them."""
    root = tmp_path_factory.mktemp("nlvr2")
    data, images = root / "nlvr2" / "data", root / "images"
    write_json_lines(
        data / "train.json",
        [
            line("train-31-0-0", "True", 'A dog "sits" — maybe.', directory=11),
            line("train-4-0-0", "False", "Two dogs.", directory=7),
            line("train-31-0-1", "False", " No dog.\n", directory=11),
            line("train-4-2-0", "True", "Two dogs.", directory=7),
        ],
    )
    write_json_lines(data / "dev.json", [line("dev-850-0-0", "False"), line("dev-850-1-0", "True")])
    write_json_lines(data / "test1.json", [line("test1-0-1-0", "False", "There is an empty glass.")])
    write_json_lines(data / "test2.json", [line("test2-189-0-0", "True", "All of one brand.")])
    write_pair(images / "train" / "11", "train-31-0", 10)
    write_pair(images / "train" / "7", "train-4-0", 20, form="JPEG")
    write_picture(images / "train" / "7" / "train-4-2-img0.png", 30)
    write_pair(root / "dev", "dev-850-0", 40)
    write_pair(images / "dev", "dev-850-1", 50, suffix="JPG")
    write_pair(images / "test1", "test1-0-1", 60)
    write_pair(root, "test2-189-0", 70)
    return root


class TestOriginals:
    def test_they_become_these_records(self, originals: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        done = run("convert", "nlvr2", "--source", originals, "--out_dir", out, "--workers", "1", code=1)
        assert "1 rejected" in done.stderr
        assert read_lines(out / "rejects.jsonl") == [
            {
                "source": "train-4-2",
                "split": "train",
                "code": "missing_image",
                "message": "train-4-2-img1.png does not exist",
            }
        ]

        def record(identity: str, images: str, suffix: str, group: str, name: str, says: tuple[str, str]) -> Any:
            turn = {"images": [f"{images}.{side}.{suffix}" for side in (0, 1)], "user": says[0], "assistant": says[1]}
            return {
                "id": identity,
                "source": "nlvr2",
                "group": group,
                "conversations": [turn],
                "metadata": {"identifier": name},
            }

        first, no_dog = (asked('A dog "sits" — maybe.'), "Yes."), (asked("No dog."), "No.")
        dogs, so = asked("Two dogs."), asked("It is so.")
        glass, brand = (asked("There is an empty glass."), "No."), (asked("All of one brand."), "Yes.")
        train = "train/train-31-0"
        assert {path.name: read_lines(path) for path in out.glob("nlvr2_*.jsonl")} == {
            "nlvr2_train.jsonl": [
                record("train-0000000000-0", train, "png", "train-31", "train-31-0-0", first),
                record("train-0000000000-1", train, "png", "train-31", "train-31-0-1", no_dog),
                record("train-0000000001", "train/train-4-0", "jpg", "train-4", "train-4-0-0", (dogs, "No.")),
            ],
            "nlvr2_val.jsonl": [
                record("val-0000000003", "val/dev-850-0", "png", "dev-850", "dev-850-0-0", (so, "No.")),
                record("val-0000000004", "val/dev-850-1", "png", "dev-850", "dev-850-1-0", (so, "Yes.")),
            ],
            "nlvr2_test.jsonl": [record("test-0000000005", "test/test1-0-1", "png", "test1-0", "test1-0-1-0", glass)],
            "nlvr2_test2.jsonl": [
                record("test2-0000000006", "test2/test2-189-0", "png", "test2-189", "test2-189-0-0", brand)
            ],
        }
        manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
        assert manifest["classes"] == {
            "train": {"True": 1, "False": 2},
            "val": {"True": 1, "False": 1},
            "test": {"False": 1},
            "test2": {"True": 1},
        }
        written = {path.relative_to(out / "images").as_posix(): path for path in (out / "images").rglob("*.*")}
        assert {name: path.read_bytes() for name, path in written.items()} == {
            **{f"train/train-31-0.{side}.png": picture(10 + side) for side in (0, 1)},
            **{f"train/train-4-0.{side}.jpg": picture(20 + side, "JPEG") for side in (0, 1)},
            **{f"val/dev-850-0.{side}.png": picture(40 + side) for side in (0, 1)},
            **{f"val/dev-850-1.{side}.png": picture(50 + side) for side in (0, 1)},
            **{f"test/test1-0-1.{side}.png": picture(60 + side) for side in (0, 1)},
            **{f"test2/test2-189-0.{side}.png": picture(70 + side) for side in (0, 1)},
        }
        run("validate", out)

    @pytest.mark.parametrize("folder", ["", "data", "nlvr2/data"])
    def test_the_json_lies_in_any_of_three_folders(self, folder: str, tmp_path: Path) -> None:
        write_json_lines(tmp_path / folder / "dev.json", [line("dev-1-0-0", "False")])
        write_pair(tmp_path / "images" / "dev", "dev-1-0", 1)
        made, rejects = convert_folder(tmp_path)
        assert [(one.split, one.assistant, one.pictures) for one in made] == [("val", "No.", [picture(1), picture(2)])]
        assert not rejects

    def test_of_two_pictures_of_one_name_the_first_path_is_taken(self, tmp_path: Path) -> None:
        write_json_lines(tmp_path / "dev.json", [line("dev-1-0-0"), line("dev-1-1-0")])
        for seed, folder in enumerate(("z", "a/b", "a")):
            write_pair(tmp_path / folder, "dev-1-0", 10 * seed)
        write_pair(tmp_path, "dev-1-1", 50, suffix="png")
        write_pair(tmp_path, "dev-1-1", 60, suffix="jpg")
        made, _ = convert_folder(tmp_path)
        assert [one.pictures[0] for one in made] == [picture(20), picture(60)]

    def test_bad_rows_are_rejects_and_the_others_stay(self, tmp_path: Path) -> None:
        rows = [
            line("dev-1-0-0", "True"),
            line("dev-1-0-0", "False"),
            line("dev-1-0-1", True),
            line("dev-1-0-2", 1),
            line("dev-1-0-3", "yes"),
            line("dev-1-0-4", ["True"]),
            line("dev-1-0-5", sentence=None),
            line("dev-1-0-6", sentence=" "),
            line("dev-1-0-7", sentence=7),
            line("train-1-0-0"),
            line("dev-1-0"),
            line("dev-1-0-../../x"),
            line("dev-1-0-0\n"),
            line("nlvr-1-0-0"),
            {"sentence": "It is so.", "label": "True"},
            {**line("x"), "identifier": 850},
            {"identifier": "dev-1-0-8", "sentence": "It is so."},
            line("dev-1-0-9", "false"),
        ]
        write_json_lines(tmp_path / "dev.json", rows)
        with (tmp_path / "dev.json").open("ab") as file:
            file.write(b'\n[1, 2]\n"text"\n{"identifier": \n\xff\xfe\n' + b"[" * 100_000 + b"\n")
        write_pair(tmp_path / "dev", "dev-1-0", 1)
        made, rejects = convert_folder(tmp_path)
        assert answers(made) == {"dev-1-0-0": "Yes.", "dev-1-0-9": "No."}
        expected = {
            2: "duplicate_id",
            **dict.fromkeys(range(3, 7), "bad_label"),
            **dict.fromkeys(range(7, 10), "no_question"),
            10: "unknown_split",
            **dict.fromkeys(range(11, 17), "bad_id"),
            17: "no_label",
            **dict.fromkeys(range(20, 25), "invalid_json"),
        }
        assert codes(rejects) == sorted((f"dev.json:{number}", "val", code) for number, code in expected.items())
        (twice,) = (reject.message for reject in rejects if reject.code == "duplicate_id")
        assert twice == "the identifier dev-1-0-0 is also in dev.json:1"

    def test_what_is_no_unicode_is_a_reject(self, tmp_path: Path) -> None:
        raw, out = tmp_path / "raw", tmp_path / "out"
        odd = raw / os.fsdecode(b"bad\xff")
        rows = [line("dev-1-0-0", sentence="half \ud83d a dog"), line("dev-1-1-0"), line("dev-1-2-0")]
        write_json_lines(raw / "dev.json", rows)
        for row, folder in enumerate((raw, odd, raw)):
            write_pair(folder, f"dev-1-{row}", 10 * row)
        run("convert", "nlvr2", "--source", raw, "--out_dir", out, code=1)
        rejects = [(row["source"], row["code"]) for row in read_lines(out / "rejects.jsonl")]
        assert rejects == [("dev-1-0", "not_unicode"), ("dev-1-1", "not_unicode")]
        assert [row["group"] for row in read_lines(out / "nlvr2_val.jsonl")] == ["dev-1"]

    def test_bad_pictures_are_rejects(self, tmp_path: Path) -> None:
        pairs = [f"dev-1-{number}" for number in range(5)]
        write_json_lines(tmp_path / "dev.json", [line(f"{pair}-0") for pair in pairs])
        for pair in pairs:
            write_pair(tmp_path / "dev", pair, 1)
        left = [tmp_path / "dev" / f"{pair}-img0.png" for pair in pairs]
        left[1].write_bytes(b"")
        left[2].write_bytes(b"<!DOCTYPE html><p>404")
        left[3].write_bytes(picture(1)[:-20])
        broken = bytearray(picture(1))
        broken[600:700] = bytes(100)
        left[4].write_bytes(broken)
        faults = [
            ("dev-1-1", "val", "empty_image"),
            ("dev-1-2", "val", "not_an_image"),
            ("dev-1-3", "val", "truncated"),
        ]
        assert codes(convert_folder(tmp_path)[1]) == faults
        assert codes(convert_folder(tmp_path, decode=True)[1]) == [*faults, ("dev-1-4", "val", "damaged")]

    def test_options_shape_prompt_and_pictures(self, originals: Path) -> None:
        made, _ = convert_folder(originals, prompt="{sentence} {it}: true?", image_size=16)
        assert made[0].user == 'A dog "sits" — maybe. {it}: true?'
        assert {one.assistant for one in made} == {"Yes.", "No."}
        assert all(data != picture(10) and len(data) < len(picture(10)) for data in made[0].pictures)

    def test_carving_is_refused(self, originals: Path) -> None:
        for option in ({"seed": 0}, {"val_fraction": 0.1}):
            with pytest.raises(UsageError, match=rf"^--{next(iter(option))} has no meaning for this source"):
                convert_folder(originals, **option)


class TestNotNLVR2:
    def test_nothing_is_one_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "raw").mkdir()
        out = tmp_path / "out"
        done = run("convert", "nlvr2", "--source", tmp_path / "raw", "--out_dir", out, code=2)
        assert f"no NLVR2 found in {tmp_path / 'raw'}: expected train.json, dev.json or test1.json" in done.stderr
        assert (done.stdout, done.stderr.strip().count("\n"), out.exists()) == ("", 0, False)

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ('[{"id": "1", "image": "a.jpg", "conversations": []}]', "it holds a list"),
            ('[\n {\n  "id": "1"\n }\n]', "the line is no JSON object"),
            ('{"id": "1", "image": "a.jpg", "conversations": []}', "expected one like dev-850-0-0"),
            ("", "found nothing to convert in the source"),
        ],
    )
    def test_another_datasets_json_is_one_sentence(self, content: str, says: str, tmp_path: Path) -> None:
        (tmp_path / "train.json").write_text(content, encoding="utf-8")
        done = run("convert", "nlvr2", "--source", tmp_path, "--out_dir", tmp_path / "out", code=2)
        assert says in done.stderr
        assert (done.stdout, done.stderr.strip().count("\n")) == ("", 0)
        assert not (tmp_path / "out").exists()

    def test_another_datasets_parquet_is_one_sentence(self, tmp_path: Path) -> None:
        features = datasets.Features({"question": STRING, "image": datasets.Image()})
        write_parquet(tmp_path / "data/train-00000-of-00001.parquet", [{"question": "q?", "image": None}], features)
        with pytest.raises(
            UsageError,
            match=r"is not NLVR2: it has the columns question, image; move it elsewhere, or give the folder beside it$",
        ):
            convert_folder(tmp_path)


def table(label: object) -> datasets.Features:
    """Return the columns of the Parquet conversion, with a label of this kind."""
    names = {"identifier": STRING, "sentence": STRING, **IMAGES, "label": label, "directory": STRING}
    return datasets.Features(names)


def entry(identifier: str | None, label: object, seed: int = 1, sentence: str | None = "It is so.") -> dict[str, Any]:
    left, right = ({"bytes": picture(seed + side), "path": f"{identifier}-img{side}.png"} for side in (0, 1))
    facts = {"identifier": identifier, "sentence": sentence, "label": label, "directory": "0"}
    return {**facts, "left_image": left, "right_image": right}


CLASSES = datasets.ClassLabel(names=["True", "False"])


class TestParquet:
    @pytest.mark.parametrize(
        ("label", "true", "false"),
        [
            (CLASSES, 0, 1),
            (datasets.ClassLabel(names=["False", "True"]), 1, 0),
            (STRING, "True", "False"),
        ],
    )
    def test_the_label_means_what_its_names_say(
        self, label: object, true: object, false: object, tmp_path: Path
    ) -> None:
        rows = [entry("train-1-0-0", true), entry("train-1-1-0", false), entry("train-1-2-0", None)]
        write_parquet(tmp_path / "default/test/0000.parquet", rows, table(label))
        made, rejects = convert_folder(tmp_path)
        assert answers(made) == {"train-1-0-0": "Yes.", "train-1-1-0": "No.", "train-1-2-0": None}
        assert not rejects

    def test_each_files_own_names_count(self, tmp_path: Path) -> None:
        other = datasets.ClassLabel(names=["False", "True"])
        write_parquet(tmp_path / "default/train/0000.parquet", [entry("train-1-0-0", 0)], table(CLASSES))
        write_parquet(tmp_path / "default/train/0001.parquet", [entry("train-2-0-0", 0)], table(other))
        write_parquet(tmp_path / "default/test/0000.parquet", [entry("test1-1-0-0", 0)], table(other))
        made, _ = convert_folder(tmp_path)
        assert answers(made) == {"train-1-0-0": "Yes.", "train-2-0-0": "No.", "test1-1-0-0": "No."}

    @pytest.mark.parametrize("kind", ["int64", "bool"])
    def test_labels_that_nothing_names_are_refused(self, kind: str, tmp_path: Path) -> None:
        write_parquet(tmp_path / "train.parquet", [entry("train-1-0-0", 1)], table(datasets.Value(kind)))
        out = tmp_path / "out"
        done = run("convert", "nlvr2", "--source", tmp_path, "--out_dir", out, code=2)
        assert "has numbers in its column 'label' and names no classes" in done.stderr
        assert (done.stdout, done.stderr.strip().count("\n"), out.exists()) == ("", 0, False)

    def test_a_plain_parquet_file_of_numbers_is_refused_too(self, tmp_path: Path) -> None:
        rows = [entry("train-1-0-0", 0)]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "train.parquet")
        with pytest.raises(UsageError, match="names no classes"):
            convert_folder(tmp_path)

    def test_rows_become_records_left_first(self, tmp_path: Path) -> None:
        rows = [entry("dev-9-0-1", 0, 10, "One."), entry("dev-9-0-0", 1, 10, "Two."), entry("dev-9-1-0", 0, 20, "One.")]
        write_parquet(tmp_path / "default/validation/0000.parquet", rows, table(CLASSES), rows_per_group=1)
        write_parquet(tmp_path / "default/partial-train/0000.parquet", [entry("train-2-0-0", 1, 30)], table(CLASSES))
        tests = [entry("test1-9-0-0", 0, 40), entry("test2-9-0-0", 1, 50)]
        write_parquet(tmp_path / "default/test/0000.parquet", tests, table(CLASSES))
        made, rejects = convert_folder(tmp_path)
        shown = [(one.split, one.path, one.group, one.user, one.assistant, one.pictures) for one in made]
        so = asked("It is so.")
        train, val, test = (f"default/{name}/0000.parquet" for name in ("partial-train", "validation", "test"))
        assert shown == [
            ("train", f"{train}/0000000", "train-2", so, "No.", [picture(30), picture(31)]),
            ("val", f"{val}/0000000", "dev-9", asked("One."), "Yes.", [picture(10), picture(11)]),
            ("val", f"{val}/0000000", "dev-9", asked("Two."), "No.", [picture(10), picture(11)]),
            ("val", f"{val}/0000002", "dev-9", asked("One."), "Yes.", [picture(20), picture(21)]),
            ("test", f"{test}/0000000", "test1-9", so, "Yes.", [picture(40), picture(41)]),
            ("test", f"{test}/0000001", "test2-9", so, "No.", [picture(50), picture(51)]),
        ]
        assert not rejects

    def test_bad_rows_are_rejects_and_the_others_stay(self, tmp_path: Path) -> None:
        rows = [
            entry("train-1-0-0", 0),
            entry("train-1-0-0", 1),
            entry("train-1-1-0", -1),
            entry(None, 0),
            entry("1", 0),
            entry("train-1-2-0", 0, sentence=None),
            {**entry("train-1-3-0", 0), "left_image": None},
            {**entry("train-1-4-0", 0), "right_image": {"bytes": None, "path": "train-1-4-img1.png"}},
            {**entry("train-1-5-0", 0), "right_image": {"bytes": b"", "path": None}},
            entry("train-1-6-0", 1),
        ]
        picture_type = pa.struct({"bytes": pa.binary(), "path": pa.utf8()})
        columns = {
            **{name: pa.array([row[name] for row in rows]) for name in ("identifier", "sentence", "label")},
            **{name: pa.array([row[name] for row in rows], picture_type) for name in ("left_image", "right_image")},
        }
        facts = {"info": {"features": {"label": {"names": ["True", "False"], "_type": "ClassLabel"}}}}
        noted = pa.table(columns).replace_schema_metadata({"huggingface": json.dumps(facts)})
        pq.write_table(noted, tmp_path / "train.parquet")
        made, rejects = convert_folder(tmp_path)
        assert answers(made) == {"train-1-0-0": "Yes.", "train-1-6-0": "No."}
        expected = {1: "duplicate_id", 2: "no_label", 3: "bad_id", 4: "bad_id", 5: "no_question"}
        expected |= {6: "missing_image", 7: "missing_image", 8: "empty_image"}
        assert codes(rejects) == [(f"train.parquet/{number:07d}", "train", code) for number, code in expected.items()]

    def test_class_names_that_are_no_truth_are_rejects(self, tmp_path: Path) -> None:
        rows = [entry("train-1-0-0", 0), entry("train-1-1-0", 2)]
        named = table(datasets.ClassLabel(names=["No", "Yes", "True"]))
        write_parquet(tmp_path / "train.parquet", rows, named)
        made, rejects = convert_folder(tmp_path)
        assert answers(made) == {"train-1-1-0": "Yes."}
        assert codes(rejects) == [("train.parquet/0000000", "train", "bad_label")]


def said(*texts: tuple[str, str], seed: int = 1) -> dict[str, Any]:
    """Return a row of the Cauldron."""
    images = [{"bytes": picture(seed + side), "path": None} for side in (0, 1)]
    return {"images": images, "texts": [{"user": u, "assistant": a, "source": "NLVR2"} for u, a in texts]}


def claim(sentence: str) -> str:
    return f'{SIDES}For the images shown, is this caption "{sentence}" true? Answer yes or no.'


def view(sentence: str) -> str:
    return f'{SIDES}Considering the images on both sides, is "{sentence}" valid? Answer yes or no.'


class TestCauldron:
    def test_every_question_of_a_row_is_a_record(self, tmp_path: Path) -> None:
        rows = [
            said((claim('The sign says "no".'), "Yes."), (view("A dog."), "No."), seed=10),
            said((claim("A cat."), "No."), seed=20),
        ]
        write_parquet(tmp_path / "raw/nlvr2/train-00000-of-00017-4a7d4eddee81f7ac.parquet", rows, CAULDRON)
        out = tmp_path / "out"
        source = ("--source", tmp_path / "raw", "--val_fraction", "0")
        run("convert", "nlvr2", *source, "--out_dir", out, "--workers", "1")
        records = read_lines(out / "nlvr2_train.jsonl")
        groups = [row.pop("group") for row in records]
        assert groups[0] == groups[1] != groups[2]
        images = [[f"train/train-00000/000000{row}.{side}.png" for side in (0, 1)] for row in (0, 1)]
        shown = [
            ("train-0000000000-0", images[0], claim('The sign says "no".'), "Yes."),
            ("train-0000000000-1", images[0], view("A dog."), "No."),
            ("train-0000000001", images[1], claim("A cat."), "No."),
        ]
        assert records == [
            {
                "id": identity,
                "source": "nlvr2",
                "conversations": [{"images": shown_images, "user": user, "assistant": assistant}],
            }
            for identity, shown_images, user, assistant in shown
        ]
        pictures = {name: (out / "images" / name).read_bytes() for pair in images for name in pair}
        assert list(pictures.values()) == [picture(10), picture(11), picture(20), picture(21)]
        manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
        assert manifest["classes"] == {"train": {"True": 1, "False": 2}}

    def test_pairs_that_share_sentences_are_one_group_however_asked(self, tmp_path: Path) -> None:
        """A pair may lack any of its set's sentences; a sentence may quote."""
        rows = [
            said((claim('Zebras "run".'), "Yes.")),
            said((view("A dog."), "No."), (claim("B dog."), "No.")),
            said((view('Zebras "run".'), "No."), (claim("A dog."), "Yes.")),
            said((claim('A "dog".'), "No.")),
            said((view("B dog."), "Yes.")),
            said(("Is it quoted?", "No.")),
            said(('Is "it quoted?', "No.")),
        ]
        path = tmp_path / "train-00000-of-00001.parquet"
        groups = []
        for order in (rows, rows[::-1]):
            write_parquet(path, order, CAULDRON)
            made, _ = convert_folder(tmp_path, val_fraction=0)
            groups.append({one.user: one.group for one in made})
        assert groups[0] == groups[1]
        linked = {groups[0][user] for user in (claim('Zebras "run".'), view("A dog."), claim("B dog."), view("B dog."))}
        assert len(linked) == 1
        assert len(set(groups[0].values())) == 4

    def test_sets_stay_together_where_val_is_carved_off(self, tmp_path: Path) -> None:
        rows = []
        for number in range(40):
            first, second = f"Set {number}, z.", f"Set {number}, a."
            rows.append(said((claim(first), "Yes."), (view(second), "No.")))
            rows += [said((claim(first), "No.")), said((view(second), "Yes."))]
        write_parquet(tmp_path / "train-00000-of-00001.parquet", rows, CAULDRON)
        made, _ = convert_folder(tmp_path, val_fraction=0.4)
        sets: dict[str, set[str]] = {"train": set(), "val": set()}
        for one in made:
            sets[one.split].add(one.user.partition('"Set ')[2].partition(",")[0])
        assert min(map(len, sets.values())) >= 5
        assert not sets["train"] & sets["val"]

    def test_the_prompt_is_its_own(self, tmp_path: Path) -> None:
        write_parquet(tmp_path / "train-00000-of-00001.parquet", [said((claim("A cat."), "No."))], CAULDRON)
        with pytest.raises(UsageError, match=r"^--prompt has no meaning for this source, for the Cauldron asks"):
            convert_folder(tmp_path, prompt="{sentence}?")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pairs: three parts."""
    root = tmp_path_factory.mktemp("many")
    pairs = [f"dev-{number // 4}-{number % 4}" for number in range(40)]
    write_json_lines(root / "dev.json", [line(f"{pair}-{number}") for number in (0, 1) for pair in pairs])
    for seed, pair in enumerate(pairs):
        write_pair(root / "dev", pair, 2 * seed, form="JPEG" if seed % 3 else "PNG")
    (root / "dev" / "dev-5-1-img0.png").unlink()
    return root


def test_workers_and_kills_change_no_byte(many: Path, tmp_path: Path) -> None:
    one, two, killed = (tmp_path / name for name in ("one", "two", "killed"))
    flags = ("--max_rejects", "1", "--workers")
    run("convert", "nlvr2", "--source", many, "--out_dir", one, *flags, "1")
    run("convert", "nlvr2", "--source", many, "--out_dir", two, *flags, "2")
    kill_after_a_part("nlvr2", many, killed, *flags, "1")
    run("convert", "nlvr2", "--source", many, "--out_dir", killed, *flags, "2")
    expected = snapshot(one)
    assert len(read_lines(one / "nlvr2_val.jsonl")) == 78
    assert snapshot(two) == expected
    assert snapshot(killed) == expected


def test_real_rows_become_these_records(tmp_path: Path) -> None:
    """The first lines of the public dev file, with made pictures; the records were worked out by hand."""
    if not REAL.is_file():
        pytest.skip(f"no real rows at {REAL}: they are test data, not part of the repository")
    raw, out = tmp_path / "raw", tmp_path / "out"
    (raw / "nlvr2" / "data").mkdir(parents=True)
    shutil.copyfile(REAL, raw / "nlvr2" / "data" / "dev.json")
    pairs = sorted({row["identifier"].rpartition("-")[0] for row in read_lines(REAL)})
    for seed, pair in enumerate(pairs):
        write_pair(raw / "images" / "dev", pair, 2 * seed, form="JPEG" if seed % 2 else "PNG")
    run("convert", "nlvr2", "--source", raw, "--out_dir", out)
    report = json.loads(run("validate", out, "--strict", "--format", "json").stdout)
    assert (report["records"], report["counts"]) == (120, {})
    records = {row["id"]: row for row in read_lines(out / "nlvr2_val.jsonl")}
    for identity, group, images, sentence, assistant, identifier in (
        (
            "val-0000000000",
            "dev-1052",
            ["val/dev-1052-0.0.png", "val/dev-1052-0.1.png"],
            "Only one woman is drinking in the left image.",
            "No.",
            "dev-1052-0-0",
        ),
        (
            "val-0000000002-1",
            "dev-1052",
            ["val/dev-1052-2.0.png", "val/dev-1052-2.1.png"],
            "The left and right image contains a total of two women who are both holding a beer bottle.",
            "Yes.",
            "dev-1052-2-1",
        ),
        (
            "val-0000000004-0",
            "dev-257",
            ["val/dev-257-0.0.png", "val/dev-257-0.1.png"],
            "In one image features a hand with a striped glove on with the fingers uncovered",
            "Yes.",
            "dev-257-0-1",
        ),
        (
            "val-0000000067-0",
            "dev-900",
            ["val/dev-900-2.0.jpg", "val/dev-900-2.1.jpg"],
            "A mitten is being worn in one image and the mittens are not being worn in the other image.",
            "No.",
            "dev-900-2-0",
        ),
        (
            "val-0000000068-1",
            "dev-900",
            ["val/dev-900-3.0.png", "val/dev-900-3.1.png"],
            "There are 2 pairs of mittens shown.",
            "Yes.",
            "dev-900-3-1",
        ),
    ):
        assert records[identity] == {
            "id": identity,
            "source": "nlvr2",
            "group": group,
            "conversations": [
                {
                    "images": images,
                    "user": "The first image is the image on the left, the second image is the image on the right. "
                    f'Given the left and right images, does the statement "{sentence}" hold true? Answer yes or no.',
                    "assistant": assistant,
                }
            ],
            "metadata": {"identifier": identifier},
        }
    assert (len(records), len({row["group"] for row in records.values()})) == (120, 19)
