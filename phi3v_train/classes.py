"""Scores class by class: which classes a model tells apart, and which one it takes for another."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from phi3v_data.printable import printable
from phi3v_train.metrics import normalise

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ClassScore", "class_scores", "is_classification", "render_classes"]

_ROWS = 20
_WIDEST = 40


@dataclass(frozen=True)
class ClassScore:
    """How well one class is recognised.

    Attributes:
        name: As the data spells it where it comes first.
        count: Its questions.
        correct: Those of them that were answered right.
        confused_with: The most frequent wrong prediction and how often it came; the name of a class where it is one,
            else normalised. None where no prediction is wrong.
    """

    name: str
    count: int
    correct: int
    confused_with: tuple[str, int] | None

    @property
    def accuracy(self) -> float:
        """The share that was answered right."""
        return self.correct / self.count


def is_classification(answers: Sequence[str]) -> bool:
    """Return whether questions with these answers, one each, are classification: few answers, which come again.

    There are at least two, and each comes twice on average; normalised answers are compared.
    """
    classes = len(set(map(normalise, answers)))
    return classes >= 2 and 2 * classes <= len(answers)


def class_scores(predictions: Sequence[str], answers: Sequence[str]) -> list[ClassScore]:
    """Score each class by accuracy.

    Args:
        predictions: What the model says to each question.
        answers: The class of each question.

    Returns:
        The classes by name, whatever its case.
    """
    names: dict[str, str] = {}
    predicted: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for prediction, answer in zip(predictions, answers, strict=True):
        names.setdefault(normalise(answer), answer)
        predicted[normalise(answer)][normalise(prediction)] += 1
    return [_score(key, predicted[key], names) for key in sorted(names)]


def render_classes(scores: Sequence[ClassScore]) -> str:
    """Return the classes as an aligned table, the worst first and at most 20 of them, without a new line at the end."""
    worst = sorted(scores, key=lambda score: (score.accuracy, score.correct - score.count))[:_ROWS]
    rows = [("class", "count", "correct", "accuracy", "most often taken for"), *map(_row, worst)]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = [
        f"{set_cell_size(name, widths[0])}  {count:>{widths[1]}}  {correct:>{widths[2]}}  {share:>{widths[3]}}  {other}"
        for name, count, correct, share, other in rows
    ]
    if left := len(scores) - len(worst):
        lines.append(f"{left:,} of {len(scores):,} classes, none of them less accurate, are left out")
    return "\n".join(map(str.rstrip, lines))


def _score(key: str, predicted: Counter[str], names: dict[str, str]) -> ClassScore:
    wrong = [(names.get(text, text), count) for text, count in predicted.most_common() if text != key]
    return ClassScore(names[key], predicted.total(), predicted[key], wrong[0] if wrong else None)


def _row(score: ClassScore) -> tuple[str, str, str, str, str]:
    other = ""
    if score.confused_with is not None:
        text, times = score.confused_with
        other = f"{_shown(text) or '(nothing)'} ({times:,})"
    return _shown(score.name), f"{score.count:,}", f"{score.correct:,}", f"{score.accuracy:.1%}", other


def _shown(text: str) -> str:
    """Make a text safe for a terminal and no wider than a column may be; some characters take two places."""
    text = printable(text)
    return text if cell_len(text) <= _WIDEST else set_cell_size(text, _WIDEST - 1) + "…"
