"""E5xx: the classes of a dataset, which are the answers of its records' last turns where those are few."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from phi3v_data.printable import quote
from phi3v_data.validate.rule import Rule

if TYPE_CHECKING:
    from phi3v_data.validate.facts import DatasetFacts
    from phi3v_data.validate.result import Findings

__all__ = ["ClassImbalance", "ClassMissing", "check_balance"]

_LEAST_RECORDS = 48
"""Fewer say nothing of classes."""
_RECORDS_A_CLASS = 10
"""Where answers have fewer records each on average, they are no classes but answers."""
_RATIO = 20
_EXPECTED = 5
"""Records of a class that a split must have reason to hold before their absence is more than chance."""
_NAMED = 3
_PLACE = re.compile(r"\(?[A-Za-z0-9][).]?")


class ClassImbalance(Rule):
    """A class has less than a twentieth of the records of the largest."""

    code = "W507"
    slug = "class-imbalance"
    message = "the classes of the split {split} are uneven: {common} records answer {commonest}, but {rare}"
    hint = "Add records of the rare classes, repeat theirs in training, or leave out some of the others."
    bad = "1,000 records that answer 'cat' and 12 that answer 'dog'"
    good = "1,000 records that answer 'cat' and 400 that answer 'dog'"


class ClassMissing(Rule):
    """A split has no record of a class that other splits have."""

    code = "W508"
    slug = "class-missing"
    message = "the split {split} has no record of {number} of {total} classes: {names}"
    hint = "A model does not learn, or is not tested on, such a class: divide the dataset anew with phi3v-data split."
    bad = "toy_train.jsonl with the answers 'cat', 'dog' and 'fox', toy_val.jsonl with 'cat' and 'dog' alone"
    good = "toy_train.jsonl and toy_val.jsonl, each with the answers 'cat', 'dog' and 'fox'"


def check_balance(facts: DatasetFacts, findings: Findings) -> None:
    """Report splits whose classes are far from even, and those that lack classes of other splits.

    Small splits, and answers that are too varied to be classes, pass.
    """
    files = {span.split: span.name for span in reversed(facts.files)}
    counts = {split: facts.answers.get(split) for split in facts.splits}
    for split, answers in counts.items():
        if answers is not None and _are_classes(answers):
            _check_imbalance(files[split], split, answers, findings)
    _check_missing(files, {split: answers for split, answers in counts.items() if answers}, findings)


def _are_classes(answers: Counter[str]) -> bool:
    """Return whether answers are classes: many records of each on the whole, and no long tail of rare ones.

    Letters and digits are no classes but places in a list of options, which differs from question to question.
    """
    if all(_PLACE.fullmatch(answer) for answer in answers):
        return False
    total = answers.total()
    if total < _LEAST_RECORDS or total < _RECORDS_A_CLASS * len(answers):
        return False
    return 2 * len(_rare(answers)) <= len(answers)


def _rare(answers: Counter[str]) -> list[tuple[str, int]]:
    """Return the classes with less than a twentieth of the records of the largest, the rarest first."""
    most = max(answers.values())
    return sorted((item for item in answers.items() if item[1] * _RATIO < most), key=lambda item: (item[1], item[0]))


def _check_imbalance(file: str, split: str, answers: Counter[str], findings: Findings) -> None:
    if not (rare := _rare(answers)):
        return
    commonest = max(answers, key=lambda name: answers[name])
    shown = _listed([f"{count:,} {quote(name)}" for name, count in rare])
    problem = ClassImbalance.problem(
        split=quote(split), common=f"{answers[commonest]:,}", commonest=quote(commonest), rare=shown
    )
    findings.add(file, None, problem)


def _check_missing(files: dict[str, str], counts: dict[str, Counter[str]], findings: Findings) -> None:
    everything = sum(counts.values(), Counter[str]())
    if len(counts) < 2 or not _are_classes(everything):
        return
    for split, answers in counts.items():
        others = everything - answers
        enough = _EXPECTED * others.total() / answers.total()
        missing = [(name, others[name]) for name in sorted(others) if not answers[name] and others[name] >= enough]
        if missing:
            shown = _listed([f"{quote(name)} ({count:,} elsewhere)" for name, count in missing])
            problem = ClassMissing.problem(split=quote(split), number=len(missing), total=len(everything), names=shown)
            findings.add(files[split], None, problem)


def _listed(names: list[str]) -> str:
    left = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {left} more" if left > 0 else "")
