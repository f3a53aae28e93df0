"""The figures as text for a person: 80 columns wide, some sixty lines."""

from __future__ import annotations

from functools import partial
from itertools import zip_longest
from textwrap import wrap
from typing import TYPE_CHECKING

import click

from phi3v_data.printable import counted
from phi3v_data.stats.batches import batches_of, fit
from phi3v_data.stats.cells import NONE, bar, byte_size, label, number, share, side, span, spread, words
from phi3v_data.stats.document import PERCENTILES
from phi3v_data.stats.result import notes_of
from phi3v_data.stats.width import cut, left, right

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from phi3v_data.stats.result import Stats
    from phi3v_data.stats.tally import Tally

__all__ = ["lines_of"]

_WIDTH = 80
_LABEL, _COLUMN = 20, 12
_SPLITS = 4  # columns, besides that of all
_BINS, _BAR = 10, 44
_CASES = 18
_FREQUENT = 4  # sizes and formats
_CLASSES = 20
_NAME = 22  # columns of a class's name where two stand in a line
_NOTES = 10
_MUCH_PADDING = 0.1


def lines_of(stats: Stats, *, blocks: bool) -> Iterator[str]:
    """Yield the lines, without their ends.

    Args:
        stats: What was counted.
        blocks: Whether the output takes Unicode's block characters.
    """
    yield _head(cut(str(stats.data), _WIDTH))
    yield from _table(stats)
    yield from _histogram(stats, blocks=blocks)
    if stats.whole.images.total:
        yield from _images(stats)
    yield from _batches(stats)
    yield from _classes(stats.whole)
    yield from _notes(notes_of(stats))


def _table(stats: Stats) -> Iterator[str]:
    tallies = list(stats.splits.items())
    if len(tallies) != 1:
        tallies.insert(0, ("all", stats.whole))
    shown = tallies[: _SPLITS + 1]
    yield _head(" " * _LABEL + "".join("  " + right(name, _COLUMN - 2) for name, _ in shown))
    for name, figure in _rows(stats):
        yield f"{name:<{_LABEL}}" + "".join(f"{figure(tally):>{_COLUMN}}" for _, tally in shown)
    if more := len(tallies) - len(shown):
        yield f"and {counted(more, 'more split')}: --split NAME shows one, --format json all of them"


def _rows(stats: Stats) -> Iterator[tuple[str, Callable[[Tally], str]]]:
    yield "records", lambda tally: f"{tally.records:,}"
    yield "turns", lambda tally: f"{tally.turns.total:,}"
    if stats.whole.prompts:
        yield "without an answer", lambda tally: f"{tally.prompts:,}"
    yield "images", lambda tally: f"{tally.images.total:,}"
    yield "  records without", lambda tally: f"{tally.images.counts[0]:,}"
    yield "  of a record", lambda tally: spread(tally.images)
    yield "words of a question", lambda tally: words(tally.user)
    yield "words of an answer", lambda tally: words(tally.assistant)
    yield f"tokens{_accuracy(stats)}", lambda tally: number(tally.tokens.total)
    yield "  of images", lambda tally: share(tally.image_share)
    yield "  of a record: mean", lambda tally: number(tally.tokens.mean)
    yield "  least", lambda tally: number(tally.tokens.least)
    for percent in PERCENTILES:
        yield f"  p{percent}", partial(_percentile, percent)
    yield "  most", lambda tally: number(tally.tokens.most)
    yield f"  over {stats.setting.max_length:,}", lambda tally: f"{tally.too_long:,}"


def _percentile(percent: int, tally: Tally) -> str:
    return number(tally.tokens.quantile(percent / 100))


def _accuracy(stats: Stats) -> str:
    if not stats.setting.measures and stats.whole.images.total:
        return " (at least)"
    return "" if stats.setting.tokenizer else " (estimated)"


def _histogram(stats: Stats, *, blocks: bool) -> Iterator[str]:
    bins = stats.whole.tokens.bins(_BINS)
    if not bins:
        return
    yield from _section("tokens of a record")
    highest = max(item.number for item in bins)
    width = max(len(span(item)) for item in bins)
    for item in bins:
        drawn = bar(item.number / highest, _BAR, blocks=blocks)
        yield " ".join(filter(None, [f"{span(item):>{width}} ", drawn, f"{item.number:,}"]))


def _images(stats: Stats) -> Iterator[str]:
    yield from _section("images")
    bins = [item for item in stats.whole.images.bins(_CASES) if item.number]
    cases = [f"{span(item)} in {item.number:,}" for item in bins]
    yield from wrap(f"a record has {', '.join(cases)}", _WIDTH)
    pictures = stats.whole.pictures
    wide, high, area = pictures.widths, pictures.heights, pictures.kilopixels.quantile(0.5)
    if area is None:
        return
    yield f"{side(wide)} wide, {side(high)} high"
    formats = ", ".join(f"{name} {count:,}" for name, count in pictures.formats.most_common(_FREQUENT))
    yield f"median {area / 1000:,.2f} megapixels; {formats}; {byte_size(pictures.bytes)}"
    frequent = pictures.sizes.most_common(_FREQUENT)
    more = len(pictures.sizes) - len(frequent)
    sizes = ", ".join(f"{width}x{height} {count:,}" for (width, height), count in frequent)
    yield sizes + (f", and {more:,} more sizes" if more else "")


def _batches(stats: Stats) -> Iterator[str]:
    yield from _section("tokens of a batch on one device, padded to its longest, in random order")
    if not (batches := batches_of(stats.whole.tokens)):
        yield NONE
        return
    yield f"{'records':>9}{'expected':>14}{'99 of 100':>14}{'worst':>14}{'padding':>10}"
    for batch in batches:
        yield f"{batch.records:>9}{batch.expected:>14,.0f}{batch.p99:>14,}{batch.worst:>14,}{batch.padding:>10.1%}"
    if batches[-1].padding > _MUCH_PADDING:
        yield "phi3v-train --group_by_length pads less"
    if stats.max_tokens is not None:
        always, p99 = fit(stats.whole.tokens, stats.max_tokens)
        yield (
            f"{stats.max_tokens:,} tokens hold {counted(always, 'record')} always, "
            f"{counted(p99, 'record')} in 99 of 100 batches"
        )


def _classes(whole: Tally) -> Iterator[str]:
    ranked, total = whole.answers.ranked(), whole.records - whole.prompts
    if not ranked:
        return
    more_than_one = f"{len(ranked):,} classes; the largest has {whole.answers.imbalance:,.1f} times the smallest"
    yield from _section(more_than_one if len(ranked) > 1 else "1 class")
    cells = [f"{left(label(name), _NAME)}{count:>10,}{count / total:>7.1%}" for name, count in ranked[:_CLASSES]]
    half = (len(cells) + 1) // 2
    for beginning, end in zip_longest(cells[:half], cells[half:], fillvalue=""):
        yield f"{beginning}  {end}".rstrip()
    if more := len(ranked) - len(cells):
        yield f"and {more:,} more: --format json has them all"


def _notes(notes: list[str]) -> Iterator[str]:
    if notes:
        yield ""
    if len(notes) > _NOTES:
        notes = [*notes[: _NOTES - 1], f"and {len(notes) - _NOTES + 1:,} more: --format json has them all"]
    for note in notes:
        first, *others = wrap(note, _WIDTH - 6, break_long_words=False, break_on_hyphens=False)
        yield f"{click.style('note:', fg='cyan')} {first}"
        yield from ("      " + line for line in others)


def _section(title: str) -> Iterable[str]:
    return "", _head(title)


def _head(text: str) -> str:
    return click.style(text, bold=True)
