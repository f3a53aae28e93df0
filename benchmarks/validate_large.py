"""Ours alone on much data, for benchmarks/validate.py: many records, and one large file of duplicates."""

from __future__ import annotations

import filecmp
from typing import TYPE_CHECKING

from validate_data import KINDS, repeat_file, write_lines, write_small
from validate_run import ours, peaks, run

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = 100_000_000  # bytes that are repeated


def report_memory(work: Path, records: int) -> None:
    """Print the most memory that each process of ours held, for few records and for many."""
    few, many = work / "few_train.jsonl", work / "many_train.jsonl"
    write_small(few, 1000)
    write_small(many, records)
    print(f"\nmemory, {records:,} records\n{'':22}        s  each process, peak MB  more bytes a record than for 1,000")
    for workers in (1, 2):
        contender = ours("", workers=workers)
        _, base = peaks(contender, few)
        seconds, held = peaks(contender, many)
        each = 1e6 * (max(held) - max(base)) / records
        print(
            f"{f'workers: {workers}':22}{seconds:9.1f}  {', '.join(f'{mb:.0f}' for mb in held):>22}{each:10.1f}",
            flush=True,
        )


def report_big(work: Path, gigabytes: float) -> None:
    """Print what a file of many duplicates takes, and whether 1 and 2 workers say the same of it."""
    block, data = work / "block.jsonl", work / "big_train.jsonl"
    line_size = len(KINDS["ucf101"](0))
    write_lines(block, "ucf101", _BLOCK // line_size)
    repeat_file(data, block, int(gigabytes * 1e9))
    block.unlink()
    size = data.stat().st_size
    print(f"\none file of {size / 1e9:.1f} GB, of which 100 MB again and again\n{'':30}s     MB/s   CPU s  peak MB")
    one, two = work / "1.json", work / "2.json"
    for workers, output in ((1, one), (2, two)):
        wall, cpu, peak = run(ours("", workers=workers), data, output)
        print(f"{f'workers: {workers}':22}{wall:9.1f}{size / 1e6 / wall:9.0f}{cpu:8.1f}{peak:9.0f}", flush=True)
    print(f"findings of 1 and 2 workers: {'the same bytes' if filecmp.cmp(one, two, shallow=False) else 'DIFFERENT'}")
