"""Carving: the same part on every machine, groups whole, nothing lost, nothing moved by what is added."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from phi3v_data.convert.carve import carve
from phi3v_data.convert.converter import Reject, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


REJECT = Reject(source="bad", code="bad", message="it is bad")


def sources(count: int, per_group: int | None = None) -> list[Source]:
    return [
        Source(path=f"{n:05d}", name=f"{n:05d}", group=None if per_group is None else f"g{n // per_group}")
        for n in range(count)
    ]


def carved(entries: Iterable[Source | Reject], fraction: float = 0.1, seed: int = 0) -> dict[str, list[str]]:
    """Return the paths of each split."""
    listed = list(entries)

    def listing() -> Iterator[Source | Reject]:
        yield from listed

    splits = carve(listing, fraction, seed=seed)
    return {
        split: [entry.path if isinstance(entry, Source) else entry.source for entry in part]
        for split, part in splits.items()
    }


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5, 0.999])
def test_nothing_is_lost_and_about_the_fraction_is_carved(fraction: float) -> None:
    splits = carved(sources(5000), fraction)
    assert list(splits) == ["train", "val"]
    assert sorted(splits["train"] + splits["val"]) == [source.path for source in sources(5000)]
    assert len(splits["val"]) / 5000 == pytest.approx(fraction, abs=0.02)
    assert splits["val"] == sorted(splits["val"])  # in the order of the listing


def test_without_a_fraction_there_is_no_val() -> None:
    assert carved([*sources(3), REJECT], 0) == {"train": ["00000", "00001", "00002", "bad"]}


def test_which_are_carved_is_for_ever() -> None:
    """Whoever converts the same data gets the same split: these are to change with a converter's version only."""
    assert carved(sources(40))["val"] == ["00014", "00025", "00036", "00039"]
    assert carved(sources(40), seed=1)["val"] == ["00002", "00007", "00008"]
    assert carved(sources(40, 4), 0.3)["val"] == [f"{n:05d}" for n in (*range(12, 20), *range(28, 32))]


def test_a_group_stays_together_and_counts_as_one() -> None:
    splits = carved(sources(5000, 5), 0.2)
    groups = [{int(path) // 5 for path in splits[split]} for split in ("train", "val")]
    assert not groups[0] & groups[1]
    assert len(groups[1]) / 1000 == pytest.approx(0.2, abs=0.04)


def test_another_seed_takes_another_part() -> None:
    parts = [set(carved(sources(1000), 0.5, seed)["val"]) for seed in (0, 1, -1)]
    for first, second in ((0, 1), (1, 2), (0, 2)):
        assert 150 < len(parts[first] & parts[second]) < 350  # independent, not the rest or the same


def test_a_larger_fraction_adds_and_takes_nothing_away() -> None:
    few, more = (set(carved(sources(1000), fraction)["val"]) for fraction in (0.1, 0.2))
    assert few < more


def test_what_is_added_or_listed_in_another_order_moves_nothing() -> None:
    before = carved(sources(1000), 0.3)
    after = carved(reversed([*sources(1000), Source(path="new", name="new"), REJECT]), 0.3)
    assert set(before["val"]) == set(after["val"]) - {"new"}
    assert set(before["train"]) == set(after["train"]) - {"new", "bad"}


def test_rejects_are_of_train_once() -> None:
    splits = carved([REJECT, *sources(100), REJECT], 0.9)
    assert splits["train"].count("bad") == 2
    assert "bad" not in splits["val"]


def test_a_name_that_is_not_utf8() -> None:
    splits = carved([Source(path="a\udcff", name="a"), Source(path="b", name="b", group="é\ud800")], 0.5)
    assert sorted(splits["train"] + splits["val"]) == ["a\udcff", "b"]
