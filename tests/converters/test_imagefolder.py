"""`phi3v-data convert imagefolder`: layouts of class folders, the records they become, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from phi3v_converters.imagefolder import ClassFolders, ClassFoldersOptions
from phi3v_data.errors import UsageError
from tests.converters.converting import convert_folder, rejects
from tests.converters.made_sources import picture, write_picture
from tests.helpers import read_lines, run, snapshot, spread

if TYPE_CHECKING:
    from pathlib import Path

QUESTION = "Classify the image into one of the following classes: cat, dog."


def record(identity: str, image: str, label: str | None, question: str = QUESTION) -> Any:
    """Return the record of a picture; without a class it is there to be asked."""
    turn = {"images": [image], "user": question, **({"assistant": label} if label else {})}
    return {"id": identity, "source": "imagefolder", "conversations": [turn]}


def records(out: Path) -> list[Any]:
    """Return the records of all splits, in order of their ids' numbers."""
    rows = [row for path in out.glob("imagefolder_*.jsonl") for row in read_lines(path)]
    return sorted(rows, key=lambda row: row["id"].rpartition("-")[2])


def images(out: Path) -> list[str]:
    return [row["conversations"][0]["images"][0] for row in records(out)]


def write_classes(root: Path, *paths: str) -> Path:
    """Write a picture at each path, its format told by its suffix, none like another."""
    for seed, path in enumerate(paths):
        write_picture(root / path, seed, "JPEG" if path.lower().endswith((".jpg", ".jpeg")) else "PNG")
    return root


class TestLayouts:
    def test_split_folders(self, tmp_path: Path) -> None:
        root = write_classes(
            tmp_path / "raw", "train/dog/1.jpg", "train/cat/2024/b.PNG", "train/cat/a.jpg", "Validation/cat/1.png",
            "test/dog/x.y.jpg", "test/cat/1.jpg",
        )  # fmt: skip
        manifest = convert_folder("imagefolder", root, tmp_path / "out")
        assert records(tmp_path / "out") == [
            record("train-0000000000", "train/cat/2024/b.0.png", "cat"),
            record("train-0000000001", "train/cat/a.0.jpg", "cat"),
            record("train-0000000002", "train/dog/1.0.jpg", "dog"),
            record("val-0000000003", "val/cat/1.0.png", "cat"),
            record("test-0000000004", "test/cat/1.0.jpg", "cat"),
            record("test-0000000005", "test/dog/x.y.0.jpg", "dog"),
        ]
        assert (tmp_path / "out/images/val/cat/1.0.png").read_bytes() == picture(3)
        assert manifest.classes == {"train": {"cat": 2, "dog": 1}, "val": {"cat": 1}, "test": {"cat": 1, "dog": 1}}
        assert [file.split for file in manifest.files] == ["train", "val", "test"]
        run("validate", "--strict", tmp_path / "out")

    def test_class_folders_alone_are_train_and_val_is_carved(self, tmp_path: Path) -> None:
        root = write_classes(tmp_path / "raw", *(f"{label}/{n:02d}.png" for label in ("cat", "dog") for n in range(20)))
        convert_folder("imagefolder", root, tmp_path / "all", val_fraction=0)
        assert [row["id"] for row in records(tmp_path / "all")] == [f"train-{n:010d}" for n in range(40)]
        convert_folder("imagefolder", root, tmp_path / "out", val_fraction=0.25)
        splits = [path.partition("/")[0] for path in images(tmp_path / "out")]
        assert 0 < splits.count("val") < 20 and len(splits) == 40
        convert_folder("imagefolder", root, tmp_path / "other", val_fraction=0.25, seed=1)
        assert images(tmp_path / "other") != images(tmp_path / "out")

    def test_folders_around_everything_and_folders_without_pictures(self, tmp_path: Path) -> None:
        paths = ("train/cat/1.png", "train/dog/1.png", "test/cat/1.png")
        root = write_classes(tmp_path / "raw/pets-1.0/data", *paths)
        spread(root, "docs/licence.txt", "train/empty/notes.txt")
        spread(tmp_path / "raw", "__MACOSX/pets-1.0/._data", "README")
        convert_folder("imagefolder", tmp_path / "raw", tmp_path / "out")
        assert images(tmp_path / "out") == ["train/cat/1.0.png", "train/dog/1.0.png", "test/cat/1.0.png"]
        assert {row["conversations"][0]["user"] for row in records(tmp_path / "out")} == {QUESTION}
        assert rejects(tmp_path / "out") == []

    def test_a_test_without_class_folders_is_there_to_be_asked(self, tmp_path: Path) -> None:
        root = write_classes(tmp_path / "raw", "train/cat/1.png", "train/dog/1.png", "test/2.png", "test/1.jpg")
        manifest = convert_folder("imagefolder", root, tmp_path / "out")
        assert records(tmp_path / "out")[2:] == [
            record("test-0000000002", "test/1.0.jpg", None),
            record("test-0000000003", "test/2.0.png", None),
        ]
        assert manifest.classes == {"train": {"cat": 1, "dog": 1}}
        run("validate", "--strict", tmp_path / "out")

    def test_pictures_that_differ_in_their_suffix_alone(self, tmp_path: Path) -> None:
        root = write_classes(tmp_path / "raw", "cat/a.jpg", "cat/A.png", "cat/b.png", "cat/in/b.png", "dog/a.png")
        convert_folder("imagefolder", root, tmp_path / "out", val_fraction=0)
        assert images(tmp_path / "out") == [
            "train/cat/A.png.0.png", "train/cat/a.jpg.0.jpg", "train/cat/b.0.png", "train/cat/in/b.0.png",
            "train/dog/a.0.png",
        ]  # fmt: skip

    def test_the_question_is_the_users_choice(self, tmp_path: Path) -> None:
        root = write_classes(tmp_path / "raw", "Über, cat/1.png", "dog_house/1.png")
        convert_folder("imagefolder", root, tmp_path / "out", val_fraction=0, prompt="Which?\\n{classes} {or} none")
        asked = "Which?\ndog_house, Über, cat {or} none"
        assert records(tmp_path / "out") == [
            record("train-0000000000", "train/dog_house/1.0.png", "dog_house", asked),
            record("train-0000000001", "train/Über, cat/1.0.png", "Über, cat", asked),
        ]


class TestRejects:
    def convert(self, root: Path, **options: Any) -> Path:
        """Convert a folder to which two good pictures are added; val is not carved unless told."""
        write_classes(root, "train/cat/1.png", "train/dog/1.png")
        out = root.with_name(root.name + "-out")
        convert_folder("imagefolder", root, out, **(options or {"val_fraction": 0}))
        assert records(out)[0] == record("train-0000000000", "train/cat/1.0.png", "cat")
        return out

    def test_what_is_no_picture_in_a_class_folder(self, tmp_path: Path) -> None:
        root = tmp_path / "raw"
        spread(root, "train/cat/clip.mp4", "train/cat/photo.heic", "train/cat/noname")
        spread(root, "train/cat/2.png", content=b"")
        spread(root, "train/cat/3.png", content=picture(3)[:200])
        spread(root, "train/cat/1.txt", "train/cat/labels.CSV", "train/notes.txt", "LICENSE")
        spread(root, "train/cat/.hidden.png", "train/cat/Thumbs.db", "train/.DS_Store", "train/cat/__MACOSX/x.png")
        out = self.convert(root)
        assert rejects(out) == [
            ("train/cat/2.png", "train", "empty_image"),
            ("train/cat/3.png", "train", "truncated"),
            ("train/cat/clip.mp4", "train", "not_an_image"),
            ("train/cat/noname", "train", "not_an_image"),
            ("train/cat/photo.heic", "train", "not_an_image"),
        ]
        assert len(records(out)) == 2

    def test_pictures_without_a_class_and_classes_that_train_lacks(self, tmp_path: Path) -> None:
        root = write_classes(tmp_path / "raw", "1.png", "train/1.png", "val/cat/1.png", "val/1.png", "val/bird/1.png")
        out = self.convert(root, quality=90)
        assert rejects(out) == [
            ("1.png", None, "no_class"),
            ("train/1.png", "train", "no_class"),
            ("val/1.png", "val", "no_class"),
            ("val/bird", "val", "unknown_class"),
        ]
        assert images(out) == ["train/cat/1.0.png", "train/dog/1.0.png", "val/cat/1.0.png"]
        assert {row["conversations"][0]["user"] for row in records(out)} == {QUESTION}

    def test_links(self, tmp_path: Path) -> None:
        root, secret = tmp_path / "raw", write_classes(tmp_path / "secret", "1.png")
        (root / "train/cat").mkdir(parents=True)
        (root / "train/cat/in.png").symlink_to("../dog/1.png")
        (root / "train/cat/out.png").symlink_to(secret / "1.png")
        (root / "train/cat/gone.png").symlink_to("nowhere.png")
        (root / "train/cat/round.png").symlink_to("round.png")
        (root / "train/cat/folder").symlink_to(secret)
        (root / "train/bird").symlink_to(secret)
        (root / "train/up").symlink_to(root)
        (root / "test").symlink_to(secret)
        out = self.convert(root)
        assert sorted(rejects(out), key=lambda reject: reject[0]) == [
            ("test", None, "linked_folder"),
            ("train/bird", "train", "linked_folder"),
            ("train/cat/folder", "train", "linked_folder"),
            ("train/cat/gone.png", "train", "missing_image"),
            ("train/cat/out.png", "train", "unsafe_path"),
            ("train/cat/round.png", "train", "unreadable"),
            ("train/up", "train", "linked_folder"),
        ]
        assert images(out) == ["train/cat/1.0.png", "train/cat/in.0.png", "train/dog/1.0.png"]

    def test_names_that_cannot_be_used(self, tmp_path: Path) -> None:
        root = write_classes(
            tmp_path / "raw", "train/cat/a\nb.png", "train/bad\tclass/1.png", "train/cat/back\\slash.png"
        )
        bad = os.fsencode(root) + b"/train/cat/\xff.png"
        with open(bad, "wb") as file:  # noqa: PTH123 -- a name that is no text
            file.write(picture(9))
        out = self.convert(root)
        assert [(split, code) for _, split, code in rejects(out)] == [("train", "unsafe_name")] * 4
        assert {row["conversations"][0]["user"] for row in records(out)} == {QUESTION}

    def test_a_pipe_and_deep_nesting(self, tmp_path: Path) -> None:
        root = tmp_path / "raw"
        deep = root / "train/cat" / "/".join("d" * 900)
        deep.mkdir(parents=True)
        write_classes(deep, "1.png")
        os.mkfifo(root / "train/cat/pipe.png")
        out = self.convert(root)
        assert rejects(out) == [("train/cat/pipe.png", "train", "not_an_image")]
        assert len(images(out)) == 3


class TestUsage:
    def listed(self, root: Path, **options: Any) -> list[Any]:
        splits = ClassFolders(ClassFoldersOptions(**options), root).sources()
        return [source for split in splits.values() for source in split]

    def test_a_folder_of_something_else(self, tmp_path: Path) -> None:
        for paths in ((), ("a/b/c.txt", "LICENSE"), ("1.png", "2.png")):
            root = spread(tmp_path / str(len(paths)), *paths)
            root.mkdir(exist_ok=True)
            with pytest.raises(UsageError, match=r"no class folders of pictures found in .*: expected <class>/"):
                self.listed(root)

    def test_pictures_beside_the_splits(self, tmp_path: Path) -> None:
        root = write_classes(tmp_path, "train/cat/1.png", "extra/cat/1.png")
        with pytest.raises(UsageError, match="holds pictures in train, and in extra besides: keep only splits there"):
            self.listed(root)

    def test_a_single_folder_that_is_a_link(self, tmp_path: Path) -> None:
        write_classes(tmp_path / "secret", "cat/1.png", "dog/1.png")
        (tmp_path / "raw").mkdir()
        (tmp_path / "raw/in").symlink_to(tmp_path / "secret")
        with pytest.raises(UsageError, match="no class folders of pictures found"):
            self.listed(tmp_path / "raw")

    def test_carving_has_no_meaning_where_there_are_splits(self, tmp_path: Path) -> None:
        root = write_classes(tmp_path, "train/cat/1.png", "test/cat/1.png")
        with pytest.raises(UsageError, match="--val_fraction has no meaning for this source"):
            self.listed(root, val_fraction=0.2)


def test_the_program_with_any_number_of_workers(tmp_path: Path) -> None:
    run("sample", "imagefolder", tmp_path / "raw")
    convert = ("convert", "imagefolder", "--source", tmp_path / "raw", "--out_dir")
    run(*convert, tmp_path / "one", "--workers", "1", "--image_size", "64")
    run(*convert, tmp_path / "two", "--workers", "2", "--image_size", "64")
    assert snapshot(tmp_path / "two") == snapshot(tmp_path / "one")
    manifest = json.loads((tmp_path / "one/manifest.json").read_text(encoding="utf-8"))
    assert manifest["classes"]["train"] == {"disc": 12, "square": 12, "triangle": 12}
    assert str(tmp_path) not in (tmp_path / "one/manifest.json").read_text(encoding="utf-8")
    run("validate", "--strict", tmp_path / "one")


def test_an_archive_is_its_folder(tmp_path: Path) -> None:
    run("sample", "imagefolder", tmp_path / "in/shapes")
    archive = shutil.make_archive(str(tmp_path / "shapes"), "zip", tmp_path / "in")
    cache = {"PHI3V_CACHE": str(tmp_path / "cache")}
    run("convert", "imagefolder", "--source", archive, "--out_dir", tmp_path / "out", env=cache)
    convert_folder("imagefolder", tmp_path / "in/shapes", tmp_path / "plain")
    assert records(tmp_path / "out") == records(tmp_path / "plain")
    assert snapshot(tmp_path / "out/images") == snapshot(tmp_path / "plain/images")
