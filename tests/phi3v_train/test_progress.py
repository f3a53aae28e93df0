"""What a run shows of itself: lines of figures and a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from phi3v_train.chart import draw_training
from phi3v_train.progress import figures_line

if TYPE_CHECKING:
    from pathlib import Path


def test_a_line_of_figures() -> None:
    figures = {"loss": 1.23456, "learning_rate": 4e-5, "tokens_per_second": 12345.6, "images_per_second": 7, "epoch": 1}
    assert figures_line(7, 120, figures) == "step   7/120  loss 1.2346  lr 4.00e-05  12,346 tokens/s  7.0 images/s"
    assert figures_line(120, 120, {"eval_loss": 0.5}) == "step 120/120  evaluation loss 0.5000"


@pytest.mark.parametrize(
    "history",
    [
        [],
        [{"step": 1, "loss": 2.0, "learning_rate": 1e-5}],
        [{"step": step, "loss": 1 / step, "learning_rate": 1e-5} for step in range(1, 500)],
        [{"step": 1, "eval_loss": 1.0}, {"step": 2, "loss": float("nan"), "learning_rate": 0.0}],
    ],
    ids=["nothing yet", "one step", "many steps", "no number"],
)
def test_a_picture_of_any_run(tmp_path: Path, history: list[dict[str, Any]]) -> None:
    draw_training(history, tmp_path / "training.png")
    with Image.open(tmp_path / "training.png") as picture:
        picture.load()
        assert picture.format == "PNG" and min(picture.size) > 500
    assert [path.name for path in tmp_path.iterdir()] == ["training.png"]
