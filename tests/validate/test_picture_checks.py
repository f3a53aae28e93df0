"""The rules about images that open, each at its threshold, and whether they tell what the model sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from phi3v_data.tokens import ImpossibleSize, scaled_size
from phi3v_data.validate.images import ImageChecker
from phi3v_schemas import Record

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.validate.images import ImageLevel
    from phi3v_data.validate.rule import Problem

NOISE = Image.effect_noise((40, 30), 60)


def look(folder: Path, path: str, level: ImageLevel = "header", num_crops: int = 16) -> list[Problem]:
    turn = {"images": [path], "user": "u"}
    record = Record.model_validate({"id": "a", "source": "s", "conversations": [turn]})
    return ImageChecker(folder, level, num_crops=num_crops).check(record)


def codes(*args: Any, **options: Any) -> list[str]:
    return [problem.rule.code for problem in look(*args, **options)]


def test_an_image_is_too_thin_where_the_model_fails(tmp_path: Path) -> None:
    for num_crops in (1, 4, 16):
        for length in (336 * num_crops, 336 * num_crops + 1):
            for size in ((length, 1), (1, length)):
                Image.new("L", size).save(tmp_path / "a.png")
                try:
                    scaled_size(*size, num_crops)
                    expected = ["W411"]
                except ImpossibleSize:
                    expected = ["E410"]
                assert codes(tmp_path, "a.png", num_crops=num_crops) == expected
                assert (expected == ["E410"]) == (length > 336 * num_crops)


@pytest.mark.parametrize(("size", "found"), [((8, 8), []), ((7, 300), ["W411"]), ((300, 7), ["W411"])])
def test_tiny_is_less_than_eight_pixels_on_a_side(tmp_path: Path, size: tuple[int, int], found: list[str]) -> None:
    NOISE.resize(size).save(tmp_path / "a.png")
    assert codes(tmp_path, "a.png") == found


@pytest.mark.parametrize(
    ("name", "image_format", "differs"),
    [
        ("a.jpg", "JPEG", False),
        ("a.JPEG", "JPEG", False),
        ("a.jpe", "JPEG", False),
        ("a.jfif", "JPEG", False),
        ("a.jpg", "MPO", False),
        ("a.jpg", "PNG", True),
        ("a.Png", "PNG", False),
        ("a.png", "JPEG", True),
        ("a.png", "WEBP", True),
        ("a.webp", "WEBP", False),
        ("a.gif", "PNG", True),
        ("a.tif", "TIFF", False),
        ("a.bmp", "BMP", False),
        ("a.bmp", "GIF", True),
        ("a", "JPEG", False),  # no suffix denies nothing
        ("a.0", "PNG", False),
        ("png", "JPEG", False),
        ("a.png.b/c", "JPEG", False),
    ],
)
def test_the_suffix_against_the_content(tmp_path: Path, name: str, image_format: str, differs: bool) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    options: dict[str, Any] = {"save_all": True, "append_images": [NOISE]} if image_format == "MPO" else {}
    NOISE.save(tmp_path / name, image_format, **options)
    assert codes(tmp_path, name) == (["W412"] if differs else [])


@pytest.mark.parametrize(
    ("mode", "name", "words"),
    [
        ("CMYK", "a.jpg", "is CMYK"),
        ("CMYK", "a.tif", "is CMYK"),
        ("I", "a.tif", "more than 8 bits"),
        ("F", "a.tif", "more than 8 bits"),
        ("I;16", "a.png", "more than 8 bits"),
        ("RGBA", "a.png", "may be transparent"),
        ("LA", "a.png", "may be transparent"),
        ("RGBA", "a.webp", "may be transparent"),
        ("RGB", "a.png", None),
        ("L", "a.jpg", None),
        ("P", "a.gif", None),
        ("1", "a.png", None),
    ],
)
def test_the_model_sees_other_colours(tmp_path: Path, mode: str, name: str, words: str | None) -> None:
    image = (NOISE.convert("I") if mode == "I;16" else NOISE).convert(mode)
    if mode.endswith("A"):
        image.putalpha(100)
    image.save(tmp_path / name)
    for level in ("header", "decode"):
        problems = look(tmp_path, name, level)
        assert [problem.rule.code for problem in problems] == ([] if words is None else ["W414"])
        assert all(words is not None and words in problem.message for problem in problems)


def test_sixteen_bits_of_grey_are_clipped_by_what_the_trainer_does(tmp_path: Path) -> None:
    deep = Image.new("I;16", (2, 1))
    deep.putpixel((0, 0), 200)
    deep.putpixel((1, 0), 40_000)
    deep.save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        seen = image.convert("RGB")
    assert [seen.getpixel((x, 0)) for x in range(2)] == [(200,) * 3, (255,) * 3]


def test_an_alpha_channel_that_hides_nothing_is_cleared_by_decoding(tmp_path: Path) -> None:
    image = NOISE.convert("RGBA")
    image.save(tmp_path / "a.png")
    assert codes(tmp_path, "a.png") == ["W414"]
    assert codes(tmp_path, "a.png", "decode") == []
    image.putpixel((5, 5), (1, 2, 3, 0))
    image.save(tmp_path / "a.png")
    assert codes(tmp_path, "a.png", "decode") == ["W414"]


def test_a_black_drawing_on_nothing_is_blank_to_the_model(tmp_path: Path) -> None:
    drawing = Image.new("RGBA", (40, 30))
    drawing.putalpha(NOISE)
    drawing.save(tmp_path / "a.png")
    assert codes(tmp_path, "a.png", "decode") == ["W414", "W419"]


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tif"])
def test_more_than_one_frame(tmp_path: Path, name: str) -> None:
    frames = [Image.effect_noise((40, 30), 60) for _ in range(3)]
    frames[0].save(tmp_path / name)
    assert "W416" not in codes(tmp_path, name)
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    assert codes(tmp_path, name) == codes(tmp_path, name, "decode") == ["W416"]


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
@pytest.mark.parametrize(("orientation", "found"), [(0, []), (1, []), (2, ["W418"]), (8, ["W418"]), (9, [])])
def test_turned_by_exif(tmp_path: Path, name: str, orientation: int, found: list[str]) -> None:
    notes = Image.Exif()
    notes[0x0112] = orientation
    NOISE.convert("RGB").save(tmp_path / name, exif=notes)
    assert codes(tmp_path, name) == codes(tmp_path, name, "decode") == found


def test_pillow_turns_tiff_files_itself(tmp_path: Path) -> None:
    notes = Image.Exif()
    notes[0x0112] = 6
    NOISE.save(tmp_path / "a.tif", exif=notes, compression="tiff_lzw")
    with Image.open(tmp_path / "a.tif") as image:
        image.load()
        assert image.size == (30, 40)
    assert codes(tmp_path, "a.tif") == codes(tmp_path, "a.tif", "decode") == []


@pytest.mark.parametrize(
    ("spread", "found"), [(0, ["W419"]), (8, ["W419"]), (9, [])], ids=["one colour", "JPEG's noise", "a faint picture"]
)
@pytest.mark.parametrize("colour", [(0, 0, 0), (90, 20, 200), (240, 240, 240)])
def test_blank_is_nearly_one_colour(
    tmp_path: Path, colour: tuple[int, int, int], spread: int, found: list[str]
) -> None:
    image = Image.new("RGB", (100, 80), colour)
    image.putpixel((17, 41), (colour[0] + spread, colour[1], colour[2]))
    image.save(tmp_path / "a.png")
    assert codes(tmp_path, "a.png", "decode") == found
    assert codes(tmp_path, "a.png") == []


def test_what_is_blank_is_told_by_its_colour(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), (10, 200, 30)).save(tmp_path / "a.bmp")
    (problem,) = look(tmp_path, "a.bmp", "decode")
    assert (
        problem.message
        == "the image 'a.bmp' is blank: all of its pixels are, or nearly are, of the colour (10, 200, 30)"
    )
