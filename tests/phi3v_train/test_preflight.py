"""What is found out about the data before the first step: all that is wrong, what fits, and how long records are."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from phi3v_data.errors import CannotRun, UsageError
from phi3v_data.manifest.renew import renew_manifest
from phi3v_data.reader import Dataset
from phi3v_data.tokens import image_tokens
from phi3v_train import survey
from phi3v_train.collate import Failure
from phi3v_train.data_plan import DataPlan, Kept
from phi3v_train.encode import Encoder, training_images
from phi3v_train.model import Phi3VImageProcessor
from phi3v_train.model.tiny_tokenizer import tiny_tokenizer
from phi3v_train.options import TrainOptions
from phi3v_train.preflight import check_data
from phi3v_train.sources import BadData
from tests.helpers import run_python
from tests.phi3v_train.made_data import record, size_in, turn, write_split

if TYPE_CHECKING:
    from pathlib import Path

ENCODER = Encoder(tiny_tokenizer())
MODEL_TAKES = 131_072
TEXT = record("text")
IMAGE = record("image", turn(images=("50x40.png",)))
IMAGES = record("images", turn("Which? " * 30, "Both of them. " * 9, ("90x30.png", "b/20x60.jpg")), turn("Why?", "So."))


def look(*paths: Path, limit: int = MODEL_TAKES, cache: Path | None = None, **options: Any) -> DataPlan:
    lines: list[str] = []
    chosen = TrainOptions(data_dir=list(paths), **{"num_crops": 4, **options})
    plan = check_data(chosen, ENCODER, limit=limit, report=lines.append, cache=cache)
    assert plan.warnings == lines
    return plan


def refusal(*paths: Path, **options: Any) -> str:
    with pytest.raises(BadData) as caught:
        look(*paths, **options)
    assert caught.value.exit_code == 3
    return str(caught.value)


def exact(folder: Path, crops: int = 4) -> list[int]:
    """Return the lengths of all training records, without shortcuts."""
    lengths = []
    for made in Dataset(folder).split("train"):
        images = [image_tokens(*size_in(name), crops) for name in training_images(made)]
        lengths.append(len(ENCODER.encode(made, images).input_ids))
    return lengths


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset with a manifest."""
    made = tmp_path / "data"
    made.mkdir()
    write_split(made, "train", [TEXT, IMAGE, IMAGES])
    write_split(made, "val", [record("other")])
    assert renew_manifest(made).manifest
    return made


class TestSoundData:
    def test_all_that_a_run_needs_is_known(self, folder: Path) -> None:
        plan = look(folder)
        lengths = exact(folder)
        assert (plan.records, plan.sizes, plan.limit, plan.warnings, plan.lengths) == (3, [3], MODEL_TAKES, [], None)
        summary = plan.summary
        assert (summary.shortest, summary.median, summary.longest) == tuple(sorted(lengths))
        assert summary.p95 == summary.longest
        of_images = [image_tokens(*size, 4) for size in ((50, 40), (90, 30), (20, 60))]
        assert summary.image_share == pytest.approx(sum(of_images) / sum(lengths))
        assert (summary.images, summary.most_crops) == (1.0, 3 + 1 + 3 + 1)

    def test_it_can_be_stored_and_described(self, folder: Path) -> None:
        plan = look(folder, group_by_length=True, max_length=1500, too_long="drop")
        again = DataPlan.model_validate_json(plan.model_dump_json())
        assert again.model_dump() == plan.model_dump()
        assert again.lengths is not None
        assert again.lengths.tolist() == plan.lengths.tolist()  # type: ignore[union-attr]
        assert f"{folder} (2) records" in plan.describe(TrainOptions(data_dir=folder))

    def test_it_opens_the_data(self, folder: Path) -> None:
        options = TrainOptions(data_dir=folder, num_crops=4, max_length=1500, too_long="drop", eval_steps=1)
        plan = check_data(options, ENCODER, limit=MODEL_TAKES, report=print)
        training, evaluation = plan.open(options, ENCODER, Phi3VImageProcessor())
        assert training.sizes == plan.sizes == [2]
        assert evaluation is not None
        items = [training[0], training[1], evaluation[0]]
        assert [item["record"].split()[0] for item in items if not isinstance(item, Failure)] == [
            "text",
            "image",
            "other",
        ]

    def test_several_datasets(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "more").mkdir()
        more = write_split(tmp_path / "more", "whatever", [record("a"), record("b")])
        plan = look(folder, more)
        assert plan.sizes == [3, 2]
        assert plan.warnings == []  # a file alone needs no manifest, and its name needs no split

    def test_a_folder_without_manifest_is_told(self, folder: Path) -> None:
        (folder / "manifest.json").unlink()
        assert look(folder).warnings == [
            f"{folder} has no manifest.json, so that nothing proves that it is whole: phi3v-data manifest {folder} "
            "writes one"
        ]

    def test_a_file_that_is_not_read_is_told(self, folder: Path) -> None:
        write_split(folder, "more", [record("more")])
        assert look(folder).warnings == [
            f"{folder} holds files that its manifest.json does not list and that are not read: "
            f"phi3v-data manifest {folder} takes them in"
        ]
        renew_manifest(folder)
        assert look(folder, train_split="more").sizes == [1]

    def test_warnings_are_counted(self, folder: Path) -> None:
        (folder / "manifest.json").unlink()
        file = folder / "made_train.jsonl"
        file.write_text("\n\n" + file.read_text())
        assert look(file).warnings == [f"{file} has 2 warnings (W104 × 2): phi3v-data validate {file} shows them"]

    def test_no_torch_is_needed(self) -> None:
        run_python("-c", "import sys, phi3v_train.preflight; assert 'torch' not in sys.modules")


class TestUnsoundData:
    def test_the_first_findings_are_shown_with_their_places(self, folder: Path) -> None:
        file = write_split(folder, "train", [record(f"n{number}", turn(images=("9x9.png",))) for number in range(5)])
        (folder / "images" / "9x9.png").unlink()
        (folder / "manifest.json").unlink()
        assert refusal(folder).splitlines() == [
            f"{folder} has 5 errors (E401 × 5):",
            *(f"  {file}:{line}: E401 the image '9x9.png' is not in {folder / 'images'}" for line in (1, 2, 3)),
            f"phi3v-data validate {folder} shows all, and what to do about each.",
        ]

    def test_files_changed_after_conversion(self, folder: Path) -> None:
        file = write_split(folder, "train", [TEXT])
        said = refusal(folder)
        assert f"{file}: E602 SHA-256 is " in said
        assert f"{file}: E603 holds 1 records, and manifest.json says 3" in said
        assert said.endswith(f"If the files were changed on purpose, phi3v-data manifest {folder} accepts them.")
        renew_manifest(folder)
        assert look(folder).sizes == [1]

    def test_a_file_of_the_manifest_is_missing(self, folder: Path) -> None:
        (folder / "made_val.jsonl").unlink()
        assert "E604 made_val.jsonl is missing: manifest.json lists it" in refusal(folder)

    def test_the_manifest_is_broken(self, folder: Path) -> None:
        (folder / "manifest.json").write_text("{")
        said = refusal(folder)
        assert "E601" in said
        assert "phi3v-data manifest" not in said  # which would refuse it too

    def test_another_split_may_not_be_broken_either(self, folder: Path) -> None:
        (folder / "made_val.jsonl").write_text("no record\n")
        assert "made_val.jsonl:1: E101" in refusal(folder)

    def test_there_is_no_dataset(self, tmp_path: Path) -> None:
        with pytest.raises(CannotRun, match="there is no dataset at"):
            look(tmp_path / "nowhere")
        with pytest.raises(CannotRun, match="holds no JSONL file"):
            look(tmp_path)

    def test_there_is_no_such_split(self, folder: Path) -> None:
        assert refusal(folder, train_split="training") == (
            f"{folder} has no split 'training', it has train, val: name one by --train_split"
        )

    def test_a_split_for_evaluation_matters_where_it_is_used(self, folder: Path, tmp_path: Path) -> None:
        assert look(folder, eval_split="test").eval_left_out == []
        assert refusal(folder, eval_split="test", eval_steps=5) == (
            f"no --data_dir has the split 'test' for --eval_steps ({folder} has train, val): name one by --eval_split, "
            "or leave --eval_steps away"
        )
        (tmp_path / "more").mkdir()
        assert len(look(folder, write_split(tmp_path / "more", "train", [TEXT]), eval_steps=5).eval_left_out) == 1

    def test_a_split_is_empty(self, folder: Path) -> None:
        (folder / "manifest.json").unlink()
        write_split(folder, "train", [])
        assert "the split 'train' holds no record" in refusal(folder)
        write_split(folder, "train", [TEXT])
        write_split(folder, "val", [])
        assert look(folder).sizes == [1]
        assert "the split 'val' holds no record" in refusal(folder, eval_steps=5)

    def test_a_record_has_nothing_to_learn(self, folder: Path) -> None:
        (folder / "manifest.json").unlink()
        file = write_split(folder, "train", [TEXT, record("prompt", turn(assistant=None))])
        assert refusal(folder).startswith(f"{file}:2: the record has nothing to learn")

    def test_a_text_holds_a_tag(self, folder: Path) -> None:
        (folder / "manifest.json").unlink()
        file = write_split(folder, "train", [record("a", turn("<|image_1|> What?"))])
        assert f"{file}:1: E701" in refusal(folder)

    def test_an_image_whose_size_is_asked_for_is_none(self, folder: Path) -> None:
        (folder / "images" / "50x40.png").write_bytes(b"text")
        said = refusal(folder)
        assert f"{folder / 'made_train.jsonl'}:2: the image '50x40.png' is text, not an image (E404)" in said.replace(
            f"{folder / 'images'}/", ""
        )


class TestTooLong:
    def test_the_limit_is_exact(self, folder: Path) -> None:
        longest = max(exact(folder))
        assert look(folder, max_length=longest).limit == longest
        assert look(folder, limit=longest).limit == longest
        record = f"{folder / 'made_train.jsonl'}:3: the record takes {longest:,} tokens, over"
        others = f"(so do 1 of 3, with up to {longest:,})"
        assert refusal(folder, max_length=longest - 1) == (
            f"{record} --max_length {longest - 1:,} {others}: raise --max_length, lower --num_crops, or give "
            "--too_long drop or cut"
        )
        assert refusal(folder, limit=longest - 1) == (
            f"{record} the {longest - 1:,} that the model can take {others}: lower --num_crops, or give --max_length "
            "with --too_long drop or cut"
        )

    def test_records_are_left_out(self, folder: Path) -> None:
        lengths = exact(folder)
        plan = look(folder, max_length=lengths[1] - 1, too_long="drop")
        assert (plan.sizes, plan.left_out[0].tolist()) == ([1], [1, 2])
        assert plan.summary.longest == plan.summary.shortest == lengths[0]
        assert plan.warnings == [f"{folder}: 2 of 3 records of 'train' are over {lengths[1] - 1:,} tokens and left out"]

    def test_none_is_left(self, folder: Path) -> None:
        assert "holds no record of at most 10 tokens" in refusal(folder, max_length=10, too_long="drop")

    def test_records_of_the_evaluation_are_left_out_too(self, folder: Path) -> None:
        (folder / "manifest.json").unlink()
        write_split(folder, "val", [record("shown", *IMAGE["conversations"]), record("other")])
        plan = look(folder, max_length=100, too_long="drop", eval_steps=1)
        assert [places.tolist() for places in plan.eval_left_out] == [[0]]

    def test_records_are_cut(self, folder: Path) -> None:
        limit = max(exact(folder)) - 5
        plan = look(folder, max_length=limit, too_long="cut")
        assert (plan.sizes, plan.left_out[0].tolist(), plan.summary.longest) == ([3], [], limit)
        assert plan.warnings == [f"{folder}: 1 of 3 records of 'train' are over {limit:,} tokens and cut"]

    def test_not_every_record_can_be_cut(self, folder: Path) -> None:
        said = refusal(folder, max_length=200, too_long="cut")
        assert said.startswith(f"{folder / 'made_train.jsonl'}:2: ")
        assert "would cut image 1" in said

    def test_more_is_allowed_than_the_model_can_take(self, folder: Path) -> None:
        with pytest.raises(UsageError, match="--max_length 2,000 is over the 1,000 tokens that the model can take"):
            look(folder, max_length=2000, limit=1000)


class TestEstimates:
    def test_lengths_are_near_and_images_exact(self, folder: Path) -> None:
        plan = look(folder, group_by_length=True)
        assert plan.lengths is not None
        assert plan.lengths.tolist() == pytest.approx(exact(folder), rel=0.05)

    def test_what_is_left_out_has_none(self, folder: Path, tmp_path: Path) -> None:
        more = tmp_path / "more"
        more.mkdir()
        write_split(more, "train", [IMAGES, TEXT])
        plan = look(folder, more, group_by_length=True, max_length=1500, too_long="drop")
        assert plan.sizes == [2, 1]
        assert plan.lengths is not None
        expected = exact(folder)[:2] + exact(more)[1:]
        assert plan.lengths.tolist() == pytest.approx(expected, rel=0.05)


class TestManyRecords:
    @pytest.fixture
    def many(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A dataset that is given to processes two records at a time."""
        images = [
            record(f"i{number}", turn("Is it? " * number, images=(f"{number}x40.png",))) for number in range(30, 36)
        ]
        write_split(folder, "train", [TEXT, *images, IMAGES])
        monkeypatch.setattr(survey, "_STRETCH", 2)
        monkeypatch.setattr(survey, "_LONG", 0.0)
        monkeypatch.setattr(os, "cpu_count", lambda: 2)
        renew_manifest(folder)
        return folder

    def test_processes_find_what_one_finds(self, many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        options: dict[str, Any] = {"group_by_length": True, "max_length": 1500, "too_long": "drop"}
        shared = look(many, **options)
        monkeypatch.setattr(os, "cpu_count", lambda: 1)
        assert look(many, **options).model_dump() == shared.model_dump()
        assert shared.left_out[0].tolist() == [7]

    def test_the_first_fault_is_reported(self, many: Path) -> None:
        (many / "images" / "33x40.png").write_bytes(b"text")
        (many / "images" / "35x40.png").write_bytes(b"text")
        assert f"{many / 'made_train.jsonl'}:5: " in refusal(many, group_by_length=True)

    def test_the_longest_is_found_without_drawing_it(self, many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(survey, "_DRAWN", 1)
        assert look(many).summary.longest == max(exact(many))


class TestCache:
    def test_the_same_data_is_looked_through_once(self, folder: Path, tmp_path: Path) -> None:
        (folder / "manifest.json").unlink()
        cache = tmp_path / "data_check.json"
        plan = look(folder, cache=cache)
        (folder / "images" / "50x40.png").unlink()  # which only looking finds
        again = look(folder, cache=cache)
        assert again.model_dump() == plan.model_dump()
        assert "E401" in refusal(folder)

    def test_other_data_or_options_are_looked_through(self, folder: Path, tmp_path: Path) -> None:
        cache = tmp_path / "data_check.json"
        look(folder, cache=cache)
        (folder / "images" / "50x40.png").unlink()
        for option in ({"num_crops": 1}, {"max_length": 9000}, {"group_by_length": True}, {"eval_steps": 1}):
            assert "E401" in refusal(folder, cache=cache, **option)
        look(folder, cache=cache)
        file = folder / "made_val.jsonl"
        stat = file.stat()
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
        assert "E401" in refusal(folder, cache=cache)

    @pytest.mark.parametrize("content", [b"", b"{", b'{"key": "a", "plan": {"left_out": ["AAAA"]}}'])
    def test_what_cannot_be_read_is_replaced(self, folder: Path, tmp_path: Path, content: bytes) -> None:
        cache = tmp_path / "data_check.json"
        cache.write_bytes(content)
        assert look(folder, cache=cache).sizes == [3]
        assert json.loads(cache.read_bytes())["plan"]["sizes"] == [3]


class TestFingerprint:
    def test_it_is_of_the_training_records_alone(self, folder: Path) -> None:
        of_manifest = look(folder).fingerprint
        (folder / "manifest.json").unlink()
        write_split(folder, "val", [record("changed")])
        assert look(folder).fingerprint == of_manifest
        assert look(folder / "made_train.jsonl").fingerprint == of_manifest
        write_split(folder, "train", [TEXT, IMAGES])
        assert look(folder).fingerprint != of_manifest


def test_those_that_remain_keep_their_order() -> None:
    for left_out in ([], [0], [9], [0, 1, 2], [3, 5, 6, 9], list(range(10))):
        kept = Kept(10, np.array(left_out, np.uint32))
        assert [kept.position(index) for index in range(len(kept))] == [n for n in range(10) if n not in left_out]
