"""Images: what the header and the end of a file tell, and that the folder is never left."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from phi3v_data.errors import Phi3VError
from phi3v_data.image_folder import ImageFolder, UnsafePath, are_plain, path_fault
from phi3v_data.media import checks
from phi3v_data.validate import validate

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.validate.images import ImageLevel


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


def test_an_image_of_many_records_is_opened_once_and_found_in_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_text("text")
    opened: list[str] = []
    real = checks.check_image

    def look(path: str) -> checks.ImageHeader:
        opened.append(path)
        return real(path)

    monkeypatch.setattr(checks, "check_image", look)
    assert found(dataset(tmp_path, *["a.jpg"] * 5)) == [(number, "E404") for number in range(1, 6)]
    assert len(opened) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_image_without_permission(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.jpg").chmod(0)
    assert found(dataset(tmp_path, "a.jpg")) == [(1, "E408")]
