"""Images: what the header and the end of a file tell, and that the folder is never left."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from phi3v_data.errors import Phi3VError
from phi3v_data.formats.images import HeldImages
from phi3v_data.image_folder import ImageFolder, UnsafePath, are_plain, path_fault
from phi3v_data.media import checks
from phi3v_data.validate import validate
from phi3v_data.validate.image_rules import ImageMissing
from phi3v_data.validate.images import ImageChecker
from phi3v_schemas import Record

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.validate.images import ImageLevel
    from phi3v_data.validate.look import Look


def picture(path: Path, size: tuple[int, int] = (40, 30), mode: str = "RGB", **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise(size, 50).convert(mode).save(path, **options)
    return path


def dataset(folder: Path, *images: str) -> Path:
    file = folder / "toy_train.jsonl"
    records = [
        {"id": str(number), "source": "s", "conversations": [{"images": [image], "user": "u"}]}
        for number, image in enumerate(images)
    ]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return file


def record(*images: str) -> Record:
    return Record.model_validate({"id": "a", "source": "s", "conversations": [{"images": list(images), "user": "u"}]})


def found(file: Path, images: ImageLevel = "header", **options: Any) -> list[tuple[int | None, str]]:
    return [(finding.line, finding.code) for finding in validate([file], images=images, **options).findings]


@pytest.mark.parametrize(
    ("name", "mode", "options", "image_format"),
    [
        ("a.jpg", "RGB", {}, "JPEG"),
        ("a.jpg", "L", {"progressive": True}, "JPEG"),
        ("a.jpg", "CMYK", {}, "JPEG"),
        ("a.png", "RGBA", {}, "PNG"),
        ("a.webp", "RGB", {}, "WEBP"),
        ("a.gif", "P", {}, "GIF"),
        ("a.bmp", "RGB", {}, "BMP"),
        ("a.tiff", "RGB", {}, "TIFF"),
    ],
)
def test_sound_images(tmp_path: Path, name: str, mode: str, options: dict[str, Any], image_format: str) -> None:
    path = picture(tmp_path / name, mode=mode, **options)
    assert checks.check_image(str(path)) == (40, 30, image_format)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_bytes_behind_the_end_do_not_matter_and_a_missing_end_does(tmp_path: Path, name: str) -> None:
    """Phones append whole videos to their JPEG files; and a thumbnail's end marker is not the image's."""
    path = picture(tmp_path / name)
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0" * 5000 + b"more")
    assert checks.check_image(str(path)).width == 40
    for kept in (len(whole) - 1, len(whole) // 2, 60):
        path.write_bytes(whole[:kept])
        with pytest.raises(checks.TruncatedImage, match="cut short"):
            checks.check_image(str(path))


def test_a_thumbnail_does_not_hide_that_the_image_is_cut(tmp_path: Path) -> None:
    thumbnail = picture(tmp_path / "thumbnail.jpg", (8, 8)).read_bytes()
    path = picture(tmp_path / "a.jpg", exif=b"Exif\0\0" + thumbnail)
    whole = path.read_bytes()
    assert thumbnail in whole
    assert checks.check_image(str(path)).format == "JPEG"
    path.write_bytes(whole[:-300])
    with pytest.raises(checks.TruncatedImage):
        checks.check_image(str(path))


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b"", checks.EmptyImage, "0 bytes"),
        (b"\n<!DOCTYPE html><html></html>", checks.NotAnImage, "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", checks.NotAnImage, "Git LFS pointer"),
        (b"404: not found", checks.NotAnImage, "text"),
        (b"\x00\x01\x02\x03" * 50, checks.NotAnImage, "not an image in a format"),
        (b"\xff\xd8\xff\xd9", checks.BadImage, "JPEG"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, checks.BadImage, "PNG"),
    ],
)
def test_files_that_are_no_images(tmp_path: Path, content: bytes, error: type[Exception], words: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(error, match=words) as caught:
        checks.check_image(str(path))
    assert isinstance(caught.value, Phi3VError)
    assert str(path) in str(caught.value)


def test_other_things_than_files(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    for name, words in (("folder.jpg", "is a folder"), ("pipe.jpg", "not a regular file")):
        with pytest.raises(checks.NotAnImage, match=words):
            checks.check_image(str(tmp_path / name))
    for name in ("none.jpg", "folder.jpg/none.jpg", "none/none.jpg"):
        with pytest.raises(checks.MissingImage, match="does not exist"):
            checks.check_image(str(tmp_path / name))
    with pytest.raises(checks.UnreadableImage, match="too long"):
        checks.check_image(str(tmp_path / ("x" * 300)))


def test_pixel_limit_is_of_the_header(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", (400, 300))
    with pytest.raises(checks.TooManyPixels, match=r"400x300 pixels, over the limit of 100,000"):
        checks.check_image(str(path), max_pixels=100_000)


@pytest.mark.parametrize(
    "path",
    ["../a.jpg", "a/../../b.jpg", "..", ".", "./a.jpg", "/a.jpg", "a\\b.jpg", "C:/a.jpg", "c:a.jpg", "a\0.jpg",
     "a//b.jpg", "a/", "", "a\nb.jpg", "http://x.org/a.jpg", "data:image/png;base64,AA"],
)  # fmt: skip
def test_unsafe_paths_are_refused(tmp_path: Path, path: str) -> None:
    assert path_fault(path)
    with pytest.raises(UnsafePath) as caught:
        ImageFolder(tmp_path).locate(path)
    assert repr(path) in str(caught.value)


@pytest.mark.parametrize("path", ["a.jpg", "train/Ärzte/猫 1.jpg", "a..b/c..jpg", ".hidden/.a.jpg", "x" * 200, "…/a"])
def test_odd_but_safe_paths_are_accepted(tmp_path: Path, path: str) -> None:
    assert path_fault(path) is None
    assert ImageFolder(tmp_path).locate(path) == f"{tmp_path.resolve()}/{path}"
    assert are_plain(["train/a.jpg", "b/c d.png"])


def test_links_may_stay_inside_and_never_leave(tmp_path: Path) -> None:
    images = tmp_path / "images"
    picture(images / "real" / "a.jpg")
    picture(tmp_path / "outside" / "a.jpg")
    (images / "inner").symlink_to("real")
    (images / "inner.jpg").symlink_to("real/a.jpg")
    (images / "outer").symlink_to("../outside")
    (images / "outer.jpg").symlink_to(tmp_path / "outside" / "a.jpg")
    (images / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "images2").mkdir()
    (images / "beside.jpg").symlink_to("../images2/a.jpg")
    file = dataset(tmp_path, "inner/a.jpg", "inner.jpg", "outer/a.jpg", "outer.jpg", "beside.jpg", "loop.jpg")
    assert found(file)[:3] == [(3, "E402"), (4, "E402"), (5, "E402")]
    assert found(file)[3][1] in ("E401", "E408")


def test_the_images_folder_may_itself_be_a_link(tmp_path: Path) -> None:
    picture(tmp_path / "store" / "a.jpg")
    (tmp_path / "images").symlink_to("store")
    assert found(dataset(tmp_path, "a.jpg")) == []


def test_levels(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "text.jpg").write_text("text")
    (tmp_path / "images" / "empty.jpg").touch()
    file = dataset(tmp_path, "text.jpg", "empty.jpg", "none.jpg", "../out.jpg")
    assert found(file, "none") == [(4, "E402")]
    assert found(file, "exists") == [(2, "E403"), (3, "E401"), (4, "E402")]
    assert found(file, "header") == [(1, "E404"), (2, "E403"), (3, "E401"), (4, "E402")]


def test_missing_folder_is_said_once_for_the_dataset(tmp_path: Path) -> None:
    file = dataset(tmp_path, "a.jpg", "b.jpg", "../c.jpg")
    assert found(file) == [(None, "E407"), (3, "E402")]
    picture(tmp_path / "elsewhere" / "a.jpg")
    assert found(file, images_dir=tmp_path / "elsewhere") == [(2, "E401"), (3, "E402")]


def test_text_only_data_needs_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"id":"a","source":"s","conversations":[{"images":[],"user":"u"}]}\n')
    assert found(file) == []


def test_an_image_of_many_records_is_looked_at_once_and_told_of_each(tmp_path: Path) -> None:
    told: list[tuple[str, Look]] = []
    picture(tmp_path / "b.jpg")
    bad = tmp_path / "a.jpg"
    bad.write_text("text")
    checker = ImageChecker(tmp_path, "header", on_look=lambda path, look: told.append((path, look)))
    assert [problem.pointer for problem in checker.check(record("a.jpg", "b.jpg", "a.jpg"))] == [
        "/conversations/0/images/0",
        "/conversations/0/images/2",
    ]
    bad.unlink()  # nobody notices: what was seen is remembered
    assert [problem.rule.code for problem in checker.check(record("a.jpg"))] == ["E404"]
    assert [path for path, _ in told] == ["a.jpg", "b.jpg", "a.jpg", "a.jpg"]
    good = told[1][1]
    assert (good.width, good.height, good.likeness) == (40, 30, None)
    assert good.fingerprint != told[0][1].fingerprint == 0


def test_a_shard_may_hold_another_image_under_the_same_path(tmp_path: Path) -> None:
    checker = ImageChecker(tmp_path, "header")
    good, bad = picture(tmp_path / "a.jpg").read_bytes(), b"text"
    found = [checker.check(record("a.jpg"), HeldImages(["a.jpg"], {0: data}.get)) for data in (good, bad, good)]
    assert [[problem.rule.code for problem in problems] for problems in found] == [[], ["E404"], []]
    (missing,) = checker.check(record("b.jpg"), HeldImages(["a.jpg"], {0: good}.get))
    assert missing.message == "the image 'b.jpg' is not in the shard, beside its record"


def test_the_same_bytes_have_the_same_fingerprint_wherever_they_are(tmp_path: Path) -> None:
    seen: dict[str, int] = {}
    one = picture(tmp_path / "one.jpg", (400, 300)).read_bytes()
    (tmp_path / "same.jpg").write_bytes(one)
    (tmp_path / "link.jpg").symlink_to("one.jpg")  # looked at by Pillow's parser
    (tmp_path / "changed.jpg").write_bytes(one[:-5] + bytes([one[-5] ^ 1]) + one[-4:])
    (tmp_path / "longer.jpg").write_bytes(one[:9000] + one[8999:])
    names = ["one.jpg", "same.jpg", "link.jpg", "changed.jpg", "longer.jpg"]
    for level in ("header", "decode"):
        ImageChecker(tmp_path, level, on_look=lambda path, look: seen.update({path: look.fingerprint})).check(
            record(*names)
        )
        assert seen["one.jpg"] == seen["same.jpg"] == seen["link.jpg"] != 0
        assert len(set(seen.values())) == 3
    ImageChecker(tmp_path, "header", on_look=lambda path, look: seen.update({"held": look.fingerprint})).check(
        record("one.jpg"), HeldImages(["one.jpg"], {0: one}.get)
    )
    assert seen["held"] == seen["one.jpg"]


def test_the_likeness_is_asked_of_decoded_images_alone(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", mode="LA")
    (tmp_path / "cut.jpg").write_bytes(picture(tmp_path / "b.jpg").read_bytes()[:-2])
    looks: list[Look] = []

    def likeness(image: Image.Image) -> int:
        assert image.mode == "RGB"
        return len(image.tobytes())

    for level in ("header", "decode"):
        ImageChecker(tmp_path, level, likeness=likeness, on_look=lambda _, look: looks.append(look)).check(
            record("a.png", "b.jpg", "cut.jpg")
        )
    assert [look.likeness for look in looks] == [None, None, None, 3600, 3600, None]


def test_no_image_is_looked_at_without_the_folder(tmp_path: Path) -> None:
    checker = ImageChecker(tmp_path / "images", "header")
    assert checker.check(record()) == []
    assert not checker.needs_folder
    assert [problem.rule.code for problem in checker.check(record("a.jpg", "../b.jpg"))] == ["E402"]
    assert checker.needs_folder
    picture(tmp_path / "images" / "a.jpg")
    assert checker.check(record("c.jpg")) == []


def test_the_name_that_was_meant_is_told(tmp_path: Path) -> None:
    picture(tmp_path / "Train" / "Cat.JPG")
    picture(tmp_path / "Train" / "Stra\u00dfe.jpg")
    picture(tmp_path / "Train" / "a\u0308.jpg")
    checker = ImageChecker(tmp_path, "exists")
    for path, near in {
        "train/cat.jpg": "Train/Cat.JPG",
        "Train/STRASSE.jpg": "Train/Stra\u00dfe.jpg",
        "Train/\u00e4.jpg": "Train/a\u0308.jpg",
    }.items():
        (problem,) = checker.check(record(path))
        assert problem.rule.code == "E401"
        assert repr(near) in problem.hint
    (problem,) = checker.check(record("train/dog.jpg"))
    assert problem.hint == ImageMissing.hint


def test_a_path_is_judged_whatever_was_looked_at_before(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "b" / "a.jpg")
    checker = ImageChecker(tmp_path, "header")
    paths = [
        "a.jpg",
        "b/a.jpg",
        "/a.jpg",
        "b//a.jpg",
        "b/../a.jpg",
        "b/..",
        "./a.jpg",
        "b\\a.jpg",
        "C:a.jpg",
        "b/a.jpg/",
    ]
    assert [problem.pointer[-1] for problem in checker.check(record(*paths))] == list("23456789")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_image_without_permission(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.jpg").chmod(0)
    assert found(dataset(tmp_path, "a.jpg")) == [(1, "E408")]
