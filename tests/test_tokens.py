"""The token count against the reference's own table, and against its loop on any size."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from phi3v_data.errors import Phi3VError
from phi3v_data.tokens import CROP, ImpossibleSize, hd_size, image_tokens, scaled_size

GOLDEN = Path(__file__).parent / "golden" / "size_to_tokens.json"

sides = st.integers(1, 20_000)
crops = st.integers(1, 64)


def test_every_row_of_the_reference_table() -> None:
    rows = json.loads(GOLDEN.read_text())["rows"]
    assert len(rows) > 100
    for width, height, num_crops, hd_width, hd_height, tokens in rows:
        assert hd_size(width, height, num_crops) == (hd_width, hd_height)
        assert image_tokens(width, height, num_crops) == tokens


def _reference(width: int, height: int, num_crops: int) -> tuple[int, int]:
    """Count the scale up from 1, as the reference does."""
    if width < height:
        return _reference(height, width, num_crops)[::-1]
    ratio = width / height
    scale = 1
    while scale * math.ceil(scale / ratio) <= num_crops:
        scale += 1
    new_width = (scale - 1) * CROP
    return new_width, math.ceil(int(new_width / ratio) / CROP) * CROP


@given(sides, sides, crops)
@example(1400, 1, 4)
@example(1, 1, 1)
def test_equals_the_reference_loop(width: int, height: int, num_crops: int) -> None:
    expected = _reference(width, height, num_crops)
    if 0 in expected:
        with pytest.raises(ImpossibleSize):
            hd_size(width, height, num_crops)
    else:
        assert hd_size(width, height, num_crops) == expected


@given(st.integers(1, 300), st.integers(1, 300), crops, st.integers(1, 50))
def test_equal_ratios_land_on_equal_sizes(width: int, height: int, num_crops: int, times: int) -> None:
    """Exact ratios are where a rounded bound would go wrong."""
    expected = _reference(width * times, height * times, num_crops)
    if 0 not in expected:
        assert hd_size(width * times, height * times, num_crops) == expected


@given(st.integers(50, 5000), st.integers(50, 5000), crops)
def test_grid_fits_and_turning_the_image_turns_the_grid(width: int, height: int, num_crops: int) -> None:
    padded_width, padded_height = hd_size(width, height, num_crops)
    assert padded_width % CROP == padded_height % CROP == 0
    assert (padded_width // CROP) * (padded_height // CROP) <= num_crops
    if width != height:
        assert hd_size(height, width, num_crops) == (padded_height, padded_width)


@pytest.mark.parametrize(
    ("size", "num_crops", "scaled"),
    [((1700, 2200), 16, (1038, 1344)), ((640, 480), 4, (672, 504)), ((100, 100), 1, (336, 336))],
)
def test_the_size_before_padding(size: tuple[int, int], num_crops: int, scaled: tuple[int, int]) -> None:
    assert scaled_size(*size, num_crops) == scaled
    assert hd_size(*size, num_crops) == tuple(math.ceil(side / CROP) * CROP for side in scaled)


@pytest.mark.parametrize(
    ("width", "height", "num_crops"), [(1400, 1, 4), (1, 1400, 4), (0, 5, 4), (5, -1, 4), (5, 5, 0)]
)
def test_impossible_sizes_are_named(width: int, height: int, num_crops: int) -> None:
    with pytest.raises(ImpossibleSize, match=f"{width}x{height}") as caught:
        image_tokens(width, height, num_crops)
    assert isinstance(caught.value, Phi3VError)
    assert isinstance(caught.value, ValueError)
