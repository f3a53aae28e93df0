"""E5xx: records that answer the same question differently."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from phi3v_data.printable import quote
from phi3v_data.validate.columns import NOTHING
from phi3v_data.validate.crossing import hits, keep_first
from phi3v_data.validate.facts import content_of, hash_of, question_of
from phi3v_data.validate.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from phi3v_data.validate.facts import DatasetFacts
    from phi3v_data.validate.result import Findings

__all__ = ["ContradictingAnswers", "check_contradictions"]

_LONGEST, _MOST_WORDS = 40, 4  # of an answer that is judged
_LETTERED = re.compile(r"\s*\(?([A-Z])(?:[).]|\s*$)")


class ContradictingAnswers(Rule):
    """Two records ask the same about the same images and are given different answers."""

    code = "W506"
    slug = "contradicting-answers"
    message = "{first} answers the same question with {other}, not {answer}"
    hint = (
        "Find out which answer is right and remove the other; if both are, list them as the turn's 'answers', or leave "
        "the records where variety is wanted."
    )
    bad = (
        '{"id": "a", "source": "s", "conversations": [{"user": "Hot?", "assistant": "Yes."}]}\n'
        '{"id": "b", "source": "s", "conversations": [{"user": "Hot?", "assistant": "No."}]}'
    )
    good = (
        '{"id": "a", "source": "s", "conversations": [{"user": "Hot?", "assistant": "Yes."}]}\n'
        '{"id": "b", "source": "s", "conversations": [{"user": "Is it hot?", "assistant": "Yes."}]}'
    )


def check_contradictions(facts: DatasetFacts, findings: Findings) -> None:
    """Report every record whose first question an earlier one answers otherwise, in the order of the lines.

    Answers are compared without regard to case, white space around them and a final full stop. Of records with the same
    content one is read, and again those that are shown.
    """
    questions = _disputed(facts)
    contents = _contents_of(facts, questions)
    against = _judge(facts, questions, contents)
    told: list[NDArray[np.int64]] = []
    firsts: list[NDArray[np.int64]] = []
    left_out, room = 0, findings.room
    for places, slots in hits(facts.contents, contents):
        wrong = against[slots] >= 0
        kept = np.flatnonzero(wrong)[:room]
        told.append(places[kept])
        firsts.append(against[slots[kept]])
        left_out += int(np.count_nonzero(wrong)) - len(kept)
        room = None if room is None else room - len(kept)
    if told:
        _report(facts, findings, np.concatenate(told), np.concatenate(firsts))
    findings.count(ContradictingAnswers, left_out)


def _disputed(facts: DatasetFacts) -> NDArray[np.uint64]:
    """Return the hashes of the questions that stand in records of different content, sorted."""
    questions = facts.questions.repeated()
    content = np.zeros(len(questions), np.uint64)
    differs = np.zeros(len(questions), np.bool_)
    for slots, contents in _questions_and_contents(facts, questions):
        keep_first(content, slots, contents, empty=NOTHING)
        differs[slots[contents != content[slots]]] = True
    return questions[differs]


def _contents_of(facts: DatasetFacts, questions: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the different contents of the records that ask some questions, sorted."""
    found = [np.unique(contents) for _, contents in _questions_and_contents(facts, questions)]
    return np.unique(np.concatenate(found)) if found else np.empty(0, np.uint64)


def _questions_and_contents(
    facts: DatasetFacts, questions: NDArray[np.uint64]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.uint64]]]:
    for places, slots in hits(facts.questions, questions):
        first = int(places[0])
        ((_, contents),) = facts.contents.blocks(first, int(places[-1]) + 1)
        yield slots, contents[places - first]


def _judge(facts: DatasetFacts, questions: NDArray[np.uint64], contents: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return for each content the place of the record that it contradicts, or -1."""
    against = np.full(len(contents), -1, np.int64)
    first = np.full(len(questions), -1, np.int64)
    answers = np.zeros(len(questions), np.uint64)
    accepted: dict[int, set[int]] = {}
    for again in facts.read(_first_places(facts, contents)):
        turn = again.record.conversations[0]
        slot = int(np.searchsorted(questions, np.uint64(hash_of(question_of(again.record)))))
        if slot == len(questions) or not _is_short(turn.assistant):  # the line has changed, or it is a caption
            continue
        answer, others = _hash(turn.assistant or ""), set(map(_hash, turn.answers or ()))
        if first[slot] < 0:
            first[slot], answers[slot] = again.place, answer
            if others:
                accepted[slot] = others
        elif int(answers[slot]) not in (others | {answer}) and answer not in accepted.get(slot, ()):
            number = int(np.searchsorted(contents, np.uint64(hash_of(content_of(again.record)))))
            against[min(number, len(contents) - 1)] = first[slot]
    return against


def _first_places(facts: DatasetFacts, contents: NDArray[np.uint64]) -> NDArray[np.int64]:
    first = np.full(len(contents), -1, np.int64)
    for places, slots in hits(facts.contents, contents):
        keep_first(first, slots, places)
    return np.sort(first)


def _report(facts: DatasetFacts, findings: Findings, places: NDArray[np.int64], firsts: NDArray[np.int64]) -> None:
    answers: dict[int, str] = {}  # of the first records, as they are shown
    first_of = dict(zip(places.tolist(), firsts.tolist(), strict=True))
    wanted = set(firsts.tolist())
    for again in facts.read(np.union1d(places, firsts)):
        answer = quote(again.record.conversations[0].assistant or "")
        if again.place in wanted:
            answers[again.place] = answer
        first = first_of.get(again.place)
        if first in answers:
            name = facts.place_name(first)
            problem = ContradictingAnswers.problem(
                pointer="/conversations/0/assistant", answer=answer, first=name, other=answers[first]
            )
            findings.add(*facts.where(again.place), problem)


def _is_short(answer: str | None) -> bool:
    """Return whether an answer is a word or a few: of longer ones there may be many that are right."""
    return answer is not None and len(answer) <= _LONGEST and len(answer.split()) <= _MOST_WORDS


def _hash(answer: str) -> int:
    """Return the hash of an answer as it is compared: of "(B)" and "B. a cat" only the letter counts."""
    letter = _LETTERED.match(answer)
    return hash_of(letter[1] if letter else answer.strip().removesuffix(".").casefold())
