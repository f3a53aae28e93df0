"""Evaluations in words: a score with its interval, the classes, and what training has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3v_train.classes import render_classes

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_train.evaluation import Evaluation

__all__ = ["describe_change", "describe_classes", "describe_evaluation"]


def describe_evaluation(evaluation: Evaluation, out: Path) -> str:
    """Return the score in one line, and in another how many answers were cut, if any."""
    low, high = evaluation.interval
    right = sum(prediction.score == 1 for prediction in evaluation.predictions)
    metric = {"accuracy": "accuracy", "anls": "ANLS"}[evaluation.metric]
    lines = [
        f"{out}: {metric} {evaluation.score:.3f} (95%: {low:.3f} to {high:.3f}), {right:,} of "
        f"{evaluation.questions:,} answers right"
    ]
    if evaluation.cut:
        lines.append(
            f"Answers cut at --max_new_tokens {evaluation.setting.max_new_tokens}: {evaluation.cut:,}; give more if "
            "right ones are longer"
        )
    return "\n".join(lines)


def describe_change(before: Evaluation, after: Evaluation) -> str:
    """Return what has changed, question by question."""
    changes = [new.score - old.score for old, new in zip(before.predictions, after.predictions, strict=True)]
    better, worse = sum(change > 0 for change in changes), sum(change < 0 for change in changes)
    return (
        f"Before to after: {after.score - before.score:+.3f}; {better:,} questions better, {worse:,} worse, "
        f"{len(changes) - better - worse:,} alike"
    )


def describe_classes(evaluation: Evaluation) -> str:
    """Return the table of classes; nothing where the questions are no classification."""
    return "" if evaluation.classes is None else f"\n{render_classes(evaluation.classes)}"
