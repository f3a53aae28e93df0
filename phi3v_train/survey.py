"""The lengths of all records of a split: every one is looked at, in several processes where that takes long."""

from __future__ import annotations

import os
import signal
import threading
from bisect import bisect_right
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from heapq import nlargest
from itertools import accumulate
from multiprocessing import get_context, parent_process
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from phi3v_data.errors import CannotRun
from phi3v_train.data_plan import Kept, LengthSummary

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from phi3v_train.lengths import Length, Measure, Scan

__all__ = ["Survey", "estimate_lengths", "summarise", "survey_records"]

_STRETCH = 4096
_LONG = 4.0  # seconds, which are worth the start of processes
_MOST_PROCESSES = 16
_DRAWN = 2000
_LOOKED_LONGEST = 16


class Survey(NamedTuple):
    """What is known of the lengths of a split's records.

    Attributes:
        measure: Measures single ones.
        too_long: Positions of those over the limit, ascending.
        tokens: The exact lengths of the same.
        left_out: Those of them that are not trained on: all or none.
        kept: The others.
        longest: Positions of some among those that fit that may be the longest.
        texts: Bounds of the texts' tokens; empty unless all lengths are wanted.
        images: Tokens of the images; likewise.
    """

    measure: Measure
    too_long: NDArray[np.uint32]
    tokens: NDArray[np.uint32]
    left_out: NDArray[np.uint32]
    kept: Kept
    longest: list[int]
    texts: NDArray[np.uint32]
    images: NDArray[np.uint32]


def survey_records(measure: Measure, *, drops: bool) -> Survey:
    """Look at all records of a split.

    Args:
        measure: Measures them.
        drops: Whether those that are too long are left out.

    Raises:
        BadData: A record cannot be trained on.
        CannotRun: A process was ended from outside.
    """
    scans = list(_scans(measure))
    too_long = _joined(scan.too_long for scan in scans)
    left_out = too_long if drops else too_long[:0]
    longest = nlargest(_LOOKED_LONGEST, (scan.longest for scan in scans if scan.longest))
    return Survey(
        measure,
        too_long,
        _joined(scan.tokens for scan in scans),
        left_out,
        Kept(len(measure), left_out),
        [position for _, position in longest],
        _joined(scan.texts for scan in scans),
        _joined(scan.images for scan in scans),
    )


def summarise(surveys: Sequence[Survey], seed: int) -> tuple[LengthSummary, float]:
    """Measure some records exactly.

    Args:
        surveys: One for each dataset; they hold a record at least.
        seed: Decides which records.

    Returns:
        The summary, and how many tokens a text has for each of its bound.
    """
    drawn = _draw(surveys, seed)
    looked_longest = [survey.measure.length(position) for survey in surveys for position in survey.longest]
    limit = surveys[0].measure.limit
    longest = [min(length.tokens, limit) for length in (*drawn, *looked_longest)]
    longest += [limit for survey in surveys if len(survey.too_long) > len(survey.left_out)]  # cut to that
    tokens = np.minimum([length.tokens for length in drawn], limit)
    shortest, median, p95 = np.quantile(tokens, [0, 0.5, 0.95], method="inverted_cdf").tolist()
    all_tokens, image_tokens = sum(length.tokens for length in drawn), sum(length.image_tokens for length in drawn)
    summary = LengthSummary(
        shortest=shortest,
        median=median,
        p95=p95,
        longest=max(longest),
        image_share=image_tokens / all_tokens,
        images=sum(length.images for length in drawn) / len(drawn),
        most_crops=max(length.crops for length in (*drawn, *looked_longest)),
    )
    return summary, (all_tokens - image_tokens) / sum(length.text_bound for length in drawn)


def estimate_lengths(surveys: Sequence[Survey], tokens_per_bound: float) -> NDArray[np.uint32]:
    """Return the lengths of all records that are trained on, those of texts estimated."""
    lengths = [
        np.delete(np.minimum(survey.images + survey.texts * tokens_per_bound, survey.measure.limit), survey.left_out)
        for survey in surveys
    ]
    return np.concatenate(lengths).astype(np.uint32)


def _draw(surveys: Sequence[Survey], seed: int) -> list[Length]:
    ends = list(accumulate(len(survey.kept) for survey in surveys))
    indices = np.random.default_rng(seed).choice(ends[-1], min(ends[-1], _DRAWN), replace=False, shuffle=False)
    lengths = []
    for index in np.sort(indices).tolist():
        number = bisect_right(ends, index)
        survey = surveys[number]
        lengths.append(survey.measure.length(survey.kept.position(index - (ends[number - 1] if number else 0))))
    return lengths


def _joined(parts: Iterable[array[int]]) -> NDArray[np.uint32]:
    return np.concatenate([np.empty(0, np.uint32), *(np.asarray(part, np.uint32) for part in parts)])


def _scans(measure: Measure) -> Iterator[Scan]:
    """Scan stretch by stretch, and give the others to processes if the first took long."""
    count = len(measure)
    stretches = [range(start, min(start + _STRETCH, count)) for start in range(0, count, _STRETCH)]
    started = perf_counter()
    yield from map(measure.scan, stretches[:1])
    processes = min(os.cpu_count() or 1, _MOST_PROCESSES)
    if processes == 1 or (perf_counter() - started) * len(stretches[1:]) < _LONG:
        yield from map(measure.scan, stretches[1:])
    else:
        yield from _in_processes(measure, stretches[1:], processes)


def _in_processes(measure: Measure, stretches: Iterable[range], processes: int) -> Iterator[Scan]:
    pool = ProcessPoolExecutor(processes, get_context("spawn"), initializer=_begin, initargs=(measure,))
    try:
        yield from pool.map(_scan, stretches)
    except BrokenProcessPool:
        raise CannotRun(
            "a process that looked at the data was ended from outside, as for want of memory: free some and start again"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_begun: list[Measure] = []


def _begin(measure: Measure) -> None:
    """Get a process ready: an interruption is its parent's to handle, and it does not outlive its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _begun.append(measure)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _scan(positions: range) -> Scan:
    return _begun[0].scan(positions)
