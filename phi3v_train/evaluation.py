"""What an evaluation has come to: its file, and how it is shown."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from phi3v_data import __version__
from phi3v_data.fs import sha256_of, write_atomic
from phi3v_data.layout import MANIFEST
from phi3v_train.classes import ClassScore
from phi3v_train.soundness import file_sums

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_train.sources import Source

__all__ = ["Evaluation", "Prediction", "Setting", "SplitOfData", "read_evaluation", "write_evaluation"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class SplitOfData(_Model):
    """A split that was asked about.

    Attributes:
        path: The dataset's folder or the JSONL file, as it was given.
        split: The split.
        files: SHA-256 of each of its JSONL files, as the manifest lists them.
        manifest_sha256: SHA-256 of the dataset's manifest.json; None without one.
    """

    path: str
    split: str
    files: dict[str, str]
    manifest_sha256: str | None

    @classmethod
    def of(cls, source: Source) -> SplitOfData:
        """Describe a split."""
        folder = source.dataset.path
        manifest = folder / MANIFEST
        return cls(
            path=str(folder),
            split=source.split,
            files=file_sums(source),
            manifest_sha256=sha256_of(manifest) if manifest.is_file() else None,
        )


class Setting(_Model):
    """All that decides what a model says.

    Attributes:
        model: Folder of the weights, or their name on the hub.
        adapter: Folder of the adapter on them.
        weights: What tells the weights, and the adapter's, from others.
        quantization: "nf4" where the base is kept in 4 bits.
        precision: What is computed in.
        attention: Implementation of attention.
        data: The splits.
        num_crops: Most crops of an image.
        max_new_tokens: Most tokens of an answer.
        limit: Most questions, evenly spread over the splits; None for all.
    """

    model: str
    adapter: str | None
    weights: str | None
    quantization: Literal["none", "nf4"]
    precision: Literal["bf16", "fp16", "fp32"]
    attention: str
    data: list[SplitOfData]
    num_crops: int
    max_new_tokens: int
    limit: int | None

    @property
    def key(self) -> str:
        """What decides the answer to a given prompt, wherever the files lie: 64 hexadecimal digits."""
        weights = (self.model, self.adapter) if self.weights is None else self.weights
        decides = [__version__, weights, self.quantization, self.precision, self.attention, self.max_new_tokens]
        return hashlib.sha256(json.dumps(decides).encode()).hexdigest()


class Prediction(_Model):
    """What the model says to a question.

    Attributes:
        question: What tells the prompt from others.
        record: Id of the record.
        turn: Number of the turn in it, from 0.
        prediction: The answer.
        answers: What is accepted.
        score: From 0 to 1.
        cut: Whether the limit came before the answer's end.
    """

    question: str
    record: str
    turn: int
    prediction: str
    answers: list[str]
    score: float
    cut: bool


class Evaluation(_Model):
    """The result.

    Attributes:
        format: Version of this form.
        setting: What decided the answers.
        metric: What they are scored by: "accuracy" or "anls".
        score: The mean.
        interval: Where the mean of many such questions lies, with a confidence of 95 in 100.
        questions: How many.
        cut: How many answers the limit has cut.
        classes: Class by class, for classification.
        predictions: Every one, in the order of the data.
    """

    format: Literal[1] = 1
    setting: Setting
    metric: str
    score: float
    interval: tuple[float, float]
    questions: int
    cut: int
    classes: list[ClassScore] | None
    predictions: list[Prediction]


def read_evaluation(path: Path) -> Evaluation | None:
    """Return the result in a file; None where there is none that can be read."""
    try:
        return Evaluation.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None


def write_evaluation(path: Path, evaluation: Evaluation) -> None:
    """Write a result whole or not at all.

    Raises:
        OSError: The system refuses.
    """
    write_atomic(path, (evaluation.model_dump_json(indent=1) + "\n").encode())
