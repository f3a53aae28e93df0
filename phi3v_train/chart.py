"""`training.png`: the loss and the learning rate of a run, to look at."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from phi3v_data.fs import write_atomic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["draw_training"]

_LOSS, _EVAL, _RATE = "#1f5fa8", "#c2541b", "#777777"


def draw_training(history: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the figures of a run over its steps.

    Args:
        history: Entries with `step` and any of `loss`, `eval_loss` and `learning_rate`.
        path: The PNG file to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    _line(above, history, "loss", _LOSS, "training loss")
    _line(above, history, "eval_loss", _EVAL, "evaluation loss", marker="o")
    above.set_ylabel("loss per token")
    if above.lines:
        above.legend(frameon=False)
    _line(below, history, "learning_rate", _RATE, "learning rate")
    below.set_ylabel("learning rate")
    below.set_xlabel("step")
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (above, below):
        axes.grid(visible=True, alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    write_atomic(path, picture.getvalue())


def _line(axes: Any, history: Sequence[dict[str, Any]], key: str, colour: str, label: str, marker: str = "") -> None:
    points = [(entry["step"], entry[key]) for entry in history if key in entry]
    if not points:
        return
    steps, values = zip(*points, strict=True)
    axes.plot(steps, values, color=colour, label=label, marker=marker or ("." if len(points) < 30 else ""))
