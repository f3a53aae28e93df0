"""E3xx: ids, which must differ within a dataset; and how records that repeat earlier ones are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from xxhash import xxh3_64_intdigest

from phi3v_data.printable import quote
from phi3v_data.validate.crossing import hits
from phi3v_data.validate.facts import hash_of
from phi3v_data.validate.rule import Problem, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from phi3v_data.validate.columns import Column
    from phi3v_data.validate.facts import DatasetFacts, Reread
    from phi3v_data.validate.result import Findings
    from phi3v_schemas import Record

__all__ = ["DuplicateId", "check_ids", "report_repeats"]

_SECOND_SEED = 1


class DuplicateId(Rule):
    """Two records of a dataset have the same id."""

    code = "E301"
    slug = "duplicate-id"
    message = "the id {id} is already that of {first}"
    hint = "Give every record of a dataset, in all its splits, an id of its own; or remove the copy."
    bad = (
        '{"id": "a", "source": "s", "conversations": [{"user": "Hot?", "assistant": "Yes."}]}\n'
        '{"id": "a", "source": "s", "conversations": [{"user": "Cold?", "assistant": "No."}]}'
    )
    good = (
        '{"id": "a", "source": "s", "conversations": [{"user": "Hot?", "assistant": "Yes."}]}\n'
        '{"id": "b", "source": "s", "conversations": [{"user": "Cold?", "assistant": "No."}]}'
    )


_ACROSS_SPLITS = (
    "The two are in different splits: if they are the same example, remove one, for what is trained on proves nothing; "
    "else give one of them another id."
)


def check_ids(facts: DatasetFacts, findings: Findings) -> None:
    """Report every record whose id an earlier record has, in the order of the lines."""

    def problem(again: Reread, first: int) -> Problem:
        hint = _ACROSS_SPLITS if facts.split_at(first) != facts.split_at(again.place) else None
        name = facts.place_name(first)
        return DuplicateId.problem(pointer="/id", hint=hint, id=quote(again.record.id), first=name)

    report_repeats(facts, findings, facts.ids, lambda record: record.id, DuplicateId, problem)


def report_repeats(
    facts: DatasetFacts,
    findings: Findings,
    column: Column,
    value_of: Callable[[Record], str],
    rule: type[Rule],
    problem: Callable[[Reread, int], Problem],
) -> None:
    """Report the records whose value an earlier record has; those no longer kept are counted by their hashes alone.

    Args:
        facts: The dataset.
        findings: Where to report.
        column: A hash of the value for each line.
        value_of: Returns the value itself.
        rule: What is broken, for the count.
        problem: Words the finding, from the record read again and the place of the first that has the value.
    """
    repeated = column.repeated()
    first_place = np.full(len(repeated), -1, dtype=np.int64)
    # A second hash of the first value: together 128 bits, so that equal means equal.
    first_check = np.zeros(len(repeated), dtype=np.uint64)
    for places, _ in hits(column, repeated):
        for again in facts.read(places):
            if findings.is_full:
                unseen = int(np.count_nonzero(first_place < 0))
                findings.count(rule, _left(column, repeated, again.place) - unseen)
                return
            value = value_of(again.record)
            slot = int(np.searchsorted(repeated, np.uint64(hash_of(value))))
            check = xxh3_64_intdigest(value.encode(), seed=_SECOND_SEED)
            if first_place[slot] < 0:
                first_place[slot], first_check[slot] = again.place, check
            elif int(first_check[slot]) == check:
                findings.add(*facts.where(again.place), problem(again, int(first_place[slot])))


def _left(column: Column, values: NDArray[np.uint64], start: int) -> int:
    return sum(len(places) for places, _ in hits(column, values, start))
