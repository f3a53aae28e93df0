"""Records as the trainer reads them: in order, with what the processor makes of their images, and without a crash."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from phi3v_data.reader import Dataset
from phi3v_train.collate import Collator, Failure
from phi3v_train.data import TrainingData
from phi3v_train.encode import Encoder
from phi3v_train.model import Phi3VImageProcessor
from phi3v_train.model.tiny_tokenizer import tiny_tokenizer
from phi3v_train.sources import Source
from tests.phi3v_train.made_data import record, turn, write_split

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from phi3v_train.collate import Example

ENCODER = Encoder(tiny_tokenizer())
PROCESSOR = Phi3VImageProcessor()
SHOWN = record("shown", turn(images=("50x40.png",)))
SEVERAL = record("several", turn(images=("90x30.jpg", "50x40.png")), turn("And?", "No.", ("b/20x60.png",)))
OPEN = record("open", turn("One?", "Two.", ("50x40.png",)), turn("Three?", None, ("not-looked-at.png",)))


def opened(*folders: Path, **options: Any) -> TrainingData:
    sources = [Source(Dataset(folder), "train") for folder in folders]
    return TrainingData(sources, ENCODER, PROCESSOR, **{"num_crops": 4, "max_length": 10_000, **options})


def example(data: TrainingData, position: int) -> Example:
    item = data[position]
    assert not isinstance(item, Failure), item.sentence
    return item


def failure(data: TrainingData, position: int = 0) -> str:
    item = data[position]
    assert isinstance(item, Failure)
    return item.sentence


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    write_split(tmp_path, "train", [record("text"), SHOWN, SEVERAL])
    return tmp_path


class TestExamples:
    def test_a_record_is_what_encoder_and_processor_make_of_it(self, mixed: Path) -> None:
        found = example(opened(mixed), 2)
        images = [Image.open(mixed / "images" / name) for name in ("90x30.jpg", "50x40.png", "b/20x60.png")]
        pixels = PROCESSOR(images, num_crops=4, do_normalize=False)
        encoding = ENCODER.encode(Dataset(mixed).split("train")[2], pixels["num_img_tokens"])
        assert (found["input_ids"], found["labels"]) == encoding
        assert found["pixel_values"].dtype == torch.uint8
        assert torch.equal(found["pixel_values"], pixels["pixel_values"])
        assert torch.equal(found["image_sizes"], pixels["image_sizes"])
        assert found["record"] == f"several of {mixed}"

    def test_a_text_has_no_pixels(self, mixed: Path) -> None:
        assert set(example(opened(mixed), 0)) == {"input_ids", "labels", "record"}

    def test_the_number_of_crops_counts(self, mixed: Path) -> None:
        assert [len(example(opened(mixed, num_crops=crops), 1)["pixel_values"]) for crops in (1, 16)] == [1, 16]

    def test_a_question_without_answer_and_its_images_are_left_out(self, tmp_path: Path) -> None:
        write_split(tmp_path, "train", [record("open", OPEN["conversations"][0])])
        (tmp_path / "made_train.jsonl").write_text(str(OPEN).replace("'", '"'))
        assert len(example(opened(tmp_path), 0)["image_sizes"]) == 1

    def test_datasets_follow_each_other_without_what_is_left_out(self, tmp_path: Path) -> None:
        for name, count in (("a", 5), ("b", 1), ("c", 4)):
            (tmp_path / name).mkdir()
            write_split(tmp_path / name, "train", [record(f"{name}{number}") for number in range(count)])
        left_out = [np.array(places, np.uint32) for places in ([0, 1, 3], [], [3])]
        data = opened(*(tmp_path / name for name in "abc"), left_out=left_out)
        assert data.sizes == [2, 1, 3]
        names = [example(data, position)["record"].split()[0] for position in range(len(data))]
        assert names == ["a2", "a4", "b0", "c0", "c1", "c2"]

    def test_a_long_record_is_cut_where_it_may_be(self, mixed: Path) -> None:
        whole = example(opened(mixed), 0)
        cut = example(opened(mixed, max_length=len(whole["input_ids"]) - 2, cuts=True), 0)
        assert cut["input_ids"] == whole["input_ids"][:-2]
        assert cut["labels"] == whole["labels"][:-2]


class TestFailures:
    """Each is one sentence with the file, the line and a way out."""

    @pytest.fixture
    def place(self, mixed: Path) -> str:
        """Where the record stands whose image is spoilt; a blank line is before it."""
        file = mixed / "made_train.jsonl"
        file.write_text("\n" + file.read_text())
        return f"{file}:3: "

    @pytest.fixture
    def spoil(self, mixed: Path, place: str) -> Callable[[bytes | None], str]:
        """Replace the image of record 1, or remove it, and return what is said of it."""

        def spoil(content: bytes | None) -> str:
            image = mixed / "images" / "50x40.png"
            image.unlink()
            if content is not None:
                image.write_bytes(content)
            sentence = failure(opened(mixed), 1)
            assert sentence.startswith(place)
            assert sentence.endswith(": mend it and start again, the run goes on from its newest checkpoint")
            assert "\n" not in sentence
            return sentence

        return spoil

    def test_an_image_is_gone(self, mixed: Path, spoil: Callable[[bytes | None], str]) -> None:
        assert f"the image '50x40.png' is not in {mixed / 'images'} (E401)" in spoil(None)

    def test_all_images_are_gone(self, mixed: Path, place: str) -> None:
        (mixed / "images").rename(mixed / "elsewhere")
        assert f"{place}there is no images folder {mixed / 'images'}" in failure(opened(mixed), 1)

    def test_an_image_is_something_else(self, spoil: Callable[[bytes | None], str]) -> None:
        assert "is a web page, not an image: the download failed (E404)" in spoil(b"<!DOCTYPE html><html>")

    def test_an_image_is_cut_short(self, mixed: Path, spoil: Callable[[bytes | None], str]) -> None:
        whole = (mixed / "images" / "50x40.png").read_bytes()
        assert "is cut short: its PNG end marker is missing (E405)" in spoil(whole[: len(whole) // 2])

    def test_an_image_is_damaged_in_its_middle(self, mixed: Path, spoil: Callable[[bytes | None], str]) -> None:
        whole = (mixed / "images" / "50x40.png").read_bytes()
        assert "50x40.png cannot be read: " in spoil(whole[:200] + bytes(400) + whole[600:])

    def test_an_image_would_fill_the_memory(self, spoil: Callable[[bytes | None], str]) -> None:
        assert "(E406)" in spoil(png(60_000, 60_000))
        assert "(E406)" in spoil(png(10_000, 9_000))

    def test_an_image_is_too_thin(self, spoil: Callable[[bytes | None], str]) -> None:
        assert "is too thin" in spoil(png(20_000, 1))

    def test_a_path_leaves_the_folder(self, tmp_path: Path) -> None:
        file = tmp_path / "made_train.jsonl"
        file.write_text(str(record("out", turn(images=("../a.png",)))).replace("'", '"'))
        assert f"{file}:1: the image path '../a.png' leaves the folder (E402): " in failure(opened(tmp_path))

    def test_a_line_is_no_record(self, tmp_path: Path) -> None:
        file = write_split(tmp_path, "train", [record("a"), record("b")])
        file.write_text(file.read_text() + '{"id": 3}\n')
        assert failure(opened(tmp_path), 2).startswith(f"{file}:3: /id: 'id' must be a string, not the number 3: mend")

    def test_a_text_holds_a_tag(self, tmp_path: Path) -> None:
        file = write_split(tmp_path, "train", [record("a", turn("<|image_1|> What is it?"))])
        assert failure(opened(tmp_path)).startswith(f"{file}:1: 'user' of turn 1 holds the image tag ")
        assert "(E701): mend it" in failure(opened(tmp_path))

    def test_a_record_is_too_long(self, mixed: Path) -> None:
        length = len(example(opened(mixed), 0)["input_ids"])
        assert example(opened(mixed, max_length=length), 0)
        assert f"the record takes {length} tokens, and {length - 1} is the most" in failure(
            opened(mixed, max_length=length - 1)
        )

    def test_an_image_would_be_cut(self, mixed: Path) -> None:
        assert "would cut image 1" in failure(opened(mixed, max_length=100, cuts=True), 1)

    def test_a_file_is_gone(self, mixed: Path) -> None:
        data = opened(mixed)
        file = mixed / "made_train.jsonl"
        file.unlink()
        assert failure(data).startswith(f"{file}: {file} cannot be read: No such file")


def test_warnings_of_pillow_stay_within(tmp_path: Path) -> None:
    """This image makes Pillow warn; in these tests a warning is an error, which would fail the record."""
    write_split(tmp_path, "train", [record("odd", turn(images=("40x30.jpg",)))])
    image = tmp_path / "images" / "40x30.jpg"
    whole = image.read_bytes()
    image.write_bytes(whole[:2] + b"\xff\xe2\x00\x0aMPF\x00junk" + whole[2:])  # an index of images that is none
    with pytest.warns(UserWarning, match="malformed MPO"), Image.open(image):
        pass
    assert example(opened(tmp_path), 0)["image_sizes"].tolist() == [[672, 672]]


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_read_the_same(mixed: Path, method: str) -> None:
    file = write_split(mixed, "train", [SHOWN, record("text"), SEVERAL, SHOWN])
    data = opened(mixed)
    expected = [Collator(2)([example(data, position)]) for position in range(4)]
    file.write_text(file.read_text() + "no record\n")
    loader = DataLoader(opened(mixed), collate_fn=Collator(2), num_workers=2, multiprocessing_context=method)
    *batches, failed = loader
    for batch, wanted in zip(batches, expected, strict=True):
        assert batch.keys() == wanted.keys()
        assert batch["records"] == wanted["records"]
        assert all(torch.equal(batch[name], wanted[name]) for name in batch if name != "records")
    assert failed["failure"].startswith(f"{file}:5: ")


def png(width: int, height: int) -> bytes:
    """Return a PNG file of one colour, which is small whatever its size in pixels."""
    rows = zlib.compress(bytes(height * (1 + (width + 7) // 8)) if width * height < 10**8 else b"")
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
