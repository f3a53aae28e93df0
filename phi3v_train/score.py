"""From answers to a result: each scored, their mean with its interval, and class by class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3v_train.classes import class_scores, is_classification
from phi3v_train.evaluation import Evaluation, Prediction
from phi3v_train.metrics import interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from phi3v_train.answer import Answer
    from phi3v_train.classes import ClassScore
    from phi3v_train.evaluation import Setting
    from phi3v_train.metrics import Metric
    from phi3v_train.questions import Question

__all__ = ["score"]


def score(questions: Sequence[Question], answers: Mapping[str, Answer], metric: Metric, setting: Setting) -> Evaluation:
    """Score all answers.

    Args:
        questions: The questions, at least one.
        answers: The answer to each, by its key.
        metric: What they are scored by.
        setting: What decided them.
    """
    predictions = [_prediction(question, answers[question.key], metric) for question in questions]
    mean = sum(prediction.score for prediction in predictions) / len(predictions)
    return Evaluation(
        setting=setting,
        metric=metric.name,
        score=mean,
        interval=interval(mean, len(predictions)),
        questions=len(predictions),
        cut=sum(prediction.cut for prediction in predictions),
        classes=_classes(predictions) if metric.name == "accuracy" else None,
        predictions=predictions,
    )


def _prediction(question: Question, answer: Answer, metric: Metric) -> Prediction:
    return Prediction(
        question=question.key,
        record=question.record,
        turn=question.turn,
        prediction=answer.text,
        answers=question.answers,
        score=metric.score(answer.text, question.answers),
        cut=answer.is_cut,
    )


def _classes(predictions: Sequence[Prediction]) -> list[ClassScore] | None:
    """Return the classes where the questions are classification: one answer each, out of few."""
    if any(len(prediction.answers) > 1 for prediction in predictions):
        return None
    right = [prediction.answers[0] for prediction in predictions]
    if not is_classification(right):
        return None
    return class_scores([prediction.prediction for prediction in predictions], right)
