"""E5xx: pictures in different splits that look the same, though their bytes differ."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from phi3v_data.image_folder import UnsafePath
from phi3v_data.media.checks import BadImage
from phi3v_data.printable import quote
from phi3v_data.validate.columns import NOTHING, Column
from phi3v_data.validate.crossing import append, first_of_each, image_ranges, places_at, split_numbers
from phi3v_data.validate.leaks import image_pointer, path_of
from phi3v_data.validate.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from PIL import Image

    from phi3v_data.validate.allowed import Allowed
    from phi3v_data.validate.facts import DatasetFacts, Reread
    from phi3v_data.validate.result import Findings
    from phi3v_data.validate.rule import Problem
    from phi3v_schemas import Record

__all__ = ["PictureInTwoSplits", "check_alike", "likeness"]

_BANDS, _BAND_BITS = 4, 16
_MOST_BITS = _BANDS - 1  # so that one band at least is the same
_FLAT_BITS = 2  # of the likeness of a picture of one colour; others have about half of all
_REDUCED_SIDE = 96  # pixels
_SIDE = 32  # pixels
_TOLERANCE = 24  # levels of 256

# What bounds the work on a dataset of which very many pictures have the same likeness or nearly.
_NEIGHBOURS = 512
_MOST_LINKS = 1 << 20
_LARGEST_GROUP = 4096
_CANDIDATES = 64
_BATCH = 1024
_REJECTIONS = 64  # one after the other, upon which the rest of the group is let be


class PictureInTwoSplits(Rule):
    """Two images of different splits look the same, such as one that was scaled or saved anew."""

    code = "W503"
    slug = "picture-in-two-splits"
    message = "the image {path} looks the same as {name} in the split {other}, first at {first}"
    hint = (
        "Look at the two: if they show the same, remove one of the records, or put them in one group and divide the "
        "dataset anew with phi3v-data split. What belongs in several splits is listed in a file for --allow_leaks."
    )
    bad = (
        'toy_train.jsonl: "images": ["train/cat.jpg"]\n'
        'toy_val.jsonl: "images": ["val/0001.png"], train/cat.jpg at half its size'
    )
    good = 'toy_train.jsonl: "images": ["train/cat.jpg"]\ntoy_val.jsonl: "images": ["val/0001.png"], another cat'


@lru_cache(maxsize=1)
def likeness() -> Callable[[Image.Image], int] | None:
    """Return what computes 64 bits of a picture that differ little between pictures that look alike.

    Returns:
        The function (the perceptual hash of ImageHash, from the signs of low frequencies), or None where that library
        is not installed.
    """
    try:
        from imagehash import phash
    except ImportError:
        return None

    def compute(image: Image.Image) -> int:
        grey = image.convert("L")
        # What follows filters every pixel, at the cost of decoding; averages of some pixels serve it as well.
        small = grey.reduce(max(1, min(grey.size) // _REDUCED_SIDE))
        return int.from_bytes(np.packbits(phash(small).hash).tobytes(), "big")

    return compute


def check_alike(facts: DatasetFacts, findings: Findings, allowed: Allowed) -> None:
    """Report images that look the same as one of another split before, of each the first record.

    Their likenesses differ in 3 bits or fewer, and scaled to 32x32 grey pixels none differs by more than 24 levels of
    256: saving anew and scaling stay under that, another caption on the picture does not. Pictures without contrast are
    passed over, as are those with the same bytes, which `check_leaks` reports.
    """
    if len(facts.splits) < 2 or not len(facts.likenesses):
        return
    pictures = _pictures(facts)
    rejections: Counter[int] = Counter()  # of a group, since the last picture that was not
    doubtful = _candidates(pictures, _links(pictures), rejections)
    told: list[tuple[int, Problem]] = []
    while batch := list(islice(doubtful, _BATCH)):
        if not allowed and findings.room is not None and len(told) >= findings.room:
            findings.count(PictureInTwoSplits, len(batch) + sum(1 for _ in doubtful))
            break
        seen = _look_again(facts, {index for item in batch for index in (item.place, *item.earlier)})
        for item in batch:
            twin = _twin(item, seen)
            rejections[item.group] = 0 if twin is not None else rejections[item.group] + 1
            if twin is not None and not allowed.allows(seen[item.place].record, seen[item.place].path, twin.path):
                told.append((seen[item.place].place, _problem(facts, seen[item.place], twin)))
    for place, problem in sorted(told, key=lambda item: item[0]):
        findings.add(*facts.where(place), problem)


class _Pictures(NamedTuple):
    """Different pictures, ascending by likeness and those of the same by place.

    Attributes:
        values: Their different likenesses, ascending, (groups,).
        starts: Where the pictures of each begin, and the end of the last, (groups + 1,).
        places: Where a picture is first in the columns of images, (pictures,).
        split: The number of its split, (pictures,).
    """

    values: NDArray[np.uint64]
    starts: NDArray[np.intp]
    places: NDArray[np.int64]
    split: NDArray[np.int32]


class _Doubtful(NamedTuple):
    """A picture that may look the same as earlier ones of other splits; each by its place in the columns."""

    group: int
    place: int
    earlier: list[int]


class _Seen(NamedTuple):
    """A picture looked at again, as 32x32 levels of grey."""

    place: int
    record: Record
    path: str
    grey: NDArray[np.int16]


def _pictures(facts: DatasetFacts) -> _Pictures:
    keys = Column()
    for place, fingerprints in facts.fingerprints.blocks():
        ((_, paths),) = facts.images.blocks(place, place + len(fingerprints))
        append(keys, np.where(fingerprints == NOTHING, paths, fingerprints))
    found, indices = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    for place, is_first in first_of_each(keys):
        ((_, values),) = facts.likenesses.blocks(place, place + len(is_first))
        kept = np.flatnonzero(is_first & ~_few_bits(values, _FLAT_BITS))
        found.append(values[kept])
        indices.append(kept + place)
    likenesses, index = np.concatenate(found), np.concatenate(indices)
    del found, indices
    order = np.argsort(likenesses, kind="stable")
    likenesses, index = likenesses[order], index[order]
    starts = np.flatnonzero(np.append(True, likenesses[1:] != likenesses[:-1])[: len(likenesses)])
    ranges = image_ranges(facts)
    file = np.searchsorted([start for _, start, _ in ranges], index, side="right") - 1
    split = np.asarray(split_numbers(ranges), np.int32)[file]
    return _Pictures(likenesses[starts], np.append(starts, len(order)), index, split)


def _links(pictures: _Pictures) -> NDArray[np.intp]:
    """Return which groups may look the same as which, in both directions and of themselves too, (links, 2)."""
    if not len(pictures.values):
        return np.empty((0, 2), np.intp)
    lowest = np.minimum.reduceat(pictures.split, pictures.starts[:-1])
    highest = np.maximum.reduceat(pictures.split, pictures.starts[:-1])
    mixed = np.flatnonzero(lowest != highest)
    links, number = [np.stack([mixed, mixed], axis=1)], 0
    for one, other in _near(pictures.values):
        pair = np.stack([np.searchsorted(pictures.values, one), np.searchsorted(pictures.values, other)], axis=1)
        pair = pair[np.minimum(*lowest[pair.T]) != np.maximum(*highest[pair.T])]
        links += [pair, pair[:, ::-1]]
        number += len(pair)
        if number > _MOST_LINKS:
            break
    return np.unique(np.concatenate(links), axis=0)


def _near(values: NDArray[np.uint64]) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.uint64]]]:
    """Yield pairs of values that differ in few bits, some more than once.

    Such values have a band of bits in common. Sorted by each band in turn, each is held against those behind it that
    have the same band, up to a number.
    """
    for band in range(_BANDS):
        up, down = np.uint64(_BAND_BITS * band), np.uint64((64 - _BAND_BITS * band) % 64)
        turned = np.sort((values << up) | (values >> down))
        begin = np.arange(len(turned))
        for distance in range(1, _NEIGHBOURS + 1):
            begin = begin[begin < len(turned) - distance]
            begin = begin[(turned[begin] ^ turned[begin + distance]) >> np.uint64(64 - _BAND_BITS) == 0]
            if not len(begin):
                break
            close = begin[_few_bits(turned[begin] ^ turned[begin + distance], _MOST_BITS)]
            pair = turned[close], turned[close + distance]
            yield tuple((value >> up) | (value << down) for value in pair)


def _few_bits(values: NDArray[np.uint64], most: int) -> NDArray[np.bool_]:
    """Return whether no more bits are set in a value than `most`: each step takes the lowest one away."""
    for _ in range(most):
        values = values & (values - np.minimum(values, np.uint64(1)))
    few: NDArray[np.bool_] = values == 0
    return few


def _candidates(pictures: _Pictures, links: NDArray[np.intp], rejections: Counter[int]) -> Iterator[_Doubtful]:
    """Yield the pictures that may look the same as earlier ones, group by group; a group rejected too often ends."""
    groups, begins = np.unique(links[:, 0], return_index=True)
    ends = [*begins.tolist(), len(links)][1:]
    for group, begin, end in zip(groups.tolist(), begins.tolist(), ends, strict=True):
        linked = links[begin:end, 1]
        members = np.concatenate([np.arange(*_bounds(pictures, other)) for other in linked[:_CANDIDATES].tolist()])
        members = members[np.argsort(pictures.places[members])]
        for number in range(pictures.starts[group], pictures.starts[group + 1]):
            if rejections[group] >= _REJECTIONS:
                break
            before = pictures.places[members] < pictures.places[number]
            earlier = members[before & (pictures.split[members] != pictures.split[number])][:_CANDIDATES]
            if len(earlier):
                yield _Doubtful(group, int(pictures.places[number]), pictures.places[earlier].tolist())


def _bounds(pictures: _Pictures, group: int) -> tuple[int, int]:
    start, stop = pictures.starts[group : group + 2].tolist()
    return start, min(stop, start + _LARGEST_GROUP)


def _look_again(facts: DatasetFacts, indices: set[int]) -> dict[int, _Seen]:
    """Read images again, those that can be read, with some contrast, and scale them down."""
    wanted = np.asarray(sorted(indices), np.int64)
    places = places_at(facts.image_places, wanted)
    seen = {}
    for again in facts.read(np.unique(places)):
        low, high = np.searchsorted(places, (again.place, again.place + 1))
        for index in wanted[low:high].tolist():
            path = path_of(again.record, facts.images.at(index))
            if path is not None and (grey := _grey(again, path)) is not None:
                seen[index] = _Seen(again.place, again.record, path, grey)
    return seen


def _grey(again: Reread, path: str) -> NDArray[np.int16] | None:
    from PIL import Image

    try:
        with again.images.open(path) as image:
            small = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    except (UnsafePath, BadImage, OSError, ValueError, SyntaxError):  # it was sound when its likeness was taken
        return None
    grey = np.asarray(small, np.int16)
    return grey if np.ptp(grey) > _TOLERANCE else None


def _twin(item: _Doubtful, seen: dict[int, _Seen]) -> _Seen | None:
    """Return the first earlier picture that looks the same."""
    if item.place not in seen:
        return None
    mine = seen[item.place].grey
    others = (seen[index] for index in item.earlier if index in seen)
    return next((other for other in others if np.abs(other.grey - mine).max() <= _TOLERANCE), None)


def _problem(facts: DatasetFacts, mine: _Seen, twin: _Seen) -> Problem:
    return PictureInTwoSplits.problem(
        pointer=image_pointer(mine.record, mine.path),
        path=quote(mine.path),
        name=quote(twin.path),
        other=quote(facts.split_at(twin.place)),
        first=facts.place_name(twin.place),
    )
