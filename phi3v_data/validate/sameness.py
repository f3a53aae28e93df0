"""E5xx: records that repeat or contradict others of the dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phi3v_data.validate.columns import NOTHING, Column
from phi3v_data.validate.crossing import append, first_of_each
from phi3v_data.validate.facts import content_of
from phi3v_data.validate.ids import report_repeats
from phi3v_data.validate.rule import Problem, Rule

if TYPE_CHECKING:
    from phi3v_data.validate.facts import DatasetFacts, Reread
    from phi3v_data.validate.result import Findings

__all__ = ["DuplicateRecord", "check_duplicates"]

_MIXER = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no bit of the id's hash is lost


class DuplicateRecord(Rule):
    """Two records hold the same conversation about the same images, under different ids."""

    code = "W505"
    slug = "duplicate-record"
    message = "the conversation, images and all, is that of {first}"
    hint = "Remove one of the two, unless the example is meant to weigh more than others."
    bad = (
        '{"id": "a", "source": "s", "conversations": [{"user": "Hot?", "assistant": "Yes."}]}\n'
        '{"id": "b", "source": "s", "conversations": [{"user": "Hot?", "assistant": "Yes."}]}'
    )
    good = (
        '{"id": "a", "source": "s", "conversations": [{"user": "Hot?", "assistant": "Yes."}]}\n'
        '{"id": "b", "source": "s", "conversations": [{"user": "Cold?", "assistant": "No."}]}'
    )


_ACROSS_SPLITS = (
    "The two are in different splits, so that a model is tested on what it was trained on: remove one, or divide the "
    "dataset anew with phi3v-data split."
)


def check_duplicates(facts: DatasetFacts, findings: Findings) -> None:
    """Report every record whose conversation an earlier one has, in the order of the lines.

    One that has its id from the earlier record too is passed over: it is a duplicate id already.
    """

    def problem(again: Reread, first: int) -> Problem:
        hint = _ACROSS_SPLITS if facts.split_at(first) != facts.split_at(again.place) else None
        return DuplicateRecord.problem(hint=hint, first=facts.place_name(first))

    report_repeats(facts, findings, _without_copies(facts), content_of, DuplicateRecord, problem)


def _without_copies(facts: DatasetFacts) -> Column:
    """Return the column of contents, with nothing for a line that repeats an earlier one in its id as well."""
    if not len(facts.contents.repeated()):
        return Column()
    pairs = Column()
    for place, contents in facts.contents.blocks():
        ((_, ids),) = facts.ids.blocks(place, place + len(contents))
        append(pairs, np.where(contents == NOTHING, np.uint64(NOTHING), (ids * _MIXER) ^ contents))
    column = Column()
    for place, is_first in first_of_each(pairs):
        ((_, contents),) = facts.contents.blocks(place, place + len(is_first))
        append(column, np.where(is_first, contents, np.uint64(NOTHING)))
    return column
