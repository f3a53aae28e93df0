"""What was found out about a run's data before its first step, in a form that can be stored and sent."""

from __future__ import annotations

import base64
import zlib
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator

from phi3v_data.fs import write_atomic
from phi3v_train.sources import evaluation_sources, training_sources

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_train.data import TrainingData
    from phi3v_train.encode import Encoder
    from phi3v_train.model import Phi3VImageProcessor
    from phi3v_train.options import TrainOptions

__all__ = ["DataPlan", "Kept", "LengthSummary", "load_plan", "save_plan"]


def _pack(numbers: NDArray[np.uint32]) -> str:
    return base64.b64encode(zlib.compress(numbers.astype("<u4").tobytes())).decode()


def _unpack(value: Any) -> NDArray[np.uint32]:
    if not isinstance(value, str):
        return np.asarray(value, dtype=np.uint32)
    return np.frombuffer(zlib.decompress(base64.b64decode(value)), "<u4").astype(np.uint32)


_Numbers = Annotated[NDArray[np.uint32], PlainValidator(_unpack), PlainSerializer(_pack)]


class Kept:
    """The records that remain of a split when some are left out.

    Args:
        count: Records of the split.
        left_out: Positions of those left out, ascending.
    """

    def __init__(self, count: int, left_out: NDArray[np.uint32]) -> None:
        # How many remain before each that is left out: one search then finds the place of one that remains.
        self._before = left_out - np.arange(len(left_out))
        self._count = count - len(left_out)

    def __len__(self) -> int:
        return self._count

    def position(self, index: int) -> int:
        """Return where in the split the record stands that is number `index` of those that remain."""
        return index + int(np.searchsorted(self._before, index, side="right"))


class LengthSummary(NamedTuple):
    """Exact lengths of at most 2,000 records, drawn by the seed, and of those that looked longest.

    Attributes:
        shortest: Tokens of the shortest record drawn.
        median: Tokens.
        p95: Tokens that 95 in 100 do not exceed.
        longest: Tokens of the longest record found.
        image_share: Part of the tokens that are of images, from 0 to 1.
        images: Images a record, on average.
        most_crops: Crops of the record that has the most, an overview of each image among them.
    """

    shortest: int
    median: int
    p95: int
    longest: int
    image_share: float
    images: float
    most_crops: int


class DataPlan(BaseModel):
    """The data of a run.

    Attributes:
        sizes: Records of each `--data_dir`, without those left out.
        left_out: Positions of those left out.
        eval_left_out: Likewise for the datasets that have the evaluation split.
        limit: Most tokens of a record.
        summary: How long records are.
        lengths: Estimated tokens of each record, those left out not among them; None unless records are grouped by
            length. An image's tokens are exact; those of a text are in proportion to its bytes.
        fingerprint: SHA-256 over the training data: other data, another fingerprint.
        warnings: What a person should look at, a line each.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    sizes: list[int]
    left_out: list[_Numbers]
    eval_left_out: list[_Numbers]
    limit: int
    summary: LengthSummary
    lengths: _Numbers | None
    fingerprint: str
    warnings: list[str]

    @property
    def records(self) -> int:
        """Records of all datasets together."""
        return sum(self.sizes)

    def open(
        self, options: TrainOptions, encoder: Encoder, images: Phi3VImageProcessor
    ) -> tuple[TrainingData, TrainingData | None]:
        """Open the data for training, and for evaluation where there is some."""
        from phi3v_train.data import TrainingData

        how: dict[str, Any] = {
            "num_crops": options.num_crops,
            "max_length": self.limit,
            "cuts": options.too_long == "cut",
        }
        training = TrainingData(training_sources(options), encoder, images, left_out=self.left_out, **how)
        if not (sources := evaluation_sources(options)):
            return training, None
        return training, TrainingData(sources, encoder, images, left_out=self.eval_left_out, **how)

    def describe(self, options: TrainOptions) -> str:
        """Return sizes and lengths in one line."""
        sizes = [f"{path} ({size:,})" for path, size in zip(options.data_dir, self.sizes, strict=True)]
        summary = self.summary
        return (
            f"{' + '.join(sizes)} records; {summary.shortest:,} to {summary.longest:,} tokens, "
            f"median {summary.median:,}, {summary.image_share:.0%} of images; {summary.images:.1f} images a record"
        )


def load_plan(path: Path, key: str) -> DataPlan | None:
    """Return the plan stored under a key; None where the file holds another, or none that can be read."""
    try:
        stored = _Stored.model_validate_json(path.read_bytes())
    except (OSError, ValueError, zlib.error):
        return None
    return stored.plan if stored.key == key else None


def save_plan(path: Path, key: str, plan: DataPlan) -> None:
    """Store a plan.

    Raises:
        OSError: The system refuses.
    """
    write_atomic(path, _Stored(key=key, plan=plan).model_dump_json().encode())


class _Stored(BaseModel):
    key: str
    plan: DataPlan
