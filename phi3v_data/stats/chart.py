"""The figures as a picture: tokens, images and their sizes, and classes or turns."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

from phi3v_data.errors import CannotRun, UsageError
from phi3v_data.extras import require
from phi3v_data.fs import explain_os_error, write_atomic
from phi3v_data.printable import counted
from phi3v_data.stats.cells import label
from phi3v_data.stats.lettering import Lettering

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.stats.histogram import Histogram
    from phi3v_data.stats.result import Stats
    from phi3v_data.stats.tally import Answers, Pictures

__all__ = ["draw", "prepare"]

_BARS, _MARKS, _FAINT, _TEXT = "#1f5fa8", "#c2541b", "#8a8a8a", "#444444"
_INCHES, _DOTS = (12, 8), 150
_TITLE, _LABEL = 90, 22  # columns
_BELOW_LEGEND = 0.7  # of the height
_BINS = 40
_CLASSES = 20
_DOTS_DRAWN = 5000
_DOT, _LARGEST_DOT, _SPREAD_DOTS = 12, 400, 2000  # points squared: at least, at most, and all dots together
_FAR = 20  # times: sides that differ more are drawn on a logarithmic scale


def prepare(path: Path) -> None:
    """Raise what would keep `draw` from writing, before hours have gone into the figures.

    Args:
        path: The PNG file that is to be written.

    Raises:
        MissingExtra: matplotlib is not installed.
        UsageError: It is not called a PNG file, or there is no such folder, or none that may be written to.
    """
    require("matplotlib", extra="stats", purpose="a chart")
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name the PNG file to write")
    if path.suffix.lower() != ".png":  # it may be a file of records
        raise UsageError(f"the figures are drawn as a PNG file, which {path} is not by its name: call it NAME.png")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} to write {path.name} into: make it, or name another")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UsageError(f"the folder {path.parent} may not be written to: name another for {path.name}")


def draw(stats: Stats, path: Path) -> None:
    """Draw the figures of all splits together as a PNG file of 1800 by 1200 pixels.

    Args:
        stats: What `collect` returned.
        path: The file to write.

    Raises:
        MissingExtra: matplotlib is not installed.
        UsageError: As `prepare`.
        CannotRun: The file cannot be written.
    """
    prepare(path)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    whole, lettering = stats.whole, Lettering()
    figure = Figure(figsize=_INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.15, h_pad=0.15)  # type: ignore[union-attr,call-arg]
    (tokens, sizes), (images, answers) = figure.subplots(2, 2)
    title = f"{lettering.fit(str(stats.data), _TITLE)}: {counted(whole.records, 'record')}"
    lettering.write(figure.suptitle(title, fontsize=13, color=_TEXT, x=0.01, ha="left"))
    _draw_tokens(tokens, stats)
    _draw_sizes(sizes, whole.pictures)
    _draw_bars(images, whole.images, "images of a record")
    if whole.answers.classes:
        _draw_classes(answers, whole.answers, lettering)
    else:
        _draw_bars(answers, whole.turns, "turns of a record")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=_DOTS)
    try:
        write_atomic(path, picture.getvalue())
    except OSError as error:
        raise CannotRun(explain_os_error(error, path.parent)) from None


def _draw_tokens(axes: Any, stats: Stats) -> None:
    tokens = stats.whole.tokens
    how = "" if stats.setting.tokenizer else ", texts estimated"
    how += "" if stats.setting.measures else ", images at their least"
    _draw_bars(axes, tokens, f"tokens of a record{how}")
    if tokens.mean is None:
        return
    for share, style in ((0.5, "-"), (0.95, "--")):
        value = tokens.quantile(share)
        axes.axvline(
            value,
            ymax=_BELOW_LEGEND,
            color=_MARKS,
            linestyle=style,
            linewidth=1.5,
            label=f"p{share * 100:.0f}: {value:,}",
        )
    axes.plot([], [], " ", label=f"mean: {tokens.mean:,.0f}, most: {tokens.most:,}")
    axes.set_ylim(top=axes.get_ylim()[1] / _BELOW_LEGEND)
    _explain(axes)


def _draw_bars(axes: Any, histogram: Histogram, title: str) -> None:
    """Draw how many records there are of each value; the last bar, which may stand for far more values, is grey."""
    _furnish(axes, title)
    axes.set_ylabel("records", color=_TEXT)
    if not (bins := histogram.bins(_BINS)):
        _say(axes, "no records")
        return
    width = bins[0].high - bins[0].low + 1
    if is_open := len(bins) > 1 and bins[-1].high - bins[-1].low + 1 > width:
        rest = bins.pop()
        axes.bar(rest.low - 0.5, rest.number, width, align="edge", color=_FAINT, label=f"{rest.low:,} and more")
        _explain(axes)
    axes.bar(
        [item.low - 0.5 for item in bins],
        [item.number for item in bins],
        width,
        align="edge",
        color=_BARS,
        edgecolor="white",
        linewidth=0.5,
    )
    spare = max(width, 2 if len(bins) == 1 else 0)
    axes.set_xlim(max(bins[0].low - 0.5 - spare, -0.5 - 0.4 * width), bins[-1].high + 0.5 + spare + width * is_open)


def _draw_sizes(axes: Any, pictures: Pictures) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    _furnish(axes, "sizes of images: the larger a dot, the more images")
    axes.set_xlabel("width in pixels", color=_TEXT)
    axes.set_ylabel("height in pixels", color=_TEXT)
    if not pictures.sizes:
        _say(axes, "no image sizes")
        return
    sizes, numbers = zip(*pictures.sizes.most_common(_DOTS_DRAWN), strict=True)
    widths, heights = zip(*sizes, strict=True)
    areas = [_DOT + min(_LARGEST_DOT, _SPREAD_DOTS * number / len(pictures.widths)) for number in numbers]
    axes.scatter(widths, heights, areas, color=_BARS, alpha=0.4, linewidth=0)
    if max(widths) > _FAR * min(widths) or max(heights) > _FAR * min(heights):
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:,.0f}")
            axis.set_minor_locator(NullLocator())
    else:
        axes.set_xlim(0, max(widths) * 1.15)
        axes.set_ylim(0, max(heights) * 1.15)


def _draw_classes(axes: Any, answers: Answers, lettering: Lettering) -> None:
    ranked = answers.ranked()
    names, numbers = zip(*ranked[:_CLASSES], strict=True)
    what = f"{len(names)} of {len(ranked):,} classes" if len(names) < len(ranked) else "classes"
    _furnish(axes, f"{what}, largest to smallest {answers.imbalance:,.1f} : 1")
    axes.grid(visible=False, axis="y")
    bars = axes.barh(range(len(names)), numbers, color=_BARS, height=0.75)
    axes.bar_label(bars, labels=[f"{number:,}" for number in numbers], padding=3, fontsize=8, color=_TEXT)
    axes.set_yticks(range(len(names)), [lettering.fit(label(name), _LABEL) for name in names], fontsize=8)
    for text in axes.get_yticklabels():
        lettering.write(text)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlim(left=0)
    axes.set_xlabel("records", color=_TEXT)


def _furnish(axes: Any, title: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(title, loc="left", fontsize=10, color=_TEXT)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, nbins=8, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter("{x:,.0f}")
    axes.grid(visible=True, alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=_TEXT, length=0)


def _explain(axes: Any) -> None:
    axes.legend(loc="upper right", frameon=False, labelcolor=_TEXT, fontsize=9)


def _say(axes: Any, words: str) -> None:
    """Say in an empty panel why it is."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", color=_FAINT)
