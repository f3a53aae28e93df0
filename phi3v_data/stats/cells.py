"""How single figures, and the names of classes, are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3v_data.printable import quote

if TYPE_CHECKING:
    from phi3v_data.stats.histogram import Bin, Histogram
    from phi3v_data.stats.tally import Texts

__all__ = ["NONE", "bar", "byte_size", "label", "number", "share", "side", "span", "spread", "words"]

NONE = "-"
"""Stands for a figure that there is none of."""

_BILLIONS = 10_000_000_000  # from here on they would fill a column
_EIGHTHS = " ▏▎▍▌▋▊▉"


def label(name: str) -> str:
    """Return the name of a class, in quotes where white space at its ends would make it look like another."""
    return name if name == name.strip() else quote(name)


def number(value: float | None) -> str:
    """Return a number without decimals."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if value < _BILLIONS else f"{value / 1e9:,.1f} bn"


def share(value: float | None) -> str:
    """Return a share as percents."""
    return NONE if value is None else f"{value:.1%}"


def words(texts: Texts) -> str:
    """Return how many words a text has on average."""
    return f"{texts.words / texts.number:,.1f}" if texts.number else NONE


def spread(histogram: Histogram) -> str:
    """Return from where to where values go."""
    least, most = histogram.least, histogram.most
    return number(least) if least == most else f"{number(least)} to {number(most)}"


def side(histogram: Histogram) -> str:
    """Return from where to where the sides of images go, and what lies in the middle."""
    middle = "" if histogram.least == histogram.most else f" (median {histogram.quantile(0.5):,})"
    return spread(histogram) + middle


def span(item: Bin) -> str:
    """Return what values a bin holds."""
    return f"{item.low:,}" if item.low == item.high else f"{item.low:,} to {item.high:,}"


def byte_size(size: int) -> str:
    """Return a size in bytes."""
    for unit, divisor in (("GB", 1e9), ("MB", 1e6)):
        if size >= divisor:
            return f"{size / divisor:,.1f} {unit}"
    return f"{size / 1e3:,.1f} kB"


def bar(part: float, columns: int, *, blocks: bool) -> str:
    """Return a bar, at least a trace of one for what is not nothing.

    Args:
        part: Of the whole, 0 to 1.
        columns: What the whole takes.
        blocks: Whether Unicode's block characters may be used.
    """
    eighths = max(round(part * columns * 8), int(part > 0))
    if not blocks:
        return "#" * -(-eighths // 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
