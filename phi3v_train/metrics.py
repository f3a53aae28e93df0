"""How a prediction is scored against the accepted answers, and how sure a mean of such scores is."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal, NamedTuple

from rapidfuzz.distance import Levenshtein

from phi3v_data.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["METRICS", "Metric", "accuracy", "anls", "choose_metric", "interval", "normalise"]


def normalise(text: str) -> str:
    """Strip white space, then full stops, and lower the case: what the recipe does to both sides of an accuracy.

    As there, `lower` and not `casefold`, and white space between a word and its full stop stays.
    """
    return text.strip().strip(".").lower()


def accuracy(prediction: str, answers: Sequence[str]) -> float:
    """Score one question: 1.0 where the prediction is an accepted answer once both are normalised, else 0.0."""
    return float(normalise(prediction) in map(normalise, answers))


def anls(prediction: str, answers: Sequence[str], threshold: float = 0.5) -> float:
    """Score one question by its Average Normalised Levenshtein Similarity; the average is over the questions.

    Biten et al., "Scene Text Visual Question Answering", ICCV 2019, arXiv:1905.13648. Case and the amount of white
    space do not count, every other character does. A similarity of exactly 0.5 scores 0, as in the paper; the
    evaluation script of the competitions lets it stand.

    Args:
        prediction: What the model says.
        answers: Every accepted answer.
        threshold: The normalised distance from which on an answer is taken for another one.

    Returns:
        The similarity to the nearest answer, between 0 and 1; 1 where both are empty, 0 where no answer is accepted.
    """
    said = _folded(prediction)
    distance = min((Levenshtein.normalized_distance(said, _folded(answer)) for answer in answers), default=1.0)
    return 1 - distance if distance < threshold else 0.0


class Metric(NamedTuple):
    """A way to score.

    Attributes:
        name: As the command line and the report spell it.
        score: From a prediction and its accepted answers to a number between 0 and 1.
    """

    name: str
    score: Callable[[str, Sequence[str]], float]


METRICS = {metric.name: metric for metric in (Metric("accuracy", accuracy), Metric("anls", anls))}


def choose_metric(
    name: Literal["auto", "accuracy", "anls"], answers: Iterable[Sequence[str]], *, lists: bool
) -> Metric:
    """Return the metric that was asked for, or the one that fits the data.

    Args:
        name: "auto" is ANLS where any question has several accepted answers, else accuracy.
        answers: The accepted answers of each question; read only for "auto".
        lists: Whether any turn brings a list of accepted answers, be it a list of one.

    Raises:
        UsageError: ANLS was asked for and no turn brings such a list.
    """
    if name == "auto":
        return METRICS["anls" if any(len(accepted) > 1 for accepted in answers) else "accuracy"]
    if name == "anls" and not lists:
        raise UsageError(
            "--metric anls gives part of a point for a word spelt almost like the right one, which does not fit "
            "answers from a fixed list, and no turn here brings 'answers', a list of accepted ones: "
            "give --metric accuracy"
        )
    return METRICS[name]


def interval(mean: float, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Compute Wilson's score interval of a mean of scores.

    Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22, 1927. It is made for
    scores that are 0 or 1, whose variance is p(1 - p). Scores in between, such as ANLS, have at most that variance
    at the same mean, so for them it is at least wide enough.

    Args:
        mean: Of the scores, between 0 and 1.
        count: How many scores.
        confidence: How often such an interval holds the true mean.

    Returns:
        The lower and the upper end, between 0 and 1.

    Raises:
        ValueError: There are no scores.
    """
    if count < 1:
        raise ValueError(f"an interval needs at least one score, not {count}")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    shift = z * z / (2 * count)
    reach = sqrt(shift * (2 * mean * (1 - mean) + shift))
    scale = 1 + 2 * shift
    return max(0.0, (mean + shift - reach) / scale), min(1.0, (mean + shift + reach) / scale)


def _folded(text: str) -> str:
    return " ".join(text.lower().split())
