"""The order of an epoch: every record once or as the weights say, the same on every process and after a resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.data import Dataset, Sampler

from phi3v_train.collate import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from phi3v_train.collate import Example

__all__ = ["EpochSampler", "EvenData", "tell_epochs"]

_INDEX = np.uint32  # half the memory of what numpy takes by itself; 4 billion records do not fit into a Split either
_AT_ONCE = 1 << 16
_SORTED_BATCHES = 50


class EpochSampler(Sampler[int]):
    """Deals out positions in the concatenation of several datasets, each epoch in an order of its own.

    Without weights an epoch is every record once. With weights it has as many draws, divided among the datasets by
    their weights; a dataset is gone through as a whole before any of its records comes again.

    Memory: 4 bytes a record while an epoch runs; with weights or lengths about 12 for a moment at its start.

    Args:
        sizes: Records of each dataset, at least one.
        weights: Share of each dataset; empty for their sizes.
        seed: With the number of the epoch, it alone decides the order.
        lengths: Tokens of each record, estimated or exact: records of similar length then come together, and the
            longest of all in the first batch, so that memory that does not suffice shows there.
        batch_size: How many records are to be alike in length: those of an optimizer step, so that the processes
            that share them have equal work.
        multiple: Processes times their batch size: positions behind the last record, for which `EvenData` has fillers,
            lengthen an epoch to it. accelerate would fill up with records that have had their turn.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        weights: Sequence[float] = (),
        *,
        seed: int,
        lengths: NDArray[np.unsignedinteger] | None = None,
        batch_size: int = 1,
        multiple: int = 1,
    ) -> None:
        self._sizes = list(sizes)
        self._count = sum(sizes)
        self._weights = list(weights)
        self._seed = seed
        self._lengths = lengths
        self._batch_size = batch_size
        self._multiple = multiple
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next iteration; epochs count from 0."""
        self._epoch = epoch

    def __len__(self) -> int:
        return _up_to(self._multiple, self._count)

    def __iter__(self) -> Iterator[int]:
        random = np.random.default_rng([self._seed, self._epoch])
        order = self._mixed(random) if self._weights else _shuffled(self._count, random)
        if self._lengths is not None:
            order = _by_length(order, self._lengths, self._batch_size, random)
        for start in range(0, len(order), _AT_ONCE):
            yield from order[start : start + _AT_ONCE].tolist()
        yield from range(self._count, len(self))

    def _mixed(self, random: np.random.Generator) -> NDArray[np.uint32]:
        """Lay out first whose turn it is, then let each dataset fill its places in an order of its own."""
        draws = _divide(self._count, self._weights)
        owners = np.repeat(np.arange(len(draws), dtype=np.uint8 if len(draws) <= 256 else np.uint32), draws)
        random.shuffle(owners)
        order = np.empty(len(owners), _INDEX)
        start = 0
        for owner, (size, count) in enumerate(zip(self._sizes, draws, strict=True)):
            order[owners == owner] = _passes(start, size, count, random)
            start += size
        return order


class EvenData(Dataset["Example | Failure"]):
    """Data lengthened to a multiple, so that no process counts a record that another one counts too.

    What is added are copies of the first record in which nothing is learnt; a batch may hold nothing else, and its
    mean loss is then no number: add up the losses and divide by the tokens of all batches.

    Args:
        data: The records.
        multiple: Processes times their batch size.
    """

    def __init__(self, data: Dataset[Example | Failure], multiple: int) -> None:
        self._data = data
        self._size: int = len(data)  # type: ignore[arg-type]  # torch's base class does not promise a length
        self._length = _up_to(multiple, self._size)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, position: int) -> Example | Failure:
        if position < self._size:
            return self._data[position]
        example = self._data[0]
        if isinstance(example, Failure):
            return example
        return {**example, "labels": [-100] * len(example["labels"])}


def tell_epochs(loader: Any, sampler: EpochSampler) -> None:
    """Let the number of the epoch find its way to the sampler, in a resumed epoch too.

    accelerate's data loader looks for a sampler in its batch sampler and in the one within. Where several processes
    go on in the middle of an epoch, ours is one deeper, and the rest of that epoch would be that of epoch 0. So it is
    hung up where accelerate hangs its own.

    Args:
        loader: What `Accelerator.prepare` has made of a data loader with this sampler.
        sampler: The sampler.
    """
    loader.set_sampler(sampler)


def _up_to(multiple: int, count: int) -> int:
    """Return the first multiple that is not below a number."""
    return -(-count // multiple) * multiple


def _shuffled(count: int, random: np.random.Generator) -> NDArray[np.uint32]:
    order = np.arange(count, dtype=_INDEX)
    random.shuffle(order)
    return order


def _divide(total: int, weights: Sequence[float]) -> list[int]:
    """Divide a number by weights into whole numbers: what is left goes to the largest remainders."""
    shares = [total * weight / sum(weights) for weight in weights]
    parts = [int(share) for share in shares]
    by_remainder = sorted(range(len(parts)), key=lambda index: parts[index] - shares[index])
    for index in by_remainder[: total - sum(parts)]:
        parts[index] += 1
    return parts


def _passes(start: int, size: int, count: int, random: np.random.Generator) -> NDArray[np.uint32]:
    """Draw so many records of a dataset that begins at `start`, pass after pass through all of it."""
    passes = np.tile(np.arange(start, start + size, dtype=_INDEX), (-(-count // size), 1))
    return random.permuted(passes, axis=1, out=passes).ravel()[:count]


def _by_length(
    order: NDArray[np.uint32], lengths: NDArray[np.unsignedinteger], batch_size: int, random: np.random.Generator
) -> NDArray[np.uint32]:
    """Sort within stretches of some batches, longest first, then shuffle the batches; the last may be smaller."""
    for start in range(0, len(order), batch_size * _SORTED_BATCHES):
        stretch = order[start : start + batch_size * _SORTED_BATCHES]
        stretch[:] = stretch[np.argsort(lengths[stretch], kind="stable")[::-1]]
    count = len(order) // batch_size
    if not count:
        return order
    batches = order[: count * batch_size].reshape(count, batch_size)
    places = random.permutation(count)
    longest = lengths[batches[places, 0]].argmax()
    batches[:] = batches[np.roll(places, -longest)]
    return order
