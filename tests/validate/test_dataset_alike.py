"""Pictures in two splits that look the same: saved anew and scaled they are found, others are not."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from phi3v_data.validate import validate
from phi3v_data.validate.alike import likeness
from tests.formats.shards import line, write_dataset

pytest.importorskip("imagehash", reason="ImageHash, of the extra alike, is not installed")


def scene(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Draw something like a photograph: smooth light, and shapes."""
    draw = random.Random(seed)
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    image = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = draw.randrange(size[0]), draw.randrange(size[1])
        colour = tuple(draw.randrange(256) for _ in range(3))
        pen.ellipse((x, y, x + size[0] // 6, y + size[1] // 6), fill=colour)
    return image


def document(seed: int) -> Image.Image:
    """Draw a page of black text on white."""
    draw, image = random.Random(seed), Image.new("L", (850, 1100), 255)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(18)
    for y in range(80, 1000, 30):
        words = ("".join(draw.choices("abcdeghilmnorstu", k=draw.randint(2, 9))) for _ in range(draw.randint(2, 12)))
        pen.text((80, y), " ".join(words), fill=0, font=font)
    return image


def meme(caption: str) -> Image.Image:
    image = scene(7, (640, 480))
    pen = ImageDraw.Draw(image)
    pen.text((40, 20), caption, fill="white", font=ImageFont.load_default(40), stroke_width=3, stroke_fill="black")
    return image


def saved(image: Image.Image, form: str = "JPEG", scale: float = 1.0, **options: Any) -> bytes:
    size = (round(image.width * scale), round(image.height * scale))
    out = io.BytesIO()
    (image if scale == 1 else image.resize(size)).save(out, form, **options)
    return out.getvalue()


def told(tmp_path: Path, train: list[bytes], val: list[bytes], **options: Any) -> list[tuple[int | None, str]]:
    """Return line and message of the findings about images, one a record."""
    lines, data = {}, tmp_path / "data"
    for split, images in (("train", train), ("val", val)):
        lines[split] = [line(f"{split} {number}", f"{split}/{number}.jpg") for number in range(len(images))]
        (data / "images" / split).mkdir(parents=True)
        for number, image in enumerate(images):
            (data / f"images/{split}/{number}.jpg").write_bytes(image)
    write_dataset(data, lines)
    found = validate([data], images="decode", **{"select": ["W503"]} | options).findings
    return [(finding.line, finding.message.replace(f"{data}/", "")) for finding in found]


@pytest.mark.parametrize("image", [scene(1), document(1), meme("look who is back")], ids=["scene", "document", "meme"])
def test_saved_anew_and_scaled_it_is_the_same(tmp_path: Path, image: Image.Image) -> None:
    again = [saved(image, quality=quality, scale=scale) for quality in (50, 95) for scale in (0.5, 1, 2)]
    again += [saved(image, "PNG"), saved(image, "WEBP", quality=80)]
    found = told(tmp_path, [saved(scene(2)), saved(image, quality=90)], again)
    assert [number for number, _ in found] == list(range(1, len(again) + 1))
    assert found[0][1] == (
        "the image 'val/0.jpg' looks the same as 'train/1.jpg' in the split 'train', first at toy_train.jsonl:2"
    )


def test_other_pictures_are_not(tmp_path: Path) -> None:
    captions = ["nobody expects this", "when it is monday again", "they said it was free", "my cat after the bath"]
    pictures = [*map(scene, range(10)), *map(document, range(10)), *map(meme, captions)]
    images = [saved(picture) for picture in pictures]
    assert told(tmp_path, images[::2], images[1::2]) == []


def test_frames_of_videos(tmp_path: Path) -> None:
    """Frames a second apart differ; each saved anew is found."""
    videos = Path(__file__).parents[3] / "shared" / "data" / "videos"
    if not videos.is_dir():
        pytest.skip("the videos are not in ../shared")
    av = pytest.importorskip("av")
    frames = []
    for path in ("bikes.mp4", "mmaction2_demo.mp4", "ucf_like_xvid_packed_198f.avi"):
        with av.open(str(videos / path)) as video:
            decoded = [frame.to_image() for frame in video.decode(video=0)]
        frames += decoded[:180:30]
    images = [saved(frame, quality=95) for frame in frames]
    assert told(tmp_path / "apart", images[::2], images[1::2]) == []
    assert len(told(tmp_path / "anew", images, [saved(frame, quality=60) for frame in frames])) == len(frames)


def test_blank_pictures_say_nothing(tmp_path: Path) -> None:
    blank = [saved(Image.new("L", (60 + size, 40), level), "PNG") for size in range(9) for level in (0, 128, 255)]
    assert told(tmp_path, blank[::2], blank[1::2]) == []


def test_many_pictures_of_one_likeness(tmp_path: Path) -> None:
    """Tiles of one pattern in different grey: as many are looked at as it takes to see that they differ."""
    base = np.asarray(scene(3).convert("L").resize((32, 32)), np.float64)
    images = [saved(Image.fromarray((base * (0.2 + 0.7 * step / 400)).astype(np.uint8)), "PNG") for step in range(400)]
    found = told(tmp_path, images[:200:20], images[210::10])
    assert len(found) < 19


def test_the_same_bytes_are_another_rules(tmp_path: Path) -> None:
    image, other = saved(scene(1)), saved(scene(1), "PNG")
    assert told(tmp_path / "same", [image], [image]) == []
    found = told(tmp_path / "both", [image], [image, other, other])
    assert [number for number, _ in found] == [2]


def test_what_is_allowed(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed.txt"
    allowed.write_text("val/1.*\n")
    images = [saved(scene(number), quality=90) for number in range(3)]
    again = [saved(scene(number), "PNG") for number in range(3)]
    assert [number for number, _ in told(tmp_path, images, again, allow_leaks=allowed)] == [1, 3]


def test_more_than_are_kept_are_counted(tmp_path: Path) -> None:
    images = [saved(scene(number), quality=90) for number in range(8)]
    told(tmp_path, images, [saved(scene(number), "PNG") for number in range(8)])
    result = validate([tmp_path / "data"], select=["W503"], images="decode", max_findings=3)
    assert result.counts == {"W503": 8}
    assert len(result.findings) == 3


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_mode_has_a_likeness(mode: str) -> None:
    compute = likeness()
    assert compute is not None
    image = Image.new(mode, (50, 40)) if mode == "I;16" else scene(1).convert(mode)
    assert 0 <= compute(image) < 2**64
