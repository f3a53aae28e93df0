"""The figures as one JSON document, whose every key docs/looking.md explains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phi3v_data.printable import unicode_of
from phi3v_data.stats.batches import batches_of, fit
from phi3v_data.stats.result import notes_of
from phi3v_schemas import SCHEMA_VERSION

if TYPE_CHECKING:
    from phi3v_data.stats.histogram import Histogram
    from phi3v_data.stats.result import Stats
    from phi3v_data.stats.tally import Answers, Pictures, Tally, Texts

__all__ = ["PERCENTILES", "document_of"]

PERCENTILES = (5, 25, 50, 75, 95, 99)
"""Those of the tokens that are told."""

_BINS = 40
_SIZES = 100


def document_of(stats: Stats) -> dict[str, Any]:
    """Return the document, of what JSON knows alone."""
    return {
        "schema_version": SCHEMA_VERSION,
        "data": unicode_of(str(stats.data)),
        "images": "header" if stats.setting.measures else "none",
        "tokens": "exact" if stats.setting.tokenizer else "estimated",
        "num_crops": stats.setting.num_crops,
        "max_length": stats.setting.max_length,
        "max_tokens": stats.max_tokens,
        "notes": notes_of(stats),
        "splits": {unicode_of(name): _figures(tally, stats) for name, tally in stats.splits.items()},
        "all": _figures(stats.whole, stats),
    }


def _figures(tally: Tally, stats: Stats) -> dict[str, Any]:
    images = {"records_without": tally.images.counts[0], "unreadable": tally.pictures.unreadable}
    return {
        "records": tally.records,
        "broken": tally.broken,
        "prompts": tally.prompts,
        "turns": _numbers(tally.turns),
        "images": _numbers(tally.images) | images,
        "pictures": _pictures(tally.pictures) if stats.setting.measures else None,
        "user": _texts(tally.user),
        "assistant": _texts(tally.assistant),
        "tokens": _tokens(tally),
        "batches": [
            {
                "records": batch.records,
                "expected_tokens": batch.expected,
                "p99_tokens": batch.p99,
                "worst_tokens": batch.worst,
                "padding": batch.padding,
            }
            for batch in batches_of(tally.tokens)
        ],
        "fit": None if stats.max_tokens is None else fit(tally.tokens, stats.max_tokens)._asdict(),
        **_classes(tally.answers),
    }


def _numbers(histogram: Histogram) -> dict[str, Any]:
    bins = [{"from": low, "to": high, "records": count} for low, high, count in histogram.bins(_BINS)]
    return {
        "total": histogram.total,
        "mean": histogram.mean,
        "min": histogram.least,
        "max": histogram.most,
        "histogram": bins,
    }


def _tokens(tally: Tally) -> dict[str, Any]:
    tokens = tally.tokens
    return _numbers(tokens) | {
        **{f"p{percent}": tokens.quantile(percent / 100) for percent in PERCENTILES},
        "of_images": tally.image_tokens,
        "image_share": tally.image_share,
        "over_max_length": tally.too_long,
    }


def _pictures(pictures: Pictures) -> dict[str, Any]:
    sizes = [
        {"width": width, "height": height, "images": count}
        for (width, height), count in pictures.sizes.most_common(_SIZES)
    ]
    return {
        "bytes": pictures.bytes,
        "width": _spread(pictures.widths),
        "height": _spread(pictures.heights),
        "megapixels": {
            name: None if value is None else value / 1000 for name, value in _spread(pictures.kilopixels).items()
        },
        "formats": dict(pictures.formats.most_common()),
        "sizes": sizes,
        "different_sizes": len(pictures.sizes),
    }


def _spread(histogram: Histogram) -> dict[str, int | None]:
    return {"min": histogram.least, "median": histogram.quantile(0.5), "max": histogram.most}


def _texts(texts: Texts) -> dict[str, int]:
    return {"texts": texts.number, "words": texts.words, "characters": texts.characters}


def _classes(answers: Answers) -> dict[str, Any]:
    if (classes := answers.classes) is None:
        return {"classes": None, "imbalance": None}
    total = classes.total()
    named = [{"name": name, "records": count, "share": count / total} for name, count in answers.ranked()]
    return {"classes": named, "imbalance": answers.imbalance}
