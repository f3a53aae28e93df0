"""Made-up raw data for benchmarks/converters.py: pages, memes and pairs of photographs, in the layouts they come in.

    python benchmarks/picture_sources.py docvqa/cauldron FOLDER --records 1600 --kb 300

Pages are grey PNG, lines of text on white; memes PNG in colour; photographs JPEG called `.png`, as some of NLVR2's are.
All have a band of noise, as high as the bytes ask for. Parquet files have 100 rows to a group, and pictures in a
dictionary, as Arrow writes them unless told otherwise.
"""

from __future__ import annotations

import argparse
import io
import json
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import numpy as np
import pyarrow
from PIL import Image, ImageDraw
from pyarrow import parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUESTIONS = {"docvqa": 4, "hateful_memes": 1, "nlvr2": 2}
FORMATS = {"docvqa": ("L", "PNG"), "hateful_memes": ("RGB", "PNG"), "nlvr2": ("RGB", "JPEG")}
GROUP, SHARDS = 100, 2


@dataclass(frozen=True)
class Sample:
    """One page, meme or pair, and what is asked about it."""

    number: int
    pictures: list[bytes]
    questions: list[str]


def encode(pixels: np.ndarray, form: str) -> bytes:
    """Return pixels as the bytes of a picture file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **({"compress_level": 1} if form == "PNG" else {"quality": 90}))
    return buffer.getvalue()


def noise(seed: int, height: int, width: int, mode: str) -> np.ndarray:
    """Return noise, (height, width) or (height, width, 3) uint8."""
    shape = (height, width) if mode == "L" else (height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@cache
def blank(mode: str, form: str, kb: float) -> tuple[np.ndarray, int]:
    """Return a page of text, or a grey picture with a caption, and how many rows noise has to fill for that many kB."""
    per_pixel = len(encode(noise(0, 256, 256, mode), form)) / 256**2
    band = kb * 1000 / per_pixel
    width = max(16, round((4 * band / 1.3) ** 0.5))  # a quarter of the page is noise
    page = Image.new(mode, (width, max(16, round(1.3 * width))), "white" if mode == "L" else "grey")
    words = "The quick brown fox jumps over the lazy dog " * (width // 200 + 1)
    for top in range(0, page.height * 3 // 4 if mode == "L" else 1, 16):
        ImageDraw.Draw(page).text((4, top), words, "black")
    return np.asarray(page), round(band / width)


def draw(dataset: str, kb: float, seed: int) -> bytes:
    """Return a picture of about that many kB; another seed gives other bytes."""
    mode, form = FORMATS[dataset]
    page, band = blank(mode, form, kb)
    pixels = page.copy()
    pixels[-band:] = noise(seed, band, page.shape[1], mode)
    return encode(pixels, form)


def samples(dataset: str, records: int, kb: float) -> Iterator[Sample]:
    """Yield samples that have so many questions together."""
    pictures, asked = 2 if dataset == "nlvr2" else 1, QUESTIONS[dataset]
    for number in range(max(1, records // asked)):
        drawn = [draw(dataset, kb, number * pictures + index) for index in range(pictures)]
        yield Sample(number, drawn, [f"What is the total amount in line {n} of form {number}?" for n in range(asked)])


def pages(sample: Sample) -> Iterator[dict[str, Any]]:
    """Yield DocVQA's entries about one page."""
    for index, question in enumerate(sample.questions):
        document = f"abcd{sample.number:06d}"
        yield {
            "questionId": sample.number * 4 + index,
            "question": question,
            "question_types": ["form"],
            "image": f"documents/{document}_1.png",
            "docId": sample.number,
            "ucsf_document_id": document,
            "ucsf_document_page_no": "1",
            "answers": [f"{index} dollars", f"${index}"],
            "data_split": "train",
        }


def write_docvqa(folder: Path, found: Iterator[Sample]) -> None:
    """Write the original DocVQA, by kind."""
    (folder / "spdocvqa_images").mkdir(parents=True)
    (folder / "spdocvqa_qas").mkdir()
    entries = []
    for sample in found:
        new = list(pages(sample))
        (folder / "spdocvqa_images" / Path(new[0]["image"]).name).write_bytes(sample.pictures[0])
        entries += new
    document = {"dataset_name": "docvqa", "dataset_split": "train", "dataset_version": "1.0", "data": entries}
    (folder / "spdocvqa_qas" / "train_v1.0_withQT.json").write_text(json.dumps(document))


def write_memes(folder: Path, found: Iterator[Sample]) -> None:
    """Write the original Hateful Memes."""
    (folder / "img").mkdir(parents=True)
    with (folder / "train.jsonl").open("w") as lines:
        for sample in found:
            picture = f"img/{sample.number:05d}.png"
            (folder / picture).write_bytes(sample.pictures[0])
            row = {"id": sample.number, "img": picture, "label": sample.number % 2, "text": sample.questions[0]}
            lines.write(json.dumps(row) + "\n")


def write_pairs(folder: Path, found: Iterator[Sample]) -> None:
    """Write the original NLVR2, pictures in 100 folders."""
    folder.mkdir(parents=True)
    with (folder / "train.json").open("w") as lines:
        for sample in found:
            number, place = sample.number, folder / "images" / "train" / str(sample.number % 100)
            place.mkdir(parents=True, exist_ok=True)
            for side, data in enumerate(sample.pictures):
                (place / f"train-{number}-0-img{side}.png").write_bytes(data)
            for index, sentence in enumerate(sample.questions):
                row = {"sentence": sentence, "label": str(index % 2 == 0), "identifier": f"train-{number}-0-{index}"}
                lines.write(json.dumps({**row, "directory": str(number % 100)}) + "\n")


def cauldron_row(dataset: str, sample: Sample) -> dict[str, Any]:
    """Return a sample as a row of the Cauldron."""
    ask, answer = {
        "docvqa": ("{}\nGive a very brief answer.", "3 dollars."),
        "hateful_memes": ("Is the language used in this meme hateful?\nAnswer yes or no.", "No."),
        "nlvr2": ('The first image is the image on the left. Is "{}" valid? Answer yes or no.', "Yes."),
    }[dataset]
    texts = [{"user": ask.format(text), "assistant": answer, "source": dataset} for text in sample.questions]
    return {"images": [{"bytes": data, "path": None} for data in sample.pictures], "texts": texts}


def lmms_rows(sample: Sample) -> Iterator[dict[str, Any]]:
    """Yield a page's questions as rows of lmms-lab/DocVQA, each with the page."""
    for page in pages(sample):
        picture = {"bytes": sample.pictures[0], "path": Path(page["image"]).name}
        yield {**page, "questionId": str(page["questionId"]), "image": picture, "data_split": "val"}


def write_parquet(
    folder: Path, name: str, features: dict[str, Any], rows: Iterator[dict[str, Any]], count: int
) -> None:
    """Write rows into shards, with the features as `datasets` notes them."""
    schema = datasets.Features(features).arrow_schema
    folder.mkdir(parents=True)
    for shard in range(SHARDS):
        with parquet.ParquetWriter(folder / f"{name}-{shard:05d}-of-{SHARDS:05d}.parquet", schema) as writer:
            left = count * (shard + 1) // SHARDS - count * shard // SHARDS
            while group := list(islice(rows, min(GROUP, left))):
                writer.write_table(pyarrow.Table.from_pylist(group, schema))
                left -= len(group)


def write(form: str, folder: Path, records: int, kb: float) -> None:
    """Write one form of a dataset."""
    dataset, _, layout = form.partition("/")
    found, text, asked = samples(dataset, records, kb), datasets.Value("string"), QUESTIONS[dataset]
    if layout == "original":
        originals: dict[str, Callable[[Path, Iterator[Sample]], None]]
        originals = {"docvqa": write_docvqa, "hateful_memes": write_memes, "nlvr2": write_pairs}
        originals[dataset](folder, found)
    elif layout == "cauldron":
        turn = {"user": text, "assistant": text, "source": text}
        features = {"images": datasets.List(datasets.Image()), "texts": datasets.List(turn)}
        rows = (cauldron_row(dataset, sample) for sample in found)
        write_parquet(folder / dataset, "train", features, rows, max(1, records // asked))
    else:
        names = ("questionId", "question", "ucsf_document_id", "ucsf_document_page_no", "data_split")
        lists = {name: datasets.List(text) for name in ("question_types", "answers")}
        features = {**dict.fromkeys(names, text), **lists, "image": datasets.Image(), "docId": datasets.Value("int64")}
        rows = (row for sample in found for row in lmms_rows(sample))
        write_parquet(folder / "DocVQA", "validation", features, rows, max(1, records // asked) * asked)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("form")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--kb", type=float, required=True)
    arguments = parser.parse_args()
    write(arguments.form, arguments.folder, arguments.records, arguments.kb)
