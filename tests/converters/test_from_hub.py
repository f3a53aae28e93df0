"""Each dataset from each of its homes on the hub: the command, the client, real HTTP on loopback, real Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from datasets import ClassLabel, Features, Image, List, Value

from tests.converters.made_sources import picture, write_parquet
from tests.helpers import read_lines, run, snapshot
from tests.hub_server import HubServer, Repo

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

TEXT, INTEGER = Value("string"), Value("int64")
CAULDRON = Features({"images": List(Image()), "texts": [{"user": TEXT, "assistant": TEXT, "source": TEXT}]})
MINI = Features({"id": TEXT, "image": Image(), "query": {"de": TEXT, "en": TEXT}, "answers": List(TEXT)})
DOCUMENTS = {"question": TEXT, "question_types": List(TEXT), "image": Image(), "docId": INTEGER}
DOCUMENTS |= {"ucsf_document_id": TEXT, "ucsf_document_page_no": TEXT, "answers": List(TEXT)}
PAIRS = {"identifier": TEXT, "sentence": TEXT, "left_image": Image(), "right_image": Image()}
PAIRS |= {"label": ClassLabel(names=["True", "False"]), "directory": TEXT}

HASH = "0123456789abcdef"


def shown(seed: int, form: str = "PNG") -> dict[str, Any]:
    """Return a cell of a column of pictures."""
    return {"bytes": picture(seed, form), "path": None}


def told(user: str, assistant: str) -> dict[str, str]:
    """Return a text of the Cauldron."""
    return {"user": user, "assistant": assistant, "source": "made"}


def asked(number: str | int, question: str, answers: list[str] | None, page: int) -> dict[str, Any]:
    """Return a row of a copy of DocVQA."""
    row = {"questionId": number, "question": question, "question_types": ["form"], "image": shown(page), "docId": page}
    return {**row, "ucsf_document_id": f"made{page}", "ucsf_document_page_no": "1", "answers": answers}


def pair(identifier: str, sentence: str, label: int, seed: int) -> dict[str, Any]:
    """Return a row of the converted NLVR2."""
    row = {"identifier": identifier, "sentence": sentence, "left_image": shown(seed), "right_image": shown(seed + 1)}
    return {**row, "label": label, "directory": "7"}


LEFT_RIGHT = "The first image is the image on the left, the second image is the image on the right. "
ON_THE_LEFT = f'{LEFT_RIGHT}For the images shown, is this caption "A dog is on the left." true? Answer yes or no.'
TWO_DOGS = f'{LEFT_RIGHT}Considering the images on both sides, is "There are two dogs." valid? Answer yes or no.'
TOXIC = "Is this meme spreading toxicity?\nAnswer yes or no."

FILES: dict[str, dict[str, tuple[Features, list[dict[str, Any]]]]] = {
    "nielsr/docvqa_1200_examples": {
        f"data/train-00000-of-00001-{HASH}.parquet": (
            MINI,
            [
                {
                    "id": "train_0",
                    "image": shown(1),
                    "query": {"de": "Wann?", "en": "When?"},
                    "answers": ["1/8/93", "1993"],
                },
                {"id": "train_1", "image": shown(2), "query": {"de": "Wer?", "en": "Who?"}, "answers": ["Ada"]},
            ],
        ),
        f"data/test-00000-of-00001-{HASH}.parquet": (
            MINI,
            [{"id": "test_0", "image": shown(3, "JPEG"), "query": {"de": "Wo?", "en": "Where?"}, "answers": ["Bern"]}],
        ),
    },
    "HuggingFaceM4/DocumentVQA": {
        "data/train-00000-of-00002.parquet": (
            Features({"questionId": Value("int32"), **DOCUMENTS}),
            [asked(337, "when?", ["1/8/93"], 4), asked(338, "who?", ["Ada"], 4)],
        ),
        "data/train-00001-of-00002.parquet": (
            Features({"questionId": Value("int32"), **DOCUMENTS}),
            [asked(339, "where?", ["Bern"], 5)],
        ),
        "data/test-00000-of-00001.parquet": (
            Features({"questionId": Value("int32"), **DOCUMENTS}),
            [asked(340, "why?", None, 6)],
        ),
    },
    "lmms-lab/DocVQA": {
        "DocVQA/validation-00000-of-00001.parquet": (
            Features({"questionId": TEXT, **DOCUMENTS, "data_split": TEXT}),
            [{**asked("49153", "What is the value?", ["0.28"], 7), "data_split": "val"}],
        ),
        "InfographicVQA/validation-00000-of-00001.parquet": (Features({"questionId": TEXT}), [{"questionId": "1"}]),
    },
    "HuggingFaceM4/the_cauldron": {
        f"docvqa/train-00000-of-00001-{HASH}.parquet": (
            CAULDRON,
            [
                {
                    "images": [shown(8)],
                    "texts": [
                        told("When?\nGive a very brief answer.", "1/8/93."),
                        told("Who?\nEnsure brevity in your answer. ", "Ada."),
                    ],
                }
            ],
        ),
        f"hateful_memes/train-00000-of-00001-{HASH}.parquet": (
            CAULDRON,
            [{"images": [shown(9, "JPEG")], "texts": [told(TOXIC, "Yes.")]}],
        ),
        f"nlvr2/train-00000-of-00001-{HASH}.parquet": (
            CAULDRON,
            [
                {
                    "images": [shown(10), shown(11)],
                    "texts": [told(ON_THE_LEFT, "Yes."), told(TWO_DOGS, "No.")],
                }
            ],
        ),
        f"vqav2/train-00000-of-00001-{HASH}.parquet": (
            CAULDRON,
            [{"images": [shown(12)], "texts": [told("A?", "B.")]}],
        ),
    },
}
CONVERSION = {
    "default/train/0000.parquet": (
        Features(PAIRS),
        [pair("train-100-0-0", "A dog is on the left.", 0, 13), pair("train-100-1-0", "A dog is on the left.", 1, 15)],
    ),
    "default/validation/0000.parquet": (Features(PAIRS), [pair("dev-850-0-0", "A cat sleeps.", 1, 17)]),
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    """The datasets as the hub has them; NLVR2 is a script, beside it the hub's own conversion."""
    folder = tmp_path_factory.mktemp("made")

    def made(files: dict[str, tuple[Features, list[dict[str, Any]]]]) -> dict[str, bytes]:
        return {name: write_parquet(folder / name, rows, features) for name, (features, rows) in files.items()}

    repos = {repo: Repo(made(files), card={"license": "mit"}) for repo, files in FILES.items()}
    converted = Repo(made(CONVERSION), commit="d" * 40, branches=("refs/convert/parquet",))
    repos["HuggingFaceM4/NLVR2"] = Repo(
        {"NLVR2.py": b"# a script"}, card={"license": "cc-by-4.0"}, revisions={"refs/convert/parquet": converted}
    )
    with HubServer(**repos) as server:
        yield server


Convert = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def convert(hub: HubServer, tmp_path: Path) -> Convert:
    """Return a function that runs a conversion into `tmp_path`, with the stand-in as the hub."""
    settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "PHI3V_CACHE": str(tmp_path / "cache")}
    settings |= {"HF_HUB_OFFLINE": "0", "NO_PROXY": "*"}

    def converted(name: str, *flags: str, out: str = "out", code: int = 0) -> subprocess.CompletedProcess[str]:
        return run("convert", name, "--out_dir", tmp_path / out, *flags, code=code, env=settings)

    return converted


def record(identity: str, user: str, assistant: str | None, *images: str, **more: Any) -> dict[str, Any]:
    """Return a record of one turn as a line of the dataset has it."""
    turn = {"images": list(images), "user": user, "assistant": assistant, "answers": more.pop("answers", None)}
    return {"id": identity, "conversations": [{key: value for key, value in turn.items() if value is not None}], **more}


def page(identity: str, question: str, answers: list[str], image: str, **more: Any) -> dict[str, Any]:
    """Return a record of DocVQA."""
    target = answers[0] if answers else None
    return record(identity, f"{question}\nAnswer briefly.", target, image, answers=answers or None, **more)


HOLDS = f'{LEFT_RIGHT}Given the left and right images, does the statement "{{}}" hold true? Answer yes or no.'
NO_VAL = ("--val_fraction", "0")

CASES: dict[str, tuple[list[str], dict[str, list[dict[str, Any]]], dict[str, bytes]]] = {
    "nielsr/docvqa_1200_examples": (
        ["docvqa"],
        {
            "train": [
                page(
                    "train-0000000000",
                    "When?",
                    ["1/8/93", "1993"],
                    "train/train-00000/0000000.0.png",
                    metadata={"question_id": "train_0"},
                ),
                page(
                    "train-0000000001",
                    "Who?",
                    ["Ada"],
                    "train/train-00000/0000001.0.png",
                    metadata={"question_id": "train_1"},
                ),
            ],
            "test": [
                page(
                    "test-0000000002",
                    "Where?",
                    ["Bern"],
                    "test/test-00000/0000000.0.jpg",
                    metadata={"question_id": "test_0"},
                ),
            ],
        },
        {
            "train/train-00000/0000000.0.png": picture(1),
            "train/train-00000/0000001.0.png": picture(2),
            "test/test-00000/0000000.0.jpg": picture(3, "JPEG"),
        },
    ),
    "HuggingFaceM4/DocumentVQA": (
        ["docvqa", "--source", "hub:HuggingFaceM4/DocumentVQA"],
        {
            "train": [
                page(
                    "train-0000000000-0",
                    "when?",
                    ["1/8/93"],
                    "train/train-00000/0000000.0.png",
                    group="made4",
                    metadata={"question_id": 337},
                ),
                page(
                    "train-0000000000-1",
                    "who?",
                    ["Ada"],
                    "train/train-00000/0000000.0.png",
                    group="made4",
                    metadata={"question_id": 338},
                ),
                page(
                    "train-0000000001",
                    "where?",
                    ["Bern"],
                    "train/train-00001/0000000.0.png",
                    group="made5",
                    metadata={"question_id": 339},
                ),
            ],
            "test": [
                page(
                    "test-0000000002",
                    "why?",
                    [],
                    "test/test-00000/0000000.0.png",
                    group="made6",
                    metadata={"question_id": 340},
                ),
            ],
        },
        {
            "train/train-00000/0000000.0.png": picture(4),
            "train/train-00001/0000000.0.png": picture(5),
            "test/test-00000/0000000.0.png": picture(6),
        },
    ),
    "lmms-lab/DocVQA": (
        ["docvqa", "--source", "hub:lmms-lab/DocVQA@main"],
        {
            "val": [
                page(
                    "val-0000000000",
                    "What is the value?",
                    ["0.28"],
                    "val/validation-00000/0000000.0.png",
                    group="made7",
                    metadata={"question_id": "49153"},
                ),
            ],
        },
        {"val/validation-00000/0000000.0.png": picture(7)},
    ),
    "the Cauldron's docvqa": (
        ["docvqa", "--source", "hub:HuggingFaceM4/the_cauldron", *NO_VAL],
        {
            "train": [
                page("train-0000000000-0", "When?", ["1/8/93"], "train/train-00000/0000000.0.png"),
                page("train-0000000000-1", "Who?", ["Ada"], "train/train-00000/0000000.0.png"),
            ],
        },
        {"train/train-00000/0000000.0.png": picture(8)},
    ),
    "the Cauldron's hateful_memes": (
        ["hateful_memes", *NO_VAL],
        {"train": [record("train-0000000000", TOXIC, "Yes.", "train/train-00000/0000000.0.jpg")]},
        {"train/train-00000/0000000.0.jpg": picture(9, "JPEG")},
    ),
    "the Cauldron's nlvr2": (
        ["nlvr2", *NO_VAL],
        {
            "train": [
                record(
                    f"train-0000000000-{number}",
                    user,
                    assistant,
                    "train/train-00000/0000000.0.png",
                    "train/train-00000/0000000.1.png",
                )
                for number, (user, assistant) in enumerate([(ON_THE_LEFT, "Yes."), (TWO_DOGS, "No.")])
            ],
        },
        {"train/train-00000/0000000.0.png": picture(10), "train/train-00000/0000000.1.png": picture(11)},
    ),
    "the conversion of HuggingFaceM4/NLVR2": (
        ["nlvr2", "--source", "hub:HuggingFaceM4/NLVR2"],
        {
            "train": [
                record(
                    f"train-000000000{number}",
                    HOLDS.format("A dog is on the left."),
                    assistant,
                    f"train/0000/000000{number}.0.png",
                    f"train/0000/000000{number}.1.png",
                    group="train-100",
                    metadata={"identifier": f"train-100-{number}-0"},
                )
                for number, assistant in enumerate(["Yes.", "No."])
            ],
            "val": [
                record(
                    "val-0000000002",
                    HOLDS.format("A cat sleeps."),
                    "No.",
                    "val/0000/0000000.0.png",
                    "val/0000/0000000.1.png",
                    group="dev-850",
                    metadata={"identifier": "dev-850-0-0"},
                ),
            ],
        },
        {
            "train/0000/0000000.0.png": picture(13),
            "train/0000/0000000.1.png": picture(14),
            "train/0000/0000001.0.png": picture(15),
            "train/0000/0000001.1.png": picture(16),
            "val/0000/0000000.0.png": picture(17),
            "val/0000/0000000.1.png": picture(18),
        },
    ),
}
"""What is typed behind `convert`, the records of each split, and the pictures."""


@pytest.mark.parametrize("case", CASES)
def test_every_home_on_the_hub(case: str, convert: Convert, tmp_path: Path) -> None:
    (name, *flags), splits, pictures = CASES[case]
    convert(name, *flags, "--workers", "2")
    out = tmp_path / "out"
    assert {path.name for path in out.glob("*.jsonl")} == {f"{name}_{split}.jsonl" for split in splits}
    for split, records in splits.items():
        found = read_lines(out / f"{name}_{split}.jsonl")
        if case == "the Cauldron's nlvr2":  # its group stands for an image set that has no name there
            assert len({record.pop("group") for record in found}) == 1
        assert found == [record | {"source": name} for record in records]
    assert snapshot(out / "images") == pictures
    run("validate", out)
    manifest = json.loads((out / "manifest.json").read_text())["source"]
    pinned = ("d" * 40, "cc-by-4.0") if "conversion" in case else ("c" * 40, "mit")
    assert (manifest["revision"], manifest["licence"]) == pinned
    convert(name, *flags, "--workers", "1", out="again")
    assert snapshot(tmp_path / "again") == snapshot(out)
    assert "Nothing to do" in convert(name, *flags).stdout


def test_only_what_is_wanted_is_fetched(hub: HubServer, convert: Convert) -> None:
    hub.requests.clear()
    convert("hateful_memes", *NO_VAL)
    fetched = {request.path for request in hub.requests if request.method == "GET" and "/resolve/" in request.path}
    assert len(fetched) == 1 and "/hateful_memes/train-" in fetched.pop()


def test_another_dataset_is_refused_with_its_columns(convert: Convert) -> None:
    done = convert("nlvr2", "--source", "hub:nielsr/docvqa_1200_examples", code=2)
    assert " is not NLVR2: it has the columns id, image, query, answers; " in done.stderr.splitlines()[-1]
