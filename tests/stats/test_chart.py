"""The picture: written whole or not at all, whatever the data hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from phi3v_data.errors import CannotRun, UsageError
from phi3v_data.stats.chart import draw
from phi3v_data.stats.collect import collect
from phi3v_data.stats.lettering import Lettering
from tests.formats.shards import line, write_dataset
from tests.helpers import run_python
from tests.stats.figures import known

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

ODD = ["猫" * 40, "قط عربي", "שלום עולם", "a\nb", "W" * 90, "$\\frac{$", "a $cost$ of $x_1$", "🙂", "<script>", "é"]


def drawn(data: Path, path: Path) -> NDArray[np.uint8]:
    """Draw a dataset; returns the pixels of the picture, (1200, 1800, 3)."""
    draw(collect(data), path)
    with Image.open(path) as image:
        assert (image.format, image.size) == ("PNG", (1800, 1200))
        return np.asarray(image.convert("RGB"))


def test_the_bars_and_marks_are_there(tmp_path: Path) -> None:
    pixels = drawn(known(tmp_path), tmp_path / "stats.png")
    colours = set(map(tuple, pixels.reshape(-1, 3).tolist()))
    assert {(0x1F, 0x5F, 0xA8), (0xC2, 0x54, 0x1B)} <= colours


@pytest.mark.parametrize("number", [10, 500])
def test_names_of_any_kind_stay_inside_the_picture(tmp_path: Path, number: int) -> None:
    names = [*ODD, *(f"class {place}" for place in range(number - len(ODD)))]
    lines = [line(str(place), "a.png", answer=name) for place, name in enumerate(names * 2)]
    pixels = drawn(write_dataset(tmp_path / "$data$", {"train": lines}, ["a.png"]), tmp_path / "stats.png")
    for edge in (pixels[:8], pixels[-8:], pixels[:, :8], pixels[:, -8:]):
        assert (edge == 255).all()


def test_a_dollar_sign_begins_no_formula(tmp_path: Path) -> None:
    from matplotlib.text import Text

    text = Text(0, 0, "$x$")
    Lettering().write(text)
    assert not text.get_parse_math()


def test_what_no_font_has_is_escaped() -> None:
    assert Lettering().fit("a\U0010fffdb", 80) == "a\\U0010fffdb"
    assert Lettering().fit("naïve שלום", 80) == "naïve שלום"


def test_no_records_make_a_picture(tmp_path: Path) -> None:
    pixels = drawn(write_dataset(tmp_path, {"train": []}), tmp_path / "stats.png")
    assert pixels.min() < 100


def test_where_it_cannot_be_written_is_said_in_a_sentence(tmp_path: Path) -> None:
    stats = collect(known(tmp_path))
    with pytest.raises(UsageError, match=r"there is no folder .*gone to write x\.png into"):
        draw(stats, tmp_path / "gone" / "x.png")
    with pytest.raises(UsageError, match="is a folder: name the PNG file"):
        draw(stats, tmp_path)
    with pytest.raises(CannotRun, match="name too long"):
        draw(stats, tmp_path / ("x" * 250 + ".png"))
    records = tmp_path / "lines" / "toy_train.jsonl"
    before = records.read_bytes()
    with pytest.raises(UsageError, match=r"is not by its name: call it NAME\.png"):
        draw(stats, records)
    assert records.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"lines"}


def test_figures_need_no_matplotlib() -> None:
    code = (
        "import sys, phi3v_data.stats.collect, phi3v_data.stats.output, phi3v_data.stats.chart; print([*sys.modules])"
    )
    assert "matplotlib" not in run_python("-c", code).stdout
