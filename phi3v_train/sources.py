"""Which splits of which datasets a run reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from phi3v_data.errors import CannotRun
from phi3v_data.reader import Dataset

if TYPE_CHECKING:
    from phi3v_train.options import TrainOptions

__all__ = ["BadData", "Source", "evaluation_sources", "training_sources"]


class BadData(CannotRun):
    """The data cannot be trained on: nothing has run yet, or the run has stopped at a record."""


class Source(NamedTuple):
    """One split of a dataset."""

    dataset: Dataset
    split: str


def training_sources(options: TrainOptions) -> list[Source]:
    """Return what is trained on, one split for each `--data_dir`; a JSONL file is that split, whatever its name.

    Raises:
        BadData: A folder has no such split.
        CannotRun: There is no dataset.
        DataError: A folder's manifest cannot be used, or a file is missing.
    """
    sources = [Source(dataset, options.train_split) for dataset in _datasets(options)]
    for dataset, split in sources:
        if split not in dataset.splits:
            raise BadData(
                f"{dataset.path} has no split {split!r}, it has {_listed(dataset)}: name one by --train_split"
            )
    return sources


def evaluation_sources(options: TrainOptions) -> list[Source]:
    """Return the splits whose loss is computed at `--eval_steps`, of the datasets that have one; none without it.

    Raises:
        BadData: No dataset has such a split.
        CannotRun: As `training_sources`.
        DataError: As `training_sources`.
    """
    if options.eval_steps is None:
        return []
    datasets = _datasets(options)
    sources = [Source(dataset, options.eval_split) for dataset in datasets if options.eval_split in dataset.splits]
    if not sources:
        there_are = "; ".join(f"{dataset.path} has {_listed(dataset)}" for dataset in datasets)
        raise BadData(
            f"no --data_dir has the split {options.eval_split!r} for --eval_steps ({there_are}): name one by "
            "--eval_split, or leave --eval_steps away"
        )
    return sources


def _datasets(options: TrainOptions) -> list[Dataset]:
    return [
        Dataset(path, split=None if path.is_dir() else options.train_split, images_dir=options.images_dir)
        for path in options.data_dir
    ]


def _listed(dataset: Dataset) -> str:
    return ", ".join(dataset.splits)
