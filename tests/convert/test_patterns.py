"""Which files patterns choose, and which names are never chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from phi3v_data.convert.patterns import choose_by_pattern, usable_names

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.mark.parametrize(
    ("patterns", "files", "expected"),
    [
        (["a/*", "*"], ["b/x", "a/z", "a/y"], ("a/*", ["a/y", "a/z"])),
        (["a/*", "b/*"], ["b/x", "c/x"], ("b/*", ["b/x"])),
        (["*.parquet"], ["a/b/c.parquet", "c.parquet", "c.Parquet"], ("*.parquet", ["a/b/c.parquet", "c.parquet"])),
        (["data/*.parquet"], ["mydata/a.parquet", "Data/a.parquet"], None),
        ([], ["a"], None),
    ],
)
def test_the_first_pattern_that_fits_chooses(
    patterns: Sequence[str], files: Sequence[str], expected: tuple[str, list[str]] | None
) -> None:
    assert choose_by_pattern(patterns, usable_names(files)) == expected


def test_names_that_lead_out_or_hide_are_never_chosen() -> None:
    names = ["../a", "/a", "a/../b", "a\\b", "C:a", ".a", "a/.b", "a/.b/c", "ok/a", "ok/a"]
    assert usable_names(names) == ["ok/a"]
