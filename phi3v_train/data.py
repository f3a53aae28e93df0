"""Records as the model reads them: a record is read, its images decoded and its text encoded when it is asked for."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
from torch.utils.data import Dataset

from phi3v_data.errors import DataError
from phi3v_train.collate import Example, Failure
from phi3v_train.data_plan import Kept
from phi3v_train.encode import cut, training_images
from phi3v_train.faults import describe_fault
from phi3v_train.tiles import read_tiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from phi3v_train.encode import Encoder, Encoding
    from phi3v_train.model import Phi3VImageProcessor
    from phi3v_train.sources import Source

__all__ = ["TrainingData"]


class TrainingData(Dataset[Example | Failure]):
    """The records of several splits, one after the other.

    It can be pickled and used after a fork. Images come as raw tiles.

    Args:
        sources: The splits.
        encoder: Writes a record as tokens.
        images: Cuts images into tiles.
        num_crops: Most tiles of an image.
        max_length: Most tokens of a record.
        cuts: Whether the text of a longer one is cut at its end; it is a failure otherwise.
        left_out: For each source the positions of records to leave out, ascending; empty where there are none.

    Raises:
        DataError: A source's files are not there any more.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        encoder: Encoder,
        images: Phi3VImageProcessor,
        *,
        num_crops: int,
        max_length: int,
        cuts: bool = False,
        left_out: Sequence[NDArray[np.uint32]] = (),
    ) -> None:
        self._datasets = [source.dataset for source in sources]
        self._splits = [source.dataset.split(source.split) for source in sources]
        self._encoder = encoder
        self._images = images
        self._num_crops = num_crops
        self._max_length = max_length
        self._cuts = cuts
        left_out = left_out or [np.empty(0, np.uint32)] * len(sources)
        self._kept = [Kept(len(split), places) for split, places in zip(self._splits, left_out, strict=True)]
        self._ends = list(accumulate(self.sizes))

    @property
    def sizes(self) -> list[int]:
        """Records of each source, without those left out."""
        return [len(kept) for kept in self._kept]

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, position: int) -> Example | Failure:
        number = bisect_right(self._ends, position)
        place = self._kept[number].position(position - (self._ends[number - 1] if number else 0))
        try:
            return self._example(number, place)
        except (DataError, OSError) as error:
            fault = describe_fault(self._datasets[number], self._splits[number], place, error)
        return Failure(f"{fault}: mend it and start again, the run goes on from its newest checkpoint")

    def _example(self, number: int, place: int) -> Example:
        dataset, (record, images) = self._datasets[number], self._splits[number].load(place)
        paths = training_images(record)
        pixels = read_tiles(images.open, paths, self._images, self._num_crops)
        encoding = self._fitted(self._encoder.encode(record, pixels.pop("num_img_tokens", [])))
        return {**encoding._asdict(), **pixels, "record": f"{record.id} of {dataset.path}"}  # type: ignore[typeddict-item]

    def _fitted(self, encoding: Encoding) -> Encoding:
        length = len(encoding.input_ids)
        if length > self._max_length and not self._cuts:
            raise DataError(f"the record takes {length:,} tokens, and {self._max_length:,} is the most")
        return encoding if length <= self._max_length else cut(encoding, self._max_length)
