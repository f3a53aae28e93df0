"""`training.png`: the losses and the learning rate of a run, to look at."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from phi3v_data.fs import write_atomic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["draw_training"]

_LOSS, _EVAL, _RATE, _TEXT = "#1f5fa8", "#c2541b", "#8a8a8a", "#444444"
_FEW = 60  # points that are still told apart


def draw_training(history: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the figures of a run over its steps.

    Args:
        history: Entries with `step` and any of `loss`, `eval_loss` and `learning_rate`.
        path: The PNG file to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    _draw_loss(above, *_points(history, "loss"))
    steps, values = _points(history, "eval_loss")
    if len(steps):
        above.plot(steps, values, color=_EVAL, marker="o", markersize=4, label="evaluation")
    steps, values = _points(history, "learning_rate")
    below.plot(steps, values, color=_RATE)
    below.fill_between(steps, values, color=_RATE, alpha=0.15, linewidth=0)
    above.legend(frameon=False, labelcolor="linecolor")
    for axes, title in ((above, "loss per token"), (below, "learning rate")):
        _furnish(axes, title)
    below.set_ylim(bottom=0)
    below.set_xlabel("step", color=_TEXT)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=150)
    write_atomic(path, picture.getvalue())


def _draw_loss(axes: Any, steps: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    """Draw few points as they are, and of many their moving mean before the noise."""
    if len(values) <= _FEW:
        axes.plot(steps, values, color=_LOSS, marker="o", markersize=3, label="training")
        return
    window = np.ones(len(values) // 30)
    mean = np.convolve(values, window, "same") / np.convolve(np.ones(len(values)), window, "same")
    axes.plot(steps, values, color=_LOSS, alpha=0.25, linewidth=0.8)
    axes.plot(steps, mean, color=_LOSS, linewidth=2, label="training")


def _points(history: Sequence[dict[str, Any]], key: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    points = [(entry["step"], entry[key]) for entry in history if key in entry]
    steps, values = np.array(points, dtype=np.float64).reshape(-1, 2).T
    return steps, values


def _furnish(axes: Any, title: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(title, loc="left", fontsize=10, color=_TEXT)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(visible=True, alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=_TEXT, length=0)
