"""The image processor against the reference's own pixels, and against the plainest pipeline on any image."""

from __future__ import annotations

import hashlib
import json
import math
import pickle
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from huggingface_hub.dataclasses import validate_typed_dict
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoImageProcessor, PreTrainedConfig

from benchmarks.plain_hd import plain_crops, plain_hd_image
from phi3v_data.errors import Phi3VError
from phi3v_data.tokens import CROP, ImpossibleSize, hd_size, image_tokens
from phi3v_train.model.hd_transform import (
    global_crop,
    hd_image,
    hd_resize,
    normalize_tiles,
    split_tiles,
    to_rgb,
)
from phi3v_train.model.image_processing import Phi3VImageProcessor, Phi3VImagesKwargs, UnreadableImage
from tests.phi3v_train.model.golden import GOLDEN
from tests.phi3v_train.model.prompts import HUB

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REFERENCE = json.loads((GOLDEN / "processor_images.json").read_text())
CASES = {case["key"]: case for case in REFERENCE["cases"]}

any_case = pytest.mark.parametrize("key", CASES)
small_sides = st.integers(1, 300)
few_crops = st.integers(1, 6)
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Run as a data loader's worker does: on a busy machine, threads that wait for each other take minutes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def golden_pixels() -> dict[str, Tensor]:
    return load_file(GOLDEN / "processor_pixels.safetensors")


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def bytes_of(image: Tensor) -> bytes:
    return image.permute(1, 2, 0).numpy().tobytes()


def process(images: Any, **options: Any) -> Any:
    return Phi3VImageProcessor(**options)(images)


# The reference's figures


@any_case
def test_sizes_tokens_and_pixels_are_the_references(key: str) -> None:
    case, grid = CASES[key], torch.tensor(REFERENCE["grid_index"])
    with Image.open(GOLDEN / case["image"]) as image:
        batch = process(image, num_crops=case["num_crops"], pad_crops=True)
    assert batch["image_sizes"].tolist() == [case["image_sizes_hw"]]
    assert batch["num_img_tokens"] == [case["num_img_tokens"]]
    values = batch["pixel_values"]
    assert (list(values.shape), str(values.dtype)) == (case["pixel_values_shape"], case["pixel_values_dtype"])
    crops, padding = values[0].tensor_split([1 + case["real_crops"]])
    assert not padding.any()
    sample, expected = crops[:, :, grid][:, :, :, grid], golden_pixels()[f"{key}.grid"]
    torch.testing.assert_close(sample, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(sample[1:], expected[1:], rtol=0, atol=0)
    statistics = [crops.mean().item(), crops.std().item(), *crops.mean((1, 2, 3)), *crops.std((1, 2, 3))]
    golden = [case["mean"], case["std"], *case["crop_mean"], *case["crop_std"]]
    assert statistics == pytest.approx(golden, abs=1e-5)


@any_case
def test_resized_and_padded_bytes_are_the_references(key: str) -> None:
    case = CASES[key]
    with Image.open(GOLDEN / case["image"]) as image:
        made = hd_image(to_rgb(image), case["num_crops"])
    assert hashlib.sha256(bytes_of(made)).hexdigest() == case["padded_hd_uint8_rgb_sha256"]


def test_the_case_that_is_stored_whole() -> None:
    key = REFERENCE["full_case"]["key"]
    case = CASES[key]
    with Image.open(GOLDEN / REFERENCE["full_case"]["hd_png"]) as padded, Image.open(GOLDEN / case["image"]) as image:
        assert bytes_of(hd_image(to_rgb(image), case["num_crops"])) == padded.convert("RGB").tobytes()
        overview = process(image, num_crops=case["num_crops"])["pixel_values"][0]
    torch.testing.assert_close(overview, golden_pixels()[f"{key}.global_full"], rtol=0, atol=1e-5)


# The plainest pipeline, on any image


@settings(max_examples=25, deadline=None)
@given(small_sides, small_sides, few_crops, seeds)
@example(336, 336, 4, 0)
@example(1, 1, 1, 0)
@example(300, 1, 3, 0)
def test_any_image_equals_the_plain_pipeline(width: int, height: int, num_crops: int, seed: int) -> None:
    image = noise(width, height, seed)
    try:
        hd_size(width, height, num_crops)
    except ImpossibleSize:
        return
    expected = plain_crops(image, num_crops)
    assert bytes_of(hd_image(image, num_crops)) == plain_hd_image(image, num_crops).tobytes()
    values = process(image, num_crops=num_crops)["pixel_values"]
    torch.testing.assert_close(values, expected, rtol=0, atol=1e-5)
    assert torch.equal(values[1:], expected[1:])


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 9), seeds)
@example(336, 672, 2, 0)
@example(10, 336, 9, 0)
@example(499, 500, 9, 0)
def test_columns_first_is_the_transposed_resize(width: int, extra: int, num_crops: int, seed: int) -> None:
    image, transpose = noise(width, width + extra, seed), Image.Transpose.TRANSPOSE
    try:
        resized = hd_resize(image, num_crops)
    except ImpossibleSize:
        return
    landscape = image.transpose(transpose).resize(resized.size[::-1], Image.Resampling.BILINEAR)
    assert resized.tobytes() == landscape.transpose(transpose).tobytes()


class Blank:
    """As much of an image as `hd_resize` touches, without pixels."""

    def __init__(self, width: int, height: int) -> None:
        self.size = self.width, self.height = width, height

    def resize(self, size: tuple[int, int], resample: Image.Resampling) -> Blank:
        assert min(size) > 0
        assert resample is Image.Resampling.BILINEAR
        return Blank(*size)


@given(st.integers(1, 4000), st.integers(1, 4000), st.integers(1, 64))
@example(1400, 1, 4)
@example(1, 4000, 64)
def test_scaled_sizes_fit_what_tokens_says(width: int, height: int, num_crops: int) -> None:
    image: Any = Blank(width, height)
    try:
        resized, padded = hd_resize(image, num_crops), hd_size(width, height, num_crops)
    except ImpossibleSize:
        return
    assert tuple(math.ceil(side / CROP) * CROP for side in resized.size) == padded
    assert max(resized.size) == max(padded)


@pytest.mark.parametrize("grid", [(1, 1), (1, 2), (2, 1), (3, 4), (4, 3), (5, 2), (6, 1), (1, 7), (2, 8), (12, 1)])
def test_the_global_crop_is_torchs_bicubic(grid: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, grid[0] * CROP, grid[1] * CROP), dtype=torch.uint8, generator=generator)
    expected = torch.nn.functional.interpolate(image[None].float(), size=(CROP, CROP), mode="bicubic")[0]
    torch.testing.assert_close(global_crop(image), expected, rtol=0, atol=1e-3)


def test_tiles_are_a_view_row_by_row() -> None:
    image = torch.arange(2 * CROP)[:, None].expand(3, -1, 3 * CROP)
    tiles = split_tiles(image)
    assert tiles.shape == (2, 3, 3, CROP, CROP)
    assert tiles[1, 2, 0, 5, 0] == CROP + 5
    assert tiles.data_ptr() == image.data_ptr()


# Layouts


def three_images() -> list[Image.Image]:
    return [noise(50, 80, 1), noise(300, 40, 2), noise(64, 64, 3)]


def test_a_compact_batch_is_the_padded_one_without_its_zeros() -> None:
    compact, padded = process(three_images()), process(three_images(), pad_crops=True)
    assert compact["image_sizes"].dtype == torch.int64
    assert compact["image_sizes"].tolist() == padded["image_sizes"].tolist()
    assert padded["pixel_values"].shape == (3, 5, 3, CROP, CROP)
    counts = [1 + height // CROP * (width // CROP) for height, width in compact["image_sizes"].tolist()]
    real = [image[:count] for image, count in zip(padded["pixel_values"], counts, strict=True)]
    assert torch.equal(compact["pixel_values"], torch.cat(real))
    assert not any(
        image[count:].any() for image, count in zip(padded["pixel_values"], counts, strict=True) if count < 5
    )
    assert compact["num_img_tokens"] == [image_tokens(*image.size, 4) for image in three_images()]


def test_a_list_is_its_images_one_by_one() -> None:
    together = process(three_images(), num_crops=3)
    alone = [process(image, num_crops=3) for image in three_images()]
    for key in ("pixel_values", "image_sizes"):
        assert torch.equal(together[key], torch.cat([batch[key] for batch in alone]))


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.integers(20, 200), st.integers(20, 200), seeds), min_size=1, max_size=3), few_crops)
def test_raw_tiles_normalised_later_are_the_same_pixels(drawn: list[tuple[int, int, int]], num_crops: int) -> None:
    images = [noise(*each) for each in drawn]
    now = process(images, num_crops=num_crops)
    raw = process(images, num_crops=num_crops, do_normalize=False)
    assert raw["pixel_values"].dtype == torch.uint8
    assert len(raw["pixel_values"]) == len(now["pixel_values"]) - len(images)
    later = normalize_tiles(raw["pixel_values"], raw["image_sizes"])
    torch.testing.assert_close(later, now["pixel_values"], rtol=0, atol=1e-5)


def test_raw_tiles_hold_the_image() -> None:
    image = noise(90, 60)
    raw = process(image, do_normalize=False)["pixel_values"]
    assert torch.equal(raw, split_tiles(hd_image(image, 4)).flatten(0, 1))


def test_raw_tiles_take_any_statistics_and_type() -> None:
    chosen: dict[str, Any] = {"image_mean": (0.5, 0.25, 0.0), "image_std": (0.5, 1.0, 2.0)}
    raw, now = process(three_images(), do_normalize=False), process(three_images(), **chosen)
    later = normalize_tiles(raw["pixel_values"], raw["image_sizes"].tolist(), *chosen.values(), dtype=torch.bfloat16)
    assert torch.equal(later, now["pixel_values"].bfloat16())
    red, blue = now["pixel_values"][:, 0], now["pixel_values"][:, 2]
    assert (red[1:2].min().item(), red[1:2].max().item()) == pytest.approx((-1, 1), abs=0.05)
    assert (blue[1:2].min().item(), blue[1:2].max().item()) == pytest.approx((0, 0.5), abs=0.05)


def test_torchs_default_type_changes_nothing() -> None:
    expected, usual = process(noise(9, 9)), torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        assert torch.equal(process(noise(9, 9))["pixel_values"], expected["pixel_values"])
    finally:
        torch.set_default_dtype(usual)


def test_raw_tiles_must_be_what_the_sizes_say() -> None:
    tiles = torch.zeros((4, 3, CROP, CROP), dtype=torch.uint8)
    with pytest.raises(
        ValueError, match=r"describes uint8 tiles of shape \(2, 3, 336, 336\), but .* \(4, 3, 336, 336\)"
    ):
        normalize_tiles(tiles, [[672, 336]])
    with pytest.raises(ValueError, match=r"but they are torch\.float32"):
        normalize_tiles(tiles.float(), [[672, 672]])


def test_options_of_a_call_go_before_those_of_the_processor() -> None:
    processor = Phi3VImageProcessor(num_crops=1, pad_crops=True)
    image = noise(60, 60)
    batch = processor(image, num_crops=4, pad_crops=False, do_normalize=False)
    assert batch["pixel_values"].shape == (4, 3, CROP, CROP)
    assert processor(image)["pixel_values"].shape == (1, 2, 3, CROP, CROP)
    assert torch.equal(processor.preprocess(image)["pixel_values"], processor(image)["pixel_values"])


@pytest.mark.parametrize("number", [np.int64(1), np.uint8(1), torch.tensor(1)])
def test_whole_numbers_of_any_library(number: Any, tmp_path: Path) -> None:
    batch = Phi3VImageProcessor()(noise(60, 60), num_crops=number)
    assert torch.equal(batch["pixel_values"], process(noise(60, 60), num_crops=1)["pixel_values"])
    Phi3VImageProcessor(num_crops=number).save_pretrained(tmp_path)
    assert Phi3VImageProcessor.from_pretrained(tmp_path).num_crops == 1


def test_numpy_arrays_on_demand() -> None:
    processor = Phi3VImageProcessor()
    tensors, arrays = (processor(noise(9, 9), return_tensors=kind) for kind in ("pt", "np"))
    assert isinstance(arrays["pixel_values"], np.ndarray)
    assert isinstance(arrays["image_sizes"], np.ndarray)
    assert np.array_equal(arrays["pixel_values"], tensors["pixel_values"].numpy())
    assert arrays["num_img_tokens"] == tensors["num_img_tokens"] == [image_tokens(9, 9, 4)]


# What comes in


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "I", "I;16", "F", "CMYK", "YCbCr", "RGBA", "HSV", "LAB"])
def test_any_mode_is_what_pillow_makes_of_it(mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64))
        assert image.mode == mode
    elif mode == "LAB":
        image = Image.frombytes("LAB", (64, 64), noise(64, 64).tobytes())
    else:
        image = noise(64, 64).convert(mode)
    given, before = process(image), image.tobytes()
    assert torch.equal(given["pixel_values"], process(image.convert("RGB"))["pixel_values"])
    assert image.tobytes() == before


def test_arrays_are_images() -> None:
    colour, gray = np.array(noise(40, 30)), np.array(noise(40, 30).convert("L"))
    expected = process([noise(40, 30), noise(40, 30).convert("L")])["pixel_values"]
    assert torch.equal(process([colour, gray])["pixel_values"], expected)
    assert torch.equal(process(colour)["pixel_values"], process((colour,))["pixel_values"])
    assert torch.equal(process(np.asfortranarray(colour[::-1, ::-1])[::-1, ::-1])["pixel_values"], expected[:5])


def test_exif_orientation_is_a_choice(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    noise(80, 40).save(tmp_path / "turned.png", exif=exif)
    stored, upright = noise(80, 40), noise(80, 40).transpose(Image.Transpose.ROTATE_270)
    for choice, expected in ((False, stored), (True, upright)):
        with Image.open(tmp_path / "turned.png") as image:
            batch = process(image, exif_orientation=choice)
        assert batch["image_sizes"].tolist() == [list(hd_size(*expected.size, 4)[::-1])]
        assert torch.equal(batch["pixel_values"], process(expected)["pixel_values"])
        with Image.open(tmp_path / "turned.png") as image:
            of_the_call = Phi3VImageProcessor(exif_orientation=not choice)(image, exif_orientation=choice)
        assert torch.equal(of_the_call["pixel_values"], batch["pixel_values"])
    assert torch.equal(process(stored, exif_orientation=True)["pixel_values"], process(stored)["pixel_values"])


def test_a_background_for_alpha_is_a_choice() -> None:
    image = noise(40, 40).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((40, 40)))
    background = Image.new("RGB", image.size, (255, 0, 0))
    background.paste(image, mask=image)
    laid = to_rgb(image, alpha_background=(255, 0, 0))
    assert np.abs(np.array(laid, np.int16) - np.array(background, np.int16)).max() <= 1
    assert torch.equal(process(image)["pixel_values"], process(noise(40, 40))["pixel_values"])
    assert torch.equal(process(image, alpha_background="red")["pixel_values"], process(laid)["pixel_values"])
    of_the_call = Phi3VImageProcessor(alpha_background="blue")(image, alpha_background="red")
    assert torch.equal(of_the_call["pixel_values"], process(laid)["pixel_values"])
    assert torch.equal(
        process(noise(9, 9), alpha_background="red")["pixel_values"], process(noise(9, 9))["pixel_values"]
    )


def test_a_transparent_colour_of_a_palette_is_laid_on_the_background(tmp_path: Path) -> None:
    Image.new("P", (40, 40), 7).save(tmp_path / "clear.gif", transparency=7)
    with Image.open(tmp_path / "clear.gif") as image:
        assert image.mode == "P"
        assert to_rgb(image, alpha_background=(1, 2, 3)).getcolors() == [(1600, (1, 2, 3))]


# What is refused


@pytest.mark.parametrize("size", [(1400, 1), (1, 1400)])
def test_an_image_too_thin_is_named(size: tuple[int, int], tmp_path: Path) -> None:
    shape = f"{size[0]}x{size[1]}"
    with pytest.raises(ImpossibleSize, match=rf"^image 2 of 3: an image of {shape} pixels is too thin: at num_crops 4"):
        process([noise(9, 9), noise(*size), noise(9, 9)])
    noise(*size).save(tmp_path / "thin.png")
    with Image.open(tmp_path / "thin.png") as image, pytest.raises(ImpossibleSize, match=rf"thin\.png: .*{shape}"):
        process([noise(9, 9), image])


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    noise(200, 200).save(path)
    path.write_bytes(path.read_bytes()[:20_000])
    with (
        Image.open(path) as image,
        pytest.raises(UnreadableImage, match=r"cut\.png cannot be read: .*truncated") as info,
    ):
        process(image)
    assert isinstance(info.value, Phi3VError)
    assert isinstance(info.value, OSError)
    assert str(pickle.loads(pickle.dumps(info.value))) == str(info.value)


def test_a_closed_file_is_named(tmp_path: Path) -> None:
    noise(9, 9).save(tmp_path / "closed.png")
    with Image.open(tmp_path / "closed.png") as image:
        pass
    with pytest.raises(UnreadableImage, match=r"closed\.png cannot be read: .*closed"):
        process(image)


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        ([], ValueError, "no images"),
        ("a.png", TypeError, "image 1 of 1 is a str"),
        ([noise(9, 9), None], TypeError, "image 2 of 2 is a NoneType"),
        ([[noise(9, 9)]], TypeError, "image 1 of 1 is a list"),
        (torch.zeros(9, 9), TypeError, "image 1 of 1 is a Tensor"),
        (np.zeros((9, 9, 3)), ValueError, r"array of float64 and shape \(9, 9, 3\)"),
        (np.zeros((3, 9, 9), np.uint8), ValueError, r"array of uint8 and shape \(3, 9, 9\)"),
        (np.zeros((2, 9, 9, 3), np.uint8), ValueError, r"shape \(2, 9, 9, 3\)"),
        (np.zeros((0, 9, 3), np.uint8), ImpossibleSize, "image 1 of 1: an image of 9x0 pixels"),
    ],
)
def test_what_is_not_an_image_is_named(images: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        process(images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_crops": 0}, "num_crops is 0"),
        ({"num_crops": 2.5}, r"num_crops is 2\.5"),
        ({"num_crops": True}, "num_crops is True"),
        ({"num_crops": "4"}, "num_crops is '4'"),
        ({"pad_crops": True, "do_normalize": False}, "pad_crops is True and do_normalize is False"),
        ({"image_mean": [0.5] * 3, "do_normalize": False}, "not CLIP's"),
        ({"num_img_tokens": 256}, "num_img_tokens is 256"),
        ({"do_convert_rgb": False}, "do_convert_rgb is False"),
        ({"image_mean": [0.5]}, "one value each"),
        ({"alpha_background": "no such colour"}, "no such colour"),
        ({"alpha_background": (0, 0, 256)}, "alpha_background is"),
        ({"alpha_background": "#ffffff80"}, "alpha_background is"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Phi3VImageProcessor(**options)


def test_impossible_options_of_a_call_are_refused() -> None:
    processor = Phi3VImageProcessor(pad_crops=True)
    with pytest.raises(ValueError, match="pad_crops is True and do_normalize is False"):
        processor(noise(9, 9), do_normalize=False)
    with pytest.raises(ValueError, match="num_crops is 0"):
        processor(noise(9, 9), num_crops=0)
    with pytest.raises(ValueError, match="alpha_background is"):
        processor(noise(9, 9), alpha_background=(0, 0, 256))
    with pytest.raises(TypeError, match="num_crop"):
        processor(noise(9, 9), num_crop=16)


# Saved and loaded

LIKE_THE_HUB = {
    "auto_map": {"AutoImageProcessor": "some_file.Phi3VImageProcessor", "AutoProcessor": "some_file.Phi3VProcessor"},
    "do_convert_rgb": True,
    "image_mean": [0.1, 0.2, 0.3],
    "image_processor_type": "Phi3VImageProcessor",
    "image_std": [0.4, 0.5, 0.6],
    "num_crops": 16,
    "num_img_tokens": 144,
    "processor_class": "Phi3VProcessor",
}


@pytest.mark.skipif(not HUB.exists(), reason="the checkpoint's data files are not beside this checkout")
def test_the_hubs_configuration_is_the_default() -> None:
    assert Phi3VImageProcessor.from_pretrained(HUB).to_dict() == Phi3VImageProcessor().to_dict()


def test_every_option_survives_saving(tmp_path: Path) -> None:
    processor = Phi3VImageProcessor(
        num_crops=9,
        image_mean=(0.1, 0.2, 0.3),
        image_std=(0.4, 0.5, 0.6),
        exif_orientation=True,
        alpha_background="white",
    )
    processor.save_pretrained(tmp_path)
    loaded = Phi3VImageProcessor.from_pretrained(tmp_path)
    assert loaded.to_dict() == processor.to_dict()
    assert loaded.alpha_background == (255, 255, 255)
    assert pickle.loads(pickle.dumps(loaded)).to_dict() == processor.to_dict()
    for option in ({"pad_crops": True}, {"do_normalize": False}):
        Phi3VImageProcessor(**option).save_pretrained(tmp_path)
        assert Phi3VImageProcessor.from_pretrained(tmp_path).to_dict().items() >= option.items()


def test_a_saved_option_can_be_set_when_loading(tmp_path: Path) -> None:
    Phi3VImageProcessor().save_pretrained(tmp_path)
    chosen: Phi3VImagesKwargs = {"num_crops": 16, "alpha_background": [9, 9, 9], "exif_orientation": True}
    validate_typed_dict(Phi3VImagesKwargs, chosen)
    loaded = Phi3VImageProcessor.from_pretrained(tmp_path, **chosen)
    assert (loaded.num_crops, loaded.alpha_background, loaded.exif_orientation) == (16, (9, 9, 9), True)


def test_transformers_finds_it_without_remote_code(tmp_path: Path) -> None:
    class SomeConfig(PreTrainedConfig):
        model_type = "phi3v_of_the_image_processors_test"

    (tmp_path / "preprocessor_config.json").write_text(json.dumps(LIKE_THE_HUB))
    kinds = dict.fromkeys(("pil", "torchvision"), Phi3VImageProcessor)
    AutoImageProcessor.register(SomeConfig, image_processor_classes=kinds)
    loaded = AutoImageProcessor.from_pretrained(tmp_path)
    assert type(loaded) is Phi3VImageProcessor
    assert (loaded.num_crops, loaded.image_mean, loaded.image_std) == (16, [0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
    loaded.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert "auto_map" not in saved
    assert type(AutoImageProcessor.from_pretrained(tmp_path, num_crops=2)) is Phi3VImageProcessor
