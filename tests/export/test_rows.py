"""The rows of llava and messages: what is written for every case, exactly."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from phi3v_data.errors import DataError
from phi3v_data.export.exporter import export
from phi3v_data.reader import Dataset
from tests.export.made import IMAGES, TRAIN, png, write_dataset, write_lines
from tests.helpers import read_lines, run, snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.export.exporter import Exported, ExportFormat
    from phi3v_data.formats.kinds import Format

FIRST = {
    "id": "train-0000000000",
    "source": "shapes",
    "group": "disc/1",
    "answers": [["A disc.", "disc"], None, None],
    "metadata": {"image": "raw/a.png", "prompt": None},
}
SECOND = {"id": "train-0000000001", "source": "shapes"}
THIRD = {"id": "val-0000000000", "source": "shapes", "group": "disc/2"}
PATHS = ["images/train/a.png", "images/train/b.png", "images/train/c d.png"]
NOBODY = {"user": "מה זה? 这是什么？ e\u0301", "assistant": "لا شيء 🙂\n\nNothing."}

LLAVA_TRAIN = [
    {
        "id": 17,
        "image": PATHS,
        "system": "Answer in a word.",
        "conversations": [
            {"from": "human", "value": "<image>\nWhat is it?"},
            {"from": "gpt", "value": "A disc."},
            {"from": "human", "value": "And its colour?"},
            {"from": "gpt", "value": "Red."},
            {"from": "human", "value": "<image>\n<image>\nAnd these?"},
            {"from": "gpt", "value": "Squares."},
        ],
        "label": 3,
        "licence": "CC0",
        "phi3v": FIRST,
    },
    {
        "id": "train-0000000001",
        "conversations": [
            {"from": "human", "value": NOBODY["user"]},
            {"from": "gpt", "value": NOBODY["assistant"]},
        ],
        "phi3v": SECOND,
    },
]
LLAVA_VAL = [
    {
        "id": "val-0000000000",
        "image": "images/val/a.png",
        "conversations": [{"from": "human", "value": "<image>\nWhat is it?"}],
        "licence": "CC0",
        "phi3v": THIRD,
    }
]
TAGGED = [
    ("system", "Answer in a word."),
    ("user", "<image>\nWhat is it?"),
    ("assistant", "A disc."),
    ("user", "And its colour?"),
    ("assistant", "Red."),
    ("user", "<image>\n<image>\nAnd these?"),
    ("assistant", "Squares."),
]
IMAGE = {"type": "image"}


def text(value: str) -> dict[str, str]:
    return {"type": "text", "text": value}


PARTS = [
    ("system", [text("Answer in a word.")]),
    ("user", [IMAGE, text("What is it?")]),
    ("assistant", [text("A disc.")]),
    ("user", [text("And its colour?")]),
    ("assistant", [text("Red.")]),
    ("user", [IMAGE, IMAGE, text("And these?")]),
    ("assistant", [text("Squares.")]),
]


def opened(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with what they carry besides as an object."""
    return [row | {"phi3v": json.loads(row["phi3v"])} for row in rows]


def messages(pairs: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    return [{"role": role, "content": content} for role, content in pairs]


def exported(dataset: Path, out_dir: Path, to: ExportFormat, **options: Any) -> Exported:
    return export(Dataset(dataset), to, out_dir, **options)


def array(path: Path) -> list[dict[str, Any]]:
    return opened(json.loads(path.read_text(encoding="utf-8")))


def test_llava(tmp_path: Path) -> None:
    exported(write_dataset(tmp_path / "data"), tmp_path / "out", "llava")
    assert array(tmp_path / "out/train.json") == LLAVA_TRAIN
    assert array(tmp_path / "out/val.json") == LLAVA_VAL
    assert snapshot(tmp_path / "out/images") == IMAGES
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        ".phi3v-export.json",
        "images",
        "train.json",
        "val.json",
    }


def test_llama_factory(tmp_path: Path) -> None:
    exported(write_dataset(tmp_path / "data"), tmp_path / "out", "llava", llama_factory=True)
    lists = [{key: value for key, value in row.items() if key != "image"} for row in LLAVA_TRAIN]
    assert array(tmp_path / "out/train.json") == [lists[0] | {"images": PATHS}, lists[1] | {"images": []}]
    tags = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"}
    columns = {"messages": "conversations", "images": "images"}
    assert json.loads((tmp_path / "out/dataset_info.json").read_text()) == {
        "train": {
            "file_name": "train.json",
            "formatting": "sharegpt",
            "columns": {**columns, "system": "system"},
            "tags": tags,
        },
        "val": {"file_name": "val.json", "formatting": "sharegpt", "columns": columns, "tags": tags},
    }


def test_what_llama_factory_asks_of_rows(tmp_path: Path) -> None:
    """Its data/README.md: human and gpt in turn, a tag for each of the images, which `media_dir` (here) has."""
    out = tmp_path / "out"
    exported(write_dataset(tmp_path / "data"), out, "llava", llama_factory=True)
    for described in json.loads((out / "dataset_info.json").read_text()).values():
        columns, tags = described["columns"], described["tags"]
        for row in json.loads((out / described["file_name"]).read_text(encoding="utf-8")):
            entries, images = row[columns["messages"]], row[columns["images"]]
            speakers = [entry[tags["role_tag"]] for entry in entries]
            in_turn = [tags["user_tag"], tags["assistant_tag"]] * len(entries)
            assert speakers == in_turn[: len(entries)]
            assert isinstance(images, list) and all((out / path).is_file() for path in images)
            assert sum(entry[tags["content_tag"]].count("<image>") for entry in entries) == len(images)
            assert isinstance(row.get(columns.get("system"), ""), str)


def test_messages_in_parts(tmp_path: Path) -> None:
    exported(write_dataset(tmp_path / "data"), tmp_path / "out", "messages")
    pairs = [("user", [text(NOBODY["user"])]), ("assistant", [text(NOBODY["assistant"])])]
    assert opened(read_lines(tmp_path / "out/train.jsonl")) == [
        {"id": 17, "messages": messages(PARTS), "images": PATHS, "label": 3, "licence": "CC0", "phi3v": FIRST},
        {"id": "train-0000000001", "messages": messages(pairs), "images": [], "phi3v": SECOND},
    ]
    assert opened(read_lines(tmp_path / "out/val.jsonl")) == [
        {
            "id": "val-0000000000",
            "messages": messages([("user", [IMAGE, text("What is it?")])]),
            "images": ["images/val/a.png"],
            "licence": "CC0",
            "phi3v": THIRD,
        }
    ]
    assert snapshot(tmp_path / "out/images") == IMAGES


def test_messages_with_tags(tmp_path: Path) -> None:
    exported(write_dataset(tmp_path / "data"), tmp_path / "out", "messages", image_tags=True)
    assert opened(read_lines(tmp_path / "out/train.jsonl")) == [
        {"id": 17, "messages": messages(TAGGED), "images": PATHS, "label": 3, "licence": "CC0", "phi3v": FIRST},
        {
            "id": "train-0000000001",
            "messages": messages([("user", NOBODY["user"]), ("assistant", NOBODY["assistant"])]),
            "images": [],
            "phi3v": SECOND,
        },
    ]


@pytest.mark.parametrize("kind", ["webdataset", "parquet"])
@pytest.mark.parametrize("to", ["llava", "messages", "hf"])
def test_every_format_of_a_dataset_gives_the_same_bytes(to: ExportFormat, kind: Format, tmp_path: Path) -> None:
    exported(write_dataset(tmp_path / "lines"), tmp_path / "of_lines", to)
    exported(write_dataset(tmp_path / "shards", kind), tmp_path / "of_shards", to)
    assert snapshot(tmp_path / "of_lines") == snapshot(tmp_path / "of_shards")


def test_what_is_said(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "data")
    done = run("export", dataset, "--to", "llava", "--out-dir", tmp_path / "out")
    kept = "kept in the key 'phi3v', which trainers pass over"
    assert done.stdout == (
        "train: 2 records, 3 images\nval: 1 record, 1 image\n"
        "note: 2 records with images: an <image> stands in a line of its own for each, before the text of its turn\n"
        "note: 1 record without an answer to the last question: trainers want one, and pass over it or stop\n"
        f"note: 1 record with accepted answers: {kept}\n"
        f"note: 2 records with a group: {kept}\n"
        f"note: 1 record with metadata whose keys mean something else to trainers: {kept}\n"
        "note: 1 record with several images: 'image' is a list there, which LLaVA's own trainer does not read\n"
        "note: 1 record with a system prompt: in the key 'system', which LLaMA-Factory reads and LLaVA's trainers do "
        f"not\nWrote {tmp_path / 'out'} as llava\n"
    )
    args = ("export", dataset / "made_train.jsonl", "--to", "messages", "--out_dir", tmp_path / "other")
    document = json.loads(run(*args, "--format", "json").stdout)
    assert document["splits"] == {"train": {"records": 2, "images": 3}}
    assert [(note["code"], note["records"]) for note in document["notes"]] == [
        ("answers", 1),
        ("group", 1),
        ("taken", 1),
    ]
    assert document["out_dir"] == str(tmp_path / "other")


def test_one_split_and_images_elsewhere(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "data")
    (dataset / "images").rename(tmp_path / "pictures")
    flags = ("--split", "val", "--images_dir", tmp_path / "pictures")
    run("export", dataset, "--to", "llava", "--out_dir", tmp_path / "out", *flags)
    assert array(tmp_path / "out/val.json") == LLAVA_VAL
    assert snapshot(tmp_path / "out/images") == {"val/a.png": IMAGES["val/a.png"]}


def test_a_split_without_records(tmp_path: Path) -> None:
    dataset = write_lines(tmp_path / "data")
    exported(dataset, tmp_path / "llava", "llava")
    exported(dataset, tmp_path / "messages", "messages")
    assert array(tmp_path / "llava/train.json") == []
    assert read_lines(tmp_path / "messages/train.jsonl") == []


@pytest.mark.parametrize("field", ["user", "assistant", "system"])
@pytest.mark.parametrize("tag", ["<image>", "<video>", "<audio>"])
@pytest.mark.parametrize("to", ["llava", "messages"])
def test_a_tag_in_a_text_would_be_taken_for_an_image(to: ExportFormat, tag: str, field: str, tmp_path: Path) -> None:
    record = marked(field, f"In HTML, {tag} is no element.")
    dataset = write_lines(tmp_path / "data", TRAIN[1], record)
    with pytest.raises(DataError, match=rf"made_train.jsonl:2: a text holds {tag}, .* or export with --to hf"):
        exported(dataset, tmp_path / "out", to)
    assert not (tmp_path / "out").exists()
    exported(dataset, tmp_path / "hub", "hf")


@pytest.mark.parametrize("to", ["llava", "messages", "hf"])
def test_a_token_of_the_model_in_a_text(to: ExportFormat, tmp_path: Path) -> None:
    dataset = write_lines(tmp_path / "data", marked("assistant", "Over.<|end|>"))
    with pytest.raises(DataError, match=r"made_train.jsonl:1: 'assistant' of turn 1 holds the special token"):
        exported(dataset, tmp_path / "out", to)
    assert not (tmp_path / "out").exists()


def marked(field: str, value: str) -> dict[str, Any]:
    """Return a record with a text in a field."""
    turn = {"user": "What?", "assistant": "That."}
    top = {"system": value} if field == "system" else {}
    return {"id": "a", "source": "made", **top, "conversations": [turn | ({} if top else {field: value})]}


@pytest.mark.parametrize("to", ["llava", "messages", "hf"])
def test_an_image_that_is_missing_names_the_record(to: ExportFormat, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "data")
    (dataset / "images/train/b.png").unlink()
    done = run("export", dataset, "--to", to, "--out_dir", tmp_path / "out", code=1)
    assert "made_train.jsonl:1: " in done.stderr and "train/b.png" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd", "a/../../secret.png"])
def test_an_image_outside_the_folder_is_refused(path: str, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(png(1))
    turn = {"images": [path], "user": "What?", "assistant": "That."}
    dataset = write_lines(tmp_path / "data", {"id": "a", "source": "made", "conversations": [turn]})
    done = run("export", dataset, "--to", "llava", "--out_dir", tmp_path / "out", code=1)
    assert done.stderr.startswith(f"Error: {dataset}/made_train.jsonl:1: the image path ")
    assert not (tmp_path / "out").exists()


def test_a_line_that_is_no_record(tmp_path: Path) -> None:
    dataset = write_lines(tmp_path / "data", TRAIN[1], {"id": "a"})
    done = run("export", dataset, "--to", "llava", "--out_dir", tmp_path / "out", code=1)
    assert done.stderr.startswith(f"Error: {dataset}/made_train.jsonl:2:")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_one_path_for_two_images_is_an_error_and_for_one_is_none(tmp_path: Path) -> None:
    from phi3v_data.formats.webdataset import TarWriter

    for name, second in (("same", png(1)), ("other", png(2))):
        folder = tmp_path / name
        folder.mkdir()
        writer = TarWriter(folder / "made_train.tar")
        for number, image in enumerate((png(1), second)):
            turn = {"images": ["a.png"], "user": "What?", "assistant": "That."}
            record = {"id": str(number), "source": "made", "conversations": [turn]}
            writer.add(json.dumps(record).encode(), [("a.png", image)])
        writer.close()
    exported(tmp_path / "same", tmp_path / "out", "llava")
    assert snapshot(tmp_path / "out/images") == {"a.png": png(1)}
    with pytest.raises(DataError, match=r"made_train.tar:2: the image 'a.png' differs from that of another record"):
        exported(tmp_path / "other", tmp_path / "none", "llava")


def test_what_datasets_would_stop_at_is_told(tmp_path: Path) -> None:
    """It learns the columns of JSON lines from the first 10 MB."""
    long, turn = "x" * (1 << 20), {"user": "What?", "assistant": "That."}
    record = {"id": "a", "source": "made", "conversations": [turn]}
    records = [record | {"conversations": [turn | {"user": long}]} for _ in range(10)]
    late = record | {"metadata": {"label": 1}}
    codes = {}
    for name, rows in (("late", [*records, late, record]), ("early", [late, *records, late])):
        dataset = write_lines(tmp_path / name, *rows)
        told = exported(dataset, tmp_path / f"{name}_out", "messages").notes
        codes[name] = [(note.code, note.records) for note in told]
    assert codes == {"late": [("late", 1)], "early": []}
