"""What is counted: every figure of a known dataset, in every format, by any number of workers, whatever is broken."""

from __future__ import annotations

import gzip
import json
import os
import random
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from phi3v_data.errors import CannotRun, DataError, UsageError
from phi3v_data.stats.collect import collect
from phi3v_data.stats.document import document_of
from phi3v_data.stats.result import notes_of
from phi3v_data.tokens import image_tokens
from phi3v_schemas import Record, Turn
from phi3v_train.encode import Encoder
from tests.formats.shards import line, reshard, write_dataset
from tests.stats.figures import FORMATS, IMAGES, TRAIN, known, write_records
from tests.tokenizers_at_hand import tokenizer_folder

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.formats.kinds import Format


@pytest.mark.parametrize("form", FORMATS)
def test_the_figures_of_a_known_dataset(tmp_path: Path, form: Format) -> None:
    stats = collect(known(tmp_path, form))
    train, val, whole = stats.splits["train"], stats.splits["val"], stats.whole
    assert list(stats.splits) == ["train", "val"]
    assert (train.records, val.records, whole.records) == (4, 1, 5)
    assert (train.turns.total, train.turns.least, train.turns.most) == (5, 1, 2)
    assert dict(train.images.counts) == {0: 1, 1: 1, 2: 2}
    assert (whole.images.total, whole.prompts, whole.broken) == (6, 1, 0)
    assert (train.user.number, train.user.words, train.user.characters) == (5, 15, 60)
    assert (train.assistant.number, train.assistant.words, train.assistant.characters) == (5, 5, 15)
    assert val.assistant.number == 0
    pictures = whole.pictures
    assert pictures.sizes == {(400, 300): 4, (100, 900): 2}
    assert pictures.formats == {"PNG": 2, "JPEG": 4}
    assert (pictures.widths.least, pictures.widths.quantile(0.5), pictures.widths.most) == (100, 400, 400)
    assert (pictures.kilopixels.least, pictures.kilopixels.most) == (90, 120)
    lines = tmp_path / "lines" / "images"
    assert pictures.bytes == sum((lines / name).stat().st_size for name in ("a.png", "b.jpg", "c.jpg")) * 2
    assert whole.image_tokens == 4 * image_tokens(400, 300, 16) + 2 * image_tokens(100, 900, 16)
    assert train.answers.classes == {"cat": 2, "dog": 2}
    assert train.answers.imbalance == 1
    assert stats.faults == []


@pytest.mark.parametrize("kind", ["tiny", "published"])
def test_the_tokens_are_the_encoders(tmp_path: Path, kind: str) -> None:
    tokenizer = tokenizer_folder(kind, tmp_path.joinpath)
    loaded = AutoTokenizer.from_pretrained(tokenizer)
    assert isinstance(loaded, PreTrainedTokenizerFast)
    encoder = Encoder(loaded)
    lengths = []
    for record in TRAIN:
        sizes = [image_tokens(*IMAGES[path], 4) for path in record.image_paths()]
        lengths.append(len(encoder.encode(record, sizes).input_ids))
    tokens = collect(known(tmp_path), tokenizer=tokenizer, num_crops=4).splits["train"].tokens
    assert sorted(tokens.counts.elements()) == sorted(lengths)
    assert (tokens.total, tokens.least, tokens.most) == (sum(lengths), min(lengths), max(lengths))


def test_the_estimate_is_near_the_published_tokenizer(tmp_path: Path) -> None:
    published = tokenizer_folder("published", tmp_path.joinpath)
    draw = random.Random(0)
    sentence = "the left image shows a brown dog on grass and the right one two people beside their table"
    questions = [" ".join(draw.choices(sentence.split(), k=draw.randint(8, 25))).capitalize() + "." for _ in range(200)]
    data = write_dataset(tmp_path, {"train": [line(str(i), user=text) for i, text in enumerate(questions)]})
    exact, estimated = collect(data, tokenizer=published), collect(data)
    assert estimated.whole.tokens.total == pytest.approx(exact.whole.tokens.total, rel=0.15)


@pytest.mark.parametrize("form", FORMATS)
def test_the_number_of_workers_changes_nothing(tmp_path: Path, form: Format) -> None:
    draw = random.Random(1)
    records = [
        Record(
            id=str(number),
            source="toy",
            conversations=[
                Turn(images=draw.choices(list(IMAGES), k=number % 4) or None, user="Is it? " * (1 + number % 90))
            ],
        )
        for number in range(3000)
    ]
    data = write_records(tmp_path / "lines", {"train": records, "val": []})
    if form != "jsonl":
        reshard(data, tmp_path / form, form, shard_records=500)
        data = tmp_path / form
    assert document_of(collect(data, workers=2)) == document_of(collect(data, workers=1))


def test_records_that_are_none_are_counted_and_told(tmp_path: Path) -> None:
    good = line("a", "a.png", "gone.png", "../out.png", "not.png", "pipe.png")
    data = write_dataset(tmp_path, {"train": [good, b"{broken", b"", b'{"id": 1}', b"[]", line("b")]}, ["a.png"])
    (data / "images" / "not.png").write_bytes(b"no image")
    os.mkfifo(data / "images" / "pipe.png")
    stats = collect(data)
    assert (stats.whole.records, stats.whole.broken) == (2, 3)
    assert stats.whole.pictures.unreadable == 4
    assert stats.whole.pictures.widths.counts.total() == 1
    lines, images, _ = notes_of(stats)
    assert lines == f"3 lines are no records: phi3v-data validate {data} says why"
    assert images.startswith("4 images cannot be read and count as the smallest: phi3v-data validate")


def test_files_that_cannot_be_read_do_not_end_it(tmp_path: Path) -> None:
    for form in ("webdataset", "parquet"):
        data = known(tmp_path / form, form)
        shard = next(path for path in sorted(data.iterdir()) if "_train" in path.name)
        shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
        stats = collect(data)
        assert stats.splits["val"].records == 1
        assert any(str(shard) in note for note in notes_of(stats))
    (tmp_path / "table.jsonl").write_text("image,question\na.jpg,What?\n")
    (note,) = notes_of(collect(tmp_path / "table.jsonl"))
    assert "is a table (CSV), not JSON lines" in note


def test_an_image_is_told_apart_from_a_folder_that_is_not_there(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", {"train": [line("a", "a.png")]})
    assert any(
        f"no images folder at {data / 'images'}: name it with --images_dir" in note for note in notes_of(collect(data))
    )
    elsewhere = write_dataset(tmp_path / "else", {}, ["a.png"]) / "images"
    stats = collect(data, images_dir=elsewhere)
    assert stats.whole.pictures.unreadable == 0
    assert not any("folder" in note for note in notes_of(stats)[1:])


def test_images_that_are_not_looked_at_count_as_the_smallest(tmp_path: Path) -> None:
    data = known(tmp_path)
    seen, unseen = collect(data), collect(data, images="none")
    assert unseen.whole.images.total == seen.whole.images.total
    assert 0 < unseen.whole.image_tokens < seen.whole.image_tokens
    assert not unseen.whole.pictures.sizes
    assert any("tokens are at least these" in note for note in notes_of(unseen))
    assert document_of(unseen)["all"]["pictures"] is None


def test_a_split_a_file_and_what_is_not_there(tmp_path: Path) -> None:
    data = known(tmp_path)
    assert list(collect(data, split="val").splits) == ["val"]
    assert collect(data / "toy_val.jsonl").whole.records == 1
    with pytest.raises(DataError, match="has no split 'test'"):
        collect(data, split="test")
    with pytest.raises(CannotRun, match="there is no dataset at"):
        collect(tmp_path / "nothing")
    with pytest.raises(UsageError, match="is no tokenizer of the model"):
        collect(data, tokenizer=tmp_path)


def test_records_over_the_limit_are_counted(tmp_path: Path) -> None:
    lines = [line("a", user="x" * 700_000), line("b", user="x" * 400_000), line("c")]
    stats = collect(write_dataset(tmp_path, {"train": lines}))
    assert stats.whole.too_long == 1
    assert stats.whole.tokens.most == pytest.approx(200_000, abs=20)
    assert collect(tmp_path, max_length=100_000).whole.too_long == 2


def test_answers_are_classes_where_they_are_few_short_and_repeated(tmp_path: Path) -> None:
    def classes(answers: list[str]) -> dict[str, int] | None:
        lines = [line(str(number), answer=answer) for number, answer in enumerate(answers)]
        return collect(write_dataset(tmp_path, {"train": lines})).whole.answers.classes

    assert classes(["cat"] * 3 + ["dog"]) == {"cat": 3, "dog": 1}
    assert classes(["cat", "dog", "cow"]) is None
    assert classes(["x" * 101] * 10) is None
    assert classes([str(number % 1000) for number in range(3000)]) is not None
    assert classes([str(number % 1001) for number in range(3003)]) is None


def test_a_compressed_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "toy_train.jsonl"
    path.write_bytes(gzip.compress(line("a") + b"\n"))
    stats = collect(path)
    assert stats.whole.records == 1
    assert any("is compressed with gzip" in note for note in notes_of(stats))


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    data, told = known(tmp_path), list[tuple[int, int | None]]()
    collect(data, on_progress=lambda done, total: told.append((done, total)))
    size = sum(path.stat().st_size for path in data.glob("*.jsonl"))
    assert told[-1] == (size, size)


def test_memory_does_not_grow_with_the_records(tmp_path: Path) -> None:
    def peak(records: int) -> int:
        path = tmp_path / f"{records}.jsonl"
        with path.open("w") as file:
            for number in range(records):
                turn = {
                    "images": [f"{number}.jpg"],
                    "user": "Is it? " * (1 + number % 50),
                    "assistant": f"No. {number}",
                }
                file.write(json.dumps({"id": str(number), "source": "s", "conversations": [turn]}) + "\n")
        tracemalloc.start()
        collect(path, images="none")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(100)  # what is imported and built once
    assert peak(40_000) < peak(10_000) + (1 << 20)
