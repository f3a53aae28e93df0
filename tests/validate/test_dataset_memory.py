"""What the checks of a dataset as a whole may take: some bytes for each record, whatever the records are."""

from __future__ import annotations

import tracemalloc
from array import array
from typing import TYPE_CHECKING

import numpy as np
import pytest

from phi3v_data.image_folder import ImageFolder
from phi3v_data.validate.alike import check_alike
from phi3v_data.validate.allowed import Allowed
from phi3v_data.validate.contradictions import check_contradictions
from phi3v_data.validate.facts import DatasetFacts, FileSpan
from phi3v_data.validate.leaks import check_leaks
from phi3v_data.validate.result import Findings
from phi3v_data.validate.sameness import check_duplicates

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from phi3v_data.validate.columns import Column

RECORDS = 200_000
BYTES_A_RECORD = 64
BESIDES = 8 << 20  # blocks in work, and columns that begin in memory


def facts_of(folder: Path, columns: dict[str, np.ndarray]) -> DatasetFacts:
    """Return the facts of a dataset of two splits of which only the hashes are left."""
    facts, images = DatasetFacts(), ImageFolder(folder)
    for number, split in enumerate(("train", "val")):
        path = folder / f"toy_{split}.jsonl"
        path.write_bytes(b"\n")
        start = number * RECORDS // 2
        facts.files.append(FileSpan(str(path), path, split, start, images, False, [(start, 0)]))
    columns = {"ids": np.arange(1, RECORDS + 1), **columns}
    if "images" in columns:
        columns["image_places"] = np.arange(RECORDS)
    for name, values in columns.items():
        column: Column = getattr(facts, name)
        column.extend(array("Q", values.astype(np.uint64).tobytes()))
    return facts


def different() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 2**64 - 1, RECORDS, np.uint64)


def twice() -> np.ndarray:
    """Return values each of which is once in either split."""
    return np.tile(different()[: RECORDS // 2], 2)


IMAGES = ("images", "fingerprints", "likenesses")


@pytest.mark.parametrize(
    ("check", "columns"),
    [
        (lambda facts, findings: check_leaks(facts, findings, Allowed()), {"groups": twice}),
        (lambda facts, findings: check_leaks(facts, findings, Allowed()), dict.fromkeys(IMAGES, twice)),
        (lambda facts, findings: check_leaks(facts, findings, Allowed()), dict.fromkeys(IMAGES, different)),
        (check_duplicates, {"contents": twice}),
        (check_contradictions, {"questions": twice, "contents": different}),
        (lambda facts, findings: check_alike(facts, findings, Allowed()), dict.fromkeys(IMAGES, different)),
        (
            lambda facts, findings: check_alike(facts, findings, Allowed()),
            {
                "images": different,
                "fingerprints": different,
                "likenesses": lambda: np.full(RECORDS, 0x5555AAAA5555AAAA),
            },
        ),
    ],
    ids=["groups", "paths", "other images", "duplicates", "contradictions", "other pictures", "one likeness"],
)
def test_memory(
    tmp_path: Path,
    check: Callable[[DatasetFacts, Findings], None],
    columns: dict[str, Callable[[], np.ndarray]],
) -> None:
    facts = facts_of(tmp_path, {name: values() for name, values in columns.items()})
    tracemalloc.start()
    try:
        check(facts, Findings(10))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < BYTES_A_RECORD * RECORDS + BESIDES
