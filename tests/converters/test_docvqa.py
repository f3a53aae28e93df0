"""`phi3v-data convert docvqa`: the originals and every copy on the hub, and the datasets they become, to the byte."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import datasets
import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from phi3v_converters.docvqa import DocVQA, DocVQAOptions
from phi3v_data.errors import CannotRun, UsageError
from tests.converters.converting import convert_folder, kill_after_a_part, rejects
from tests.converters.made_sources import picture, write_parquet, write_picture
from tests.helpers import read_lines, run, snapshot

if TYPE_CHECKING:
    from pathlib import Path

TEXT, TEXTS = datasets.Value("string"), datasets.Sequence(datasets.Value("string"))
NIELSR = datasets.Features(
    {
        "id": TEXT,
        "image": datasets.Image(),
        "query": dict.fromkeys(("de", "en", "es", "fr", "it"), TEXT),
        "answers": TEXTS,
        "words": TEXTS,
        "bounding_boxes": datasets.Sequence(datasets.Sequence(datasets.Value("float32"), length=4)),
        "answer": {
            "match_score": datasets.Value("float64"),
            "matched_text": TEXT,
            "start": datasets.Value("int64"),
            "text": TEXT,
        },
    }
)
M4 = datasets.Features(
    {
        "questionId": datasets.Value("int32"),
        "question": TEXT,
        "question_types": TEXTS,
        "image": datasets.Image(),
        "docId": datasets.Value("int32"),
        "ucsf_document_id": TEXT,
        "ucsf_document_page_no": TEXT,
        "answers": TEXTS,
    }
)
LMMS = datasets.Features({**M4, "questionId": TEXT, "docId": datasets.Value("int64"), "data_split": TEXT})
CAULDRON = datasets.Features(
    {
        "images": datasets.Sequence(datasets.Image()),
        "texts": [{"user": TEXT, "assistant": TEXT, "source": TEXT}],
    }
)


def entry(number: int, question: str, page: str, *answers: str, **changes: Any) -> dict[str, Any]:
    """Return an entry of the original JSON; without answers it is one of the test split."""
    document, _, page_number = page.partition("_")
    row = {
        "questionId": number,
        "question": question,
        "image": f"documents/{page}.png",
        "docId": sum(document.encode()),
        "ucsf_document_id": document,
        "ucsf_document_page_no": page_number,
    }
    return {**row, **({"question_types": ["form"], "answers": list(answers)} if answers else {}), **changes}


def write_json(path: Path, split: str, entries: list[Any], **changes: Any) -> None:
    """Write an original annotation file; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"dataset_name": "docvqa", "dataset_split": split, "dataset_version": "1.0", "data": entries}
    path.write_text(json.dumps({**document, **changes}), encoding="utf-8")


def hub_row(values: dict[str, Any], seed: int | None, **changes: Any) -> dict[str, Any]:
    """Return an entry as a row of a Parquet file, with the picture of a seed."""
    row = {"question_types": None, "answers": None, **values, **changes}
    return {**row, "image": None if seed is None else {"bytes": picture(seed), "path": row["image"].rpartition("/")[2]}}


def leave_only_the_name(file: Path, row: int) -> None:
    """Take the picture out of a row of a Parquet file, as in a copy that only points to its pictures."""
    table = parquet.read_table(file)
    field = table.schema.field("image")
    pictures = table["image"].to_pylist()
    pictures[row]["bytes"] = None
    table = table.set_column(table.schema.get_field_index("image"), field, pyarrow.array(pictures, field.type))
    parquet.write_table(table, file)


def record(identity: str, page: str, question: str, answers: list[str], group: str | None, number: Any) -> Any:
    """Return the record of a question; without answers it is there to be evaluated."""
    turn: dict[str, Any] = {"images": [page], "user": f"{question}\nAnswer briefly."}
    if answers:
        turn |= {"assistant": answers[0], "answers": answers}
    named = {"group": group} if group else {}
    metadata = {} if number is None else {"metadata": {"question_id": number}}
    return {"id": identity, "source": "docvqa", **named, "conversations": [turn], **metadata}


def records(out: Path) -> list[Any]:
    """Return the records of all splits, in order of their ids' numbers."""
    rows = [row for path in out.glob("docvqa_*.jsonl") for row in read_lines(path)]
    return sorted(rows, key=lambda row: row["id"].partition("-")[2])


def targets(out: Path, split: str) -> list[str | None]:
    return [row["conversations"][0].get("assistant") for row in read_lines(out / f"docvqa_{split}.jsonl")]


TRAIN = [
    entry(337, "what is the date mentioned in this letter?", "xnbl0037_1", "1/8/93"),
    entry(338, "What is the name?", "ffbf0023_4", "P. Carter", "p. carter"),
    entry(340, "Wem gehört ‘das’?", "xnbl0037_2", "Dr. Ødegård"),
    entry(339, " What is the fax number?\n", "ffbf0023_4", "555 0100", " 555 0100 ", "", "(555) 0100"),
]
VAL = [entry(24580, "What is name of university?", "nkbl0226_1", "university of california", "UC")]
TEST = [
    entry(57344, "What is the brand?", "lzbl0001_2"),
    entry(57345, "Which page is it?", "lzbl0002_1"),
    entry(57346, "Who wrote it?", "lzbl0001_2"),
]
EXPECTED = [
    record("train-0000000000-0", "train/ffbf0023_4.0.jpg", "What is the name?", ["P. Carter", "p. carter"],
           "ffbf0023", 338),
    record("train-0000000000-1", "train/ffbf0023_4.0.jpg", "What is the fax number?", ["555 0100", "(555) 0100"],
           "ffbf0023", 339),
    record("train-0000000001", "train/xnbl0037_1.0.png", "what is the date mentioned in this letter?", ["1/8/93"],
           "xnbl0037", 337),
    record("train-0000000002", "train/xnbl0037_2.0.png", "Wem gehört ‘das’?", ["Dr. Ødegård"], "xnbl0037", 340),
    record("val-0000000003", "val/nkbl0226_1.0.png", "What is name of university?", ["university of california", "UC"],
           "nkbl0226", 24580),
    record("test-0000000004-0", "test/lzbl0001_2.0.png", "What is the brand?", [], "lzbl0001", 57344),
    record("test-0000000004-1", "test/lzbl0001_2.0.png", "Who wrote it?", [], "lzbl0001", 57346),
    record("test-0000000005", "test/lzbl0002_1.0.png", "Which page is it?", [], "lzbl0002", 57345),
]  # fmt: skip
PAGES = {
    "train": {"xnbl0037_1": "PNG", "ffbf0023_4": "JPEG", "xnbl0037_2": "PNG"},
    "val": {"nkbl0226_1": "PNG"},
    "test": {"lzbl0001_2": "PNG", "lzbl0002_1": "PNG"},
}


def write_pages(folder: Path, pages: dict[str, str]) -> None:
    for name, form in pages.items():
        write_picture(folder / f"{name}.png", sum(name.encode()), form)


def write_by_split(root: Path) -> Path:
    for split, entries in (("train", TRAIN), ("val", VAL), ("test", TEST)):
        write_json(root / split / f"{split}_v1.0.json", split, entries)
        write_pages(root / split / "documents", PAGES[split])
    return root


def write_by_kind(root: Path) -> Path:
    for split, name, entries in (("train", "_withQT", TRAIN), ("val", "_withQT", VAL), ("test", "", TEST)):
        write_json(root / f"spdocvqa_qas/{split}_v1.0{name}.json", split, entries)
        write_pages(root / "spdocvqa_images", PAGES[split])
    (root / "spdocvqa_ocr").mkdir()
    return root


def write_nielsr(root: Path) -> Path:
    def row(name: str, question: str, seed: int, *answers: str) -> dict[str, Any]:
        query = {"de": "Wer?", "en": question, "es": "¿Quién?", "fr": "Qui ?", "it": "Chi?"}
        boxes = {"words": ["a"], "bounding_boxes": [[0.0, 0.0, 0.5, 0.5]], "answer": None}
        stored = {"bytes": picture(seed), "path": None}
        return {"id": name, "image": stored, "query": query, "answers": list(answers), **boxes}

    train = [row("train_0", "Who?", 1, "J. Smith", "Smith"), row("train_1", "When?", 1, "1993")]
    write_parquet(root / "data/train-00000-of-00001-f795527aa19f0f90.parquet", train, NIELSR)
    test = [row("test_0", "Where?", 2, "Bonn")]
    write_parquet(root / "data/test-00000-of-00001-41a63b2e1b4ecc5e.parquet", test, NIELSR)
    return root


def write_m4(root: Path) -> Path:
    first, name, second, fax = TRAIN
    shards = {
        "train-00000-of-00002": [hub_row(name, 4), hub_row(fax, 4), hub_row(first, 1), hub_row(second, 2)],
        "train-00001-of-00002": [hub_row(name, 4, questionId=341), hub_row(first, 1, questionId=342)],
        "validation-00000-of-00001": [hub_row(VAL[0], 3)],
        "test-00000-of-00001": [hub_row(TEST[0], 5), hub_row(TEST[2], 5), hub_row(TEST[1], 6, answers=[])],
    }
    for shard, rows in shards.items():
        write_parquet(root / f"data/{shard}.parquet", rows, M4, rows_per_group=2)
    return root


def write_lmms(root: Path) -> Path:
    def row(values: dict[str, Any], seed: int, split: str) -> dict[str, Any]:
        return hub_row(values, seed, questionId=str(values["questionId"]), data_split=split)

    write_parquet(root / "DocVQA/train-00000-of-00012.parquet", [row(TRAIN[0], 1, "train")], LMMS)
    write_parquet(root / "DocVQA/validation-00000-of-00006.parquet", [row(VAL[0], 3, "val")], LMMS)
    test = [row(TEST[0], 5, "test"), {**row(TEST[1], 6, "test"), "answers": []}]
    write_parquet(root / "DocVQA/test-00000-of-00006.parquet", test, LMMS)
    columns = ("questionId", "question", "answers", "answer_type", "image", "data_split", "image_url", "ocr")
    kinds = {"image": datasets.Image(), "answers": TEXTS, "answer_type": TEXTS}
    other = datasets.Features({column: kinds.get(column, TEXT) for column in columns})
    infographic = {**row(TRAIN[0], 1, "train"), **dict.fromkeys(columns[6:], ""), "answer_type": []}
    infographic = {column: infographic[column] for column in columns}
    write_parquet(root / "InfographicVQA/train-00000-of-00024.parquet", [infographic], other)
    return root


def cauldron_row(seed: int, *texts: tuple[str | None, str | None], pictures: int = 1) -> dict[str, Any]:
    turns = [{"user": user, "assistant": assistant, "source": "docvqa"} for user, assistant in texts]
    return {"images": [{"bytes": picture(seed), "path": None}] * pictures, "texts": turns}


def write_cauldron(root: Path) -> Path:
    rows = [
        cauldron_row(
            1,
            ("What is the date?\nYour answer should be very brief.", "OCTOBER 17, 1995."),
            ("To whom should the form be returned?\nEnsure brevity in your answer. ", "James F. Glenn."),
        ),
        cauldron_row(2, ("First line\nsecond line?\nOffer a terse response.", "Etc..")),
        cauldron_row(3, ("Is it?\nOffer a terse response.", ".")),
    ]
    write_parquet(root / "docvqa/train-00000-of-00014-d617a15cc5127a86.parquet", rows, CAULDRON)
    write_parquet(root / "nlvr2/train-00000-of-00017-4a7d4eddee81f7ac.parquet", [rows[1]], CAULDRON)
    return root


SOURCES = {
    "by_split": (write_by_split, {}, EXPECTED),
    "by_kind": (write_by_kind, {}, EXPECTED),
    "nielsr": (write_nielsr, {}, [
        record("train-0000000000", "train/train-00000/0000000.0.png", "Who?", ["J. Smith", "Smith"], None, "train_0"),
        record("train-0000000001", "train/train-00000/0000001.0.png", "When?", ["1993"], None, "train_1"),
        record("test-0000000002", "test/test-00000/0000000.0.png", "Where?", ["Bonn"], None, "test_0"),
    ]),
    "m4": (write_m4, {}, [
        record("train-0000000000-0", "train/train-00000/0000000.0.png", "What is the name?",
               ["P. Carter", "p. carter"], "ffbf0023", 338),
        record("train-0000000000-1", "train/train-00000/0000000.0.png", "What is the fax number?",
               ["555 0100", "(555) 0100"], "ffbf0023", 339),
        record("train-0000000001", "train/train-00000/0000002.0.png", "what is the date mentioned in this letter?",
               ["1/8/93"], "xnbl0037", 337),
        record("train-0000000002", "train/train-00000/0000003.0.png", "Wem gehört ‘das’?", ["Dr. Ødegård"],
               "xnbl0037", 340),
        record("train-0000000003", "train/train-00001/0000000.0.png", "What is the name?",
               ["P. Carter", "p. carter"], "ffbf0023", 341),
        record("train-0000000004", "train/train-00001/0000001.0.png", "what is the date mentioned in this letter?",
               ["1/8/93"], "xnbl0037", 342),
        record("val-0000000005", "val/validation-00000/0000000.0.png", "What is name of university?",
               ["university of california", "UC"], "nkbl0226", 24580),
        record("test-0000000006-0", "test/test-00000/0000000.0.png", "What is the brand?", [], "lzbl0001", 57344),
        record("test-0000000006-1", "test/test-00000/0000000.0.png", "Who wrote it?", [], "lzbl0001", 57346),
        record("test-0000000007", "test/test-00000/0000002.0.png", "Which page is it?", [], "lzbl0002", 57345),
    ]),
    "lmms": (write_lmms, {}, [
        record("train-0000000000", "train/train-00000/0000000.0.png", "what is the date mentioned in this letter?",
               ["1/8/93"], "xnbl0037", "337"),
        record("val-0000000001", "val/validation-00000/0000000.0.png", "What is name of university?",
               ["university of california", "UC"], "nkbl0226", "24580"),
        record("test-0000000002", "test/test-00000/0000000.0.png", "What is the brand?", [], "lzbl0001", "57344"),
        record("test-0000000003", "test/test-00000/0000001.0.png", "Which page is it?", [], "lzbl0002", "57345"),
    ]),
    "cauldron": (write_cauldron, {"val_fraction": 0}, [
        record("train-0000000000-0", "train/train-00000/0000000.0.png", "What is the date?", ["OCTOBER 17, 1995"],
               None, None),
        record("train-0000000000-1", "train/train-00000/0000000.0.png", "To whom should the form be returned?",
               ["James F. Glenn"], None, None),
        record("train-0000000001", "train/train-00000/0000001.0.png", "First line\nsecond line?", ["Etc.."], None,
               None),
        record("train-0000000002", "train/train-00000/0000002.0.png", "Is it?", ["."], None, None),
    ]),
}  # fmt: skip


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
        convert_folder("docvqa", raw[name], base / name, **options)
    return {name: base / name for name in SOURCES}


class TestSources:
    @pytest.mark.parametrize("name", SOURCES)
    def test_becomes_these_records_and_nothing_else(self, name: str, made: dict[str, Path]) -> None:
        expected = SOURCES[name][2]
        assert records(made[name]) == expected
        images = {f"images/{image}" for row in expected for image in row["conversations"][0]["images"]}
        splits = {row["id"].partition("-")[0] for row in expected}
        files = {f"docvqa_{split}.jsonl" for split in splits} | {"manifest.json", "contact_sheet.jpg"}
        assert snapshot(made[name]).keys() == images | files

    @pytest.mark.parametrize("name", SOURCES)
    def test_two_workers_give_the_same_bytes(
        self, name: str, raw: dict[str, Path], made: dict[str, Path], tmp_path: Path
    ) -> None:
        flags = [word for key, value in SOURCES[name][1].items() for word in (f"--{key}", str(value))]
        run("convert", "docvqa", "--source", raw[name], "--out_dir", tmp_path / "out", "--workers", "2", *flags)
        assert snapshot(tmp_path / "out") == snapshot(made[name])

    def test_all_validate_clean(self, made: dict[str, Path]) -> None:
        report = json.loads(run("validate", *made.values(), "--strict", "--format", "json").stdout)
        assert (report["counts"], report["findings"]) == ({}, [])
        assert report["records"] == sum(len(expected) for _, _, expected in SOURCES.values())

    def test_a_line_is_the_one_of_the_documentation(self, made: dict[str, Path]) -> None:
        assert (made["by_kind"] / "docvqa_train.jsonl").read_text(encoding="utf-8").splitlines()[2] == (
            '{"id":"train-0000000001","source":"docvqa","group":"xnbl0037","conversations":[{"images":'
            '["train/xnbl0037_1.0.png"],"user":"what is the date mentioned in this letter?\\nAnswer briefly.",'
            '"assistant":"1/8/93","answers":["1/8/93"]}],"metadata":{"question_id":337}}'
        )

    def test_pages_are_stored_as_they_came_named_by_what_they_are(
        self, raw: dict[str, Path], made: dict[str, Path]
    ) -> None:
        for name, folder in (("by_split", "train/documents"), ("by_kind", "spdocvqa_images")):
            for page, suffix in (("ffbf0023_4", "jpg"), ("xnbl0037_1", "png")):
                stored = made[name] / f"images/train/{page}.0.{suffix}"
                assert stored.read_bytes() == (raw[name] / folder / f"{page}.png").read_bytes()
        assert (made["m4"] / "images/train/train-00000/0000003.0.png").read_bytes() == picture(2)
        assert (made["m4"] / "images/test/test-00000/0000002.0.png").read_bytes() == picture(6)

    def test_a_page_is_stored_once_for_all_of_its_questions(self, made: dict[str, Path]) -> None:
        manifest = json.loads((made["by_split"] / "manifest.json").read_text(encoding="utf-8"))
        counts = [(file["split"], file["records"], file["images"]) for file in manifest["files"]]
        assert counts == [("train", 4, 3), ("val", 1, 1), ("test", 3, 2)]

    @pytest.mark.parametrize("split", ["train", "val", "test"])
    def test_the_folder_of_one_split_will_do(self, split: str, raw: dict[str, Path], tmp_path: Path) -> None:
        convert_folder("docvqa", raw["by_split"] / split, tmp_path / "out")
        (written,) = (tmp_path / "out").glob("docvqa_*.jsonl")
        assert written.name == f"docvqa_{split}.jsonl"
        expected = [row["conversations"] for row in EXPECTED if row["id"].startswith(split)]
        assert [row["conversations"] for row in read_lines(written)] == expected

    def test_a_folder_of_parquet_files_without_folders_will_do(self, raw: dict[str, Path], tmp_path: Path) -> None:
        convert_folder("docvqa", raw["lmms"] / "DocVQA", tmp_path / "out")
        assert records(tmp_path / "out") == SOURCES["lmms"][2]

    def test_the_layout_of_the_hubs_own_conversion_will_do(self, raw: dict[str, Path], tmp_path: Path) -> None:
        (copy,) = (raw["nielsr"] / "data").glob("train-*")
        for folder in ("default/train", "default/partial-validation"):
            (tmp_path / "raw" / folder).mkdir(parents=True)
            shutil.copy(copy, tmp_path / "raw" / folder / "0000.parquet")
        convert_folder("docvqa", tmp_path / "raw", tmp_path / "out")
        assert [row["id"] for row in records(tmp_path / "out")] == [
            "train-0000000000",
            "train-0000000001",
            "val-0000000002",
            "val-0000000003",
        ]

    def test_a_test_file_without_the_column_of_answers_beside_train(self, raw: dict[str, Path], tmp_path: Path) -> None:
        shutil.copytree(raw["m4"], tmp_path / "raw")
        features = datasets.Features({name: kind for name, kind in M4.items() if name != "answers"})
        row = hub_row(TEST[0], 5)
        del row["answers"]
        write_parquet(tmp_path / "raw/data/test-00000-of-00001.parquet", [row], features)
        convert_folder("docvqa", tmp_path / "raw", tmp_path / "out")
        assert [row["conversations"][0] for row in read_lines(tmp_path / "out/docvqa_test.jsonl")] == [
            {"images": ["test/test-00000/0000000.0.png"], "user": "What is the brand?\nAnswer briefly."}
        ]


class TestAnswers:
    def convert(self, raw: Path, out: Path, **options: Any) -> Path:
        convert_folder("docvqa", raw, out, **options)
        return out

    def test_each_makes_a_record_of_every_answer_in_train_alone(self, raw: dict[str, Path], tmp_path: Path) -> None:
        out = self.convert(raw["by_split"], tmp_path / "out", answer="each")
        assert targets(out, "train") == ["P. Carter", "p. carter", "555 0100", "(555) 0100", "1/8/93", "Dr. Ødegård"]
        train = read_lines(out / "docvqa_train.jsonl")
        assert [row["id"][6:] for row in train] == [
            *(f"0000000000-{number}" for number in range(4)),
            "0000000001",
            "0000000002",
        ]
        assert [row["conversations"][0]["answers"] for row in train] == [
            ["P. Carter", "p. carter"],
            ["P. Carter", "p. carter"],
            ["555 0100", "(555) 0100"],
            ["555 0100", "(555) 0100"],
            ["1/8/93"],
            ["Dr. Ødegård"],
        ]
        assert (targets(out, "val"), targets(out, "test")) == (["university of california"], [None] * 3)

    def test_random_draws_by_seed_in_train_alone(self, tmp_path: Path) -> None:
        answers = ["a", "b", "c"]
        for split in ("train", "val"):
            entries = [entry(number, "Which?", "page_1", *answers) for number in range(30)]
            write_json(tmp_path / f"{split}_v1.0.json", split, entries)
        write_picture(tmp_path / "documents/page_1.png", 1)
        outs = [self.convert(tmp_path, tmp_path / f"out{n}", answer="random", seed=n) for n in (0, 7)]
        drawn = ["".join(filter(None, targets(out, "train"))) for out in outs]
        assert drawn == ["ccaacbcccabbcbcbbacaccbbabbbcb", "aaaaabbcaaccbabbaaacacbccaacab"]
        for out in outs:
            assert set(targets(out, "val")) == {"a"}
            assert all(row["conversations"][0]["answers"] == answers for row in records(out))

    def test_a_draw_hangs_on_the_question_alone(self, raw: dict[str, Path], tmp_path: Path) -> None:
        whole = self.convert(raw["by_split"], tmp_path / "whole", answer="random", seed=3)
        write_json(tmp_path / "part/train_v1.0.json", "train", TRAIN[::-1][:3])
        write_pages(tmp_path / "part/documents", PAGES["train"])
        part = self.convert(tmp_path / "part", tmp_path / "out", answer="random", seed=3)
        drawn = [
            {row["metadata"]["question_id"]: row["conversations"][0]["assistant"] for row in records(out)
             if row["id"].startswith("train")}
            for out in (whole, part)
        ]  # fmt: skip
        assert drawn[1].items() < drawn[0].items()

    def test_questions_without_a_number_draw_each_its_own(self, tmp_path: Path) -> None:
        answers = {"answers": ["a", "b", "c"], "questionId": None}
        rows = [hub_row(TRAIN[0], 1, **answers, docId=number) for number in range(20)]
        write_parquet(tmp_path / "raw/train.parquet", rows, M4)
        out = self.convert(tmp_path / "raw", tmp_path / "out", answer="random")
        assert set(targets(out, "train")) == {"a", "b", "c"}

    def test_the_prompt_is_the_users_choice(self, raw: dict[str, Path], tmp_path: Path) -> None:
        out = self.convert(raw["nielsr"], tmp_path / "out", prompt=r"{{question}}\n{question}?! {it}")
        assert records(out)[0]["conversations"][0]["user"] == "{Who?}\nWho??! {it}"


class TestRejects:
    def convert(self, root: Path, entries: list[Any], split: str = "train", **options: Any) -> Path:
        """Convert entries, beside a good one, of a folder that holds the page `good_1` and whatever was put there."""
        write_picture(root / "documents/good_1.png", 1)
        write_json(root / f"{split}_v1.0.json", split, [*entries, entry(999, "Good?", "good_1", "Yes")])
        out = root.with_name(root.name + "-out")
        alone = {"val_fraction": 0} if split == "train" else {}
        convert_folder("docvqa", root, out, **alone, **options)
        assert records(out)[-1]["metadata"] == {"question_id": 999}
        return out

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"question": None}, "no_question"),
            ({"question": " \n"}, "no_question"),
            ({"question": 5}, "no_question"),
            ({"question": ["What?"]}, "no_question"),
            ({"answers": None}, "no_answers"),
            ({"answers": []}, "no_answers"),
            ({"answers": ["", "  "]}, "no_answers"),
            ({"answers": "1/8/93"}, "bad_answers"),
            ({"answers": [5]}, "bad_answers"),
            ({"answers": {"0": "a"}}, "bad_answers"),
            ({"image": None}, "no_picture"),
            ({"image": 5}, "no_picture"),
            ({"image": ""}, "no_picture"),
            ({"image": "documents/"}, "no_picture"),
            ({"questionId": True}, "bad_id"),
            ({"questionId": [1]}, "bad_id"),
            ({"questionId": 999.5}, "bad_id"),
        ],
        ids=str,
    )
    def test_a_wrong_field_costs_its_question_alone(self, changes: dict[str, Any], code: str, tmp_path: Path) -> None:
        out = self.convert(tmp_path / "raw", [{**entry(1, "Bad?", "good_1", "No"), **changes}])
        assert rejects(out) == [("train_v1.0.json#/data/0", "train", code)]
        assert [row["id"] for row in records(out)] == ["train-0000000000"]

    def test_missing_fields_and_what_is_no_entry(self, tmp_path: Path) -> None:
        without = [
            {key: value for key, value in entry(number, "Bad?", "good_1", "No").items() if key != field}
            for number, field in enumerate(("question", "answers", "image"))
        ]
        out = self.convert(tmp_path / "raw", [*without, None, [], "entry", 5])
        assert [code for _, _, code in rejects(out)] == ["no_question", "no_answers", *["no_picture"] * 5]

    def test_no_answers_are_a_fault_in_val_too_and_wrong_ones_in_test(self, tmp_path: Path) -> None:
        out = self.convert(tmp_path / "val", [entry(1, "Bad?", "good_1")], split="val")
        assert rejects(out) == [("val_v1.0.json#/data/0", "val", "no_answers")]
        out = self.convert(tmp_path / "test", [entry(1, "Bad?", "good_1", answers="x")], split="test")
        assert rejects(out) == [("test_v1.0.json#/data/0", "test", "bad_answers")]

    def test_a_question_number_that_was_there_before(self, tmp_path: Path) -> None:
        twice = [entry(1, "First?", "good_1", "a"), entry(1, "Second?", "good_1", "b"), entry(1, "Third?", "good_1")]
        out = self.convert(tmp_path / "raw", twice)
        first, second = read_lines(out / "rejects.jsonl")
        assert (first["source"], first["code"]) == ("train_v1.0.json#/data/1", "duplicate_id")
        assert first["message"] == "question 1 is also at train_v1.0.json#/data/0"
        assert second["code"] == "no_answers"
        assert [row["conversations"][0]["user"].splitlines()[0] for row in records(out)] == ["First?", "Good?"]

    @pytest.mark.parametrize(
        "path",
        ["../secret.png", "documents/../../secret.png", "/etc/secret.png", "..\\secret.png", "C:\\secret.png",
         "documents/./a.png", "documents//a.png", "documents/a\0.png", "documents/\ud83d.png", "documents/.."],
    )  # fmt: skip
    def test_a_path_that_may_leave_the_folder(self, path: str, tmp_path: Path) -> None:
        write_picture(tmp_path / "secret.png", 9)
        out = self.convert(tmp_path / "raw", [entry(1, "Bad?", "x", "No", image=path)])
        ((source, split, code),) = rejects(out)
        assert (source, split, code) == ("train_v1.0.json#/data/0", "train", "unsafe_path")
        assert {image for image in snapshot(out) if image.startswith("images/")} == {"images/train/good_1.0.png"}
        assert sorted(child.name for child in tmp_path.iterdir()) == ["raw", "raw-out", "secret.png"]

    def test_pages_that_are_no_pictures(self, tmp_path: Path) -> None:
        documents = tmp_path / "raw/documents"
        documents.mkdir(parents=True)
        whole = picture(2)
        bad = {
            "a_empty": (b"", "empty_image"),
            "b_cut": (whole[: len(whole) // 2], "truncated"),
            "c_cut": (picture(2, "JPEG")[:-400], "truncated"),
            "d_head": (whole[:20], "truncated"),
            "e_html": (b"<!DOCTYPE html><html>404</html>", "not_an_image"),
            "f_lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "not_an_image"),
            "g_text": (b"scanned", "not_an_image"),
            "h_pdf": (b"%PDF-1.4\n\xff\x00", "not_an_image"),
        }
        for name, (data, _) in bad.items():
            (documents / f"{name}.png").write_bytes(data)
        (documents / "i_folder.png").mkdir()
        names = [*bad, "i_folder", "j_missing"]
        out = self.convert(tmp_path / "raw", [entry(n, "Bad?", name, "No") for n, name in enumerate(names)])
        codes = [*(code for _, code in bad.values()), "not_an_image", "missing_image"]
        assert rejects(out) == [
            (f"documents/{name}.png", "train", code) for name, code in zip(names, codes, strict=True)
        ]
        messages = [row["message"] for row in read_lines(out / "rejects.jsonl")]
        assert messages[4] == "documents/e_html.png is a web page, not an image: the download failed"
        assert messages[5] == "documents/f_lfs.png is a Git LFS pointer, not the image itself"
        assert messages[9] == "documents/j_missing.png does not exist"

    def test_two_pages_of_one_output_name(self, tmp_path: Path) -> None:
        names = ("same.jpg", "same.png", "Same.png", "deeper/same.png")
        for seed, name in enumerate(names):
            write_picture(tmp_path / f"raw/documents/{name}", seed)
        entries = [entry(n, "Q?", "x", "A", image=f"documents/{name}") for n, name in enumerate(names)]
        out = self.convert(tmp_path / "raw", entries)
        assert rejects(out) == [
            ("documents/deeper/same.png", "train", "duplicate_output"),
            ("documents/same.jpg", "train", "duplicate_output"),
            ("documents/same.png", "train", "duplicate_output"),
        ]
        assert (out / "images/train/Same.0.png").read_bytes() == picture(2)

    def test_a_name_with_and_without_its_folder_is_one_page(self, tmp_path: Path) -> None:
        out = self.convert(tmp_path / "raw", [entry(1, "Q?", "x", "A", image="good_1.png")])
        assert [row["conversations"][0]["images"] for row in records(out)] == [["train/good_1.0.png"]] * 2

    def test_half_a_surrogate_pair_costs_its_page(self, tmp_path: Path) -> None:
        write_picture(tmp_path / "raw/documents/a_1.png", 2)
        write_picture(tmp_path / "raw/documents/b_1.png", 3)
        write_picture(tmp_path / "raw/documents/c_1.png", 4)
        bad = [
            entry(1, "Who \ud83d?", "a_1", "A"),
            entry(2, "Who?", "b_1", "A", ucsf_document_id="\udc00"),
            entry(3, "Who?", "c_1", "A", "B", questionId="\ud83d"),
        ]
        out = self.convert(tmp_path / "raw", bad, answer="random")
        assert [source for source, _, _ in rejects(out)] == [f"documents/{page}_1.png" for page in "abc"]

    def test_rows_of_parquet_files(self, tmp_path: Path) -> None:
        good = entry(1, "Good?", "a_1", "A")
        rows = [
            hub_row(good, 1),
            hub_row(entry(1, "Again?", "a_1", "A"), 1),
            hub_row(entry(2, "None?", "b_1"), 2),
            hub_row(entry(3, "After it?", "b_1", "B"), 3),
            hub_row({**good, "questionId": 4, "question": None}, 4, docId=4),
            hub_row({**good, "questionId": 5}, None, docId=5),
            hub_row({**good, "questionId": 6}, 6, docId=6),
            {**hub_row({**good, "questionId": 7}, 7, docId=7), "image": {"bytes": b"<html>", "path": "a.png"}},
            hub_row({**good, "questionId": None}, 8, docId=None),
        ]
        file = "data/train-00000-of-00002.parquet"
        write_parquet(tmp_path / "raw" / file, rows, M4)
        leave_only_the_name(tmp_path / "raw" / file, 6)
        write_parquet(tmp_path / "raw/data/train-00001-of-00002.parquet", [hub_row(good, 9)], M4)
        convert_folder("docvqa", tmp_path / "raw", tmp_path / "out", val_fraction=0)
        assert rejects(tmp_path / "out") == [
            (f"{file}/0000001", "train", "duplicate_id"),
            (f"{file}/0000002", "train", "no_answers"),
            (f"{file}/0000004", "train", "no_question"),
            ("data/train-00001-of-00002.parquet/0000000", "train", "duplicate_id"),
            (f"{file}/0000005", "train", "missing_image"),
            (f"{file}/0000006", "train", "missing_image"),
            (f"{file}/0000007", "train", "not_an_image"),
        ]
        assert [(row["conversations"][0]["images"], row.get("metadata")) for row in records(tmp_path / "out")] == [
            (["train/train-00000/0000000.0.png"], {"question_id": 1}),
            (["train/train-00000/0000003.0.png"], {"question_id": 3}),
            (["train/train-00000/0000008.0.png"], None),
        ]
        assert (tmp_path / "out/images/train/train-00000/0000003.0.png").read_bytes() == picture(3)


class TestPictures:
    def convert(self, root: Path, *names: str, **options: Any) -> Path:
        entries = [entry(number, "Q?", "x", "A", image=f"documents/{name}") for number, name in enumerate(names)]
        write_json(root / "train_v1.0.json", "train", entries)
        out = root / "out"
        convert_folder("docvqa", root, out, **options)
        return out

    @pytest.mark.parametrize("form", ["GIF", "WEBP", "BMP", "TIFF"])
    def test_other_formats_become_png_and_lose_nothing(self, form: str, tmp_path: Path) -> None:
        write_picture(tmp_path / "documents/a.png", 1, form)
        out = self.convert(tmp_path, "a.png")
        assert records(out)[0]["conversations"][0]["images"] == ["train/a.0.png"]
        with Image.open(tmp_path / "documents/a.png") as before, Image.open(out / "images/train/a.0.png") as after:
            assert (before.format, after.format) == (form, "PNG")
            assert np.array_equal(np.asarray(before.convert("RGB")), np.asarray(after.convert("RGB")))

    def test_the_size_limit_shrinks_what_is_larger_and_leaves_the_rest(self, tmp_path: Path) -> None:
        for name, form, size in (
            ("a", "PNG", (40, 30)),
            ("b", "JPEG", (30, 40)),
            ("c", "PNG", (20, 16)),
            ("d", "BMP", (40, 20)),
        ):
            write_picture(tmp_path / f"documents/{name}.png", 1, form, size)
        out = self.convert(tmp_path, *(f"{name}.png" for name in "abcd"), image_size=20)
        found = {}
        for path in (out / "images/train").iterdir():
            with Image.open(path) as image:
                image.load()
                found[path.name] = (image.format, image.size)
        assert found == {
            "a.0.png": ("PNG", (20, 15)),
            "b.0.jpg": ("JPEG", (15, 20)),
            "c.0.png": ("PNG", (20, 16)),
            "d.0.png": ("PNG", (20, 10)),
        }
        assert (out / "images/train/c.0.png").read_bytes() == (tmp_path / "documents/c.png").read_bytes()

    def test_quality_is_that_of_a_jpeg_that_is_shrunk(self, tmp_path: Path) -> None:
        sizes = []
        for quality in (20, 95):
            write_picture(tmp_path / f"{quality}/documents/a.png", 1, "JPEG", (200, 200))
            out = self.convert(tmp_path / str(quality), "a.png", image_size=100, quality=quality)
            sizes.append((out / "images/train/a.0.jpg").stat().st_size)
        assert 2 * sizes[0] < sizes[1]

    def test_damage_in_the_middle_is_found_by_decoding_alone(self, tmp_path: Path) -> None:
        data = bytearray(write_picture(tmp_path / "documents/a.png", 1))
        data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
        (tmp_path / "documents/a.png").write_bytes(data)
        write_picture(tmp_path / "documents/b.png", 2)
        out = self.convert(tmp_path, "a.png", "b.png")
        assert (out / "images/train/a.0.png").read_bytes() == data
        shutil.rmtree(out)
        out = self.convert(tmp_path, "a.png", "b.png", decode=True)
        assert rejects(out) == [("documents/a.png", "train", "damaged")]
        assert (out / "images/train/b.0.png").read_bytes() == picture(2)


class TestUsage:
    def listed(self, root: Path, **options: Any) -> list[Any]:
        """List all that the converter finds in a folder."""
        return [source for split in DocVQA(DocVQAOptions(**options), root).sources().values() for source in split]

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ({"dataset_name": "infographicVQA", "data": []}, "is not DocVQA's: it says that it is 'infographicVQA'"),
            ({"dataset_name": None, "data": []}, "is not DocVQA's: it says that it is None"),
            ({"dataset_name": "docvqa", "dataset_split": "val", "data": []}, "says that it is the split 'val'"),
            ({"dataset_name": "docvqa", "data": {"0": {}}}, "is not DocVQA's: it has no list 'data'"),
            ({"annotations": []}, "is not DocVQA's: it has no list 'data'"),
            ([entry(1, "Q?", "a_1", "A")], "is not DocVQA's: it has no list 'data'"),
            (None, "is not DocVQA's: it has no list 'data'"),
        ],
        ids=str,
    )
    def test_json_of_something_else(self, content: Any, says: str, tmp_path: Path) -> None:
        (tmp_path / "train_v1.0.json").write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(UsageError, match=f"train_v1.0.json {says}"):
            self.listed(tmp_path)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"questionId,question\n1,Q?\n",
            b'{"data": [{"questionId": 1, "ques',
            b"[" * 100_000,
            b"\xff\xfe\x00",
            b"<html>",
        ],
        ids=["empty", "csv", "cut short", "deep", "binary", "web page"],
    )
    def test_what_is_no_json(self, content: bytes, tmp_path: Path) -> None:
        (tmp_path / "train_v1.0.json").write_bytes(content)
        with pytest.raises(UsageError, match=r"train_v1.0.json is not JSON \(.+\): is the download complete\?"):
            self.listed(tmp_path)

    def test_a_byte_order_mark_is_no_fault(self, tmp_path: Path) -> None:
        write_json(tmp_path / "train_v1.0.json", "train", [entry(1, "Q?", "a_1", "A")])
        file = tmp_path / "train_v1.0.json"
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
        assert len(self.listed(tmp_path)) == 1

    def test_a_folder_of_something_else(self, raw: dict[str, Path], tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"no DocVQA found in .*: expected <split>/<split>_v1.0.json beside"):
            self.listed(tmp_path)
        shutil.copytree(raw["lmms"] / "InfographicVQA", tmp_path / "InfographicVQA")
        says = (
            "train-00000-of-00024.parquet is not DocVQA: it has the columns questionId, question, answers, answer_type,"
        )
        with pytest.raises(UsageError, match=says):
            self.listed(tmp_path)

    def test_a_parquet_file_that_is_none(self, raw: dict[str, Path], tmp_path: Path) -> None:
        (whole,) = (raw["nielsr"] / "data").glob("train-*")
        file = tmp_path / "data/train-00000-of-00001.parquet"
        file.parent.mkdir()
        for content in (b"", b"<html>", whole.read_bytes()[:-100]):
            file.write_bytes(content)
            with pytest.raises(
                CannotRun, match=r"train-00000-of-00001.parquet cannot be read as Parquet .*: get it anew"
            ):
                self.listed(tmp_path)

    @pytest.mark.parametrize(
        ("name", "options", "flag"),
        [
            ("by_split", {"val_fraction": 0.1}, "val_fraction"),
            ("by_kind", {"seed": 1}, "seed"),
            ("nielsr", {"seed": 1}, "seed"),
            ("m4", {"val_fraction": 0.5, "answer": "random"}, "val_fraction"),
            ("lmms", {"seed": 0, "answer": "each"}, "seed"),
            ("cauldron", {"answer": "first"}, "answer"),
        ],
    )
    def test_a_flag_without_meaning_for_the_source(
        self, name: str, options: dict[str, Any], flag: str, raw: dict[str, Path]
    ) -> None:
        with pytest.raises(UsageError, match=f"--{flag} has no meaning for this source, for .*: leave it out"):
            self.listed(raw[name], **options)

    def test_the_seed_of_a_random_answer_has_a_meaning(self, raw: dict[str, Path]) -> None:
        assert self.listed(raw["by_split"], answer="random", seed=1)

    def test_errors_are_one_sentence_and_leave_nothing(self, raw: dict[str, Path], tmp_path: Path) -> None:
        write_json(tmp_path / "raw/train_v1.0.json", "train", [], dataset_name="infographicVQA")
        for source, flags, says in (
            (tmp_path / "raw", (), "is not DocVQA's: it says that it is 'infographicVQA'"),
            (raw["by_split"], ("--val-fraction", "0.2"), "--val_fraction has no meaning for this source"),
            (raw["by_split"], ("--prompt", "Read it."), "--prompt: a prompt without {question}"),
        ):
            done = run("convert", "docvqa", "--source", source, "--out_dir", tmp_path / "out", *flags, code=2)
            assert (done.stdout, says in done.stderr.splitlines()[-1]) == ("", True), done.stderr
            assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty pages of the split train, two questions each: five parts."""
    root = tmp_path_factory.mktemp("many")
    entries = [entry(number, "Which?", f"page{number % 80:04d}_1", f"A{number}", "B") for number in range(160)]
    write_json(root / "train_v1.0.json", "train", entries)
    for page in range(80):
        write_picture(root / f"documents/page{page:04d}_1.png", page, "BMP" if page % 3 == 0 else "PNG")
    return root


class TestRuns:
    def test_killed_and_run_again_gives_the_same_bytes(self, many: Path, tmp_path: Path) -> None:
        flags = ("--answer", "random", "--seed", "5")
        convert = ("convert", "docvqa", "--source", many, *flags)
        run(*convert, "--out_dir", tmp_path / "whole", "--workers", "1")
        kill_after_a_part("docvqa", many, tmp_path / "killed", *flags, "--workers", "2")
        run(*convert, "--out_dir", tmp_path / "killed", "--workers", "2")
        assert snapshot(tmp_path / "killed") == snapshot(tmp_path / "whole")

    def test_the_same_again_has_nothing_to_do_and_other_options_are_refused(
        self, raw: dict[str, Path], tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        convert_folder("docvqa", raw["by_kind"], out, answer="each")
        before = snapshot(out)
        command = ("convert", "docvqa", "--source", raw["by_kind"], "--out_dir", out)
        assert run(*command, "--answer", "each").stdout.startswith("Nothing to do: the dataset was complete.")
        for options, says in (
            ({}, "answer each, now first"),
            ({"answer": "each", "image_size": 99}, "image_size None, now 99"),
        ):
            with pytest.raises(UsageError, match=f"holds another conversion \\({says}\\): choose another --out_dir"):
                convert_folder("docvqa", raw["by_kind"], out, **options)
        assert snapshot(out) == before

    def test_a_page_that_changed_is_another_plan(self, raw: dict[str, Path], tmp_path: Path) -> None:
        shutil.copytree(raw["by_kind"], tmp_path / "raw")
        convert_folder("docvqa", tmp_path / "raw", tmp_path / "out")
        write_picture(tmp_path / "raw/spdocvqa_images/nkbl0226_1.png", 1, size=(41, 31))
        with pytest.raises(UsageError, match="made from other source files"):
            convert_folder("docvqa", tmp_path / "raw", tmp_path / "out")
