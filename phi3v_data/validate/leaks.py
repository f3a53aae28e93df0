"""E5xx: what is in several splits of a dataset, so that a model is tested on what it was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from xxhash import xxh3_128, xxh3_128_digest

from phi3v_data.image_folder import ImageFolder, UnsafePath
from phi3v_data.media.checks import BadImage
from phi3v_data.printable import counted, quote
from phi3v_data.validate.columns import NOTHING, Column
from phi3v_data.validate.crossing import (
    append,
    confirmed,
    find_crossings,
    hits,
    homes,
    image_ranges,
    in_several,
    places_at,
    split_numbers,
)
from phi3v_data.validate.facts import hash_of
from phi3v_data.validate.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from phi3v_data.formats.images import ImageStore
    from phi3v_data.validate.allowed import Allowed
    from phi3v_data.validate.crossing import Crossings, Range
    from phi3v_data.validate.facts import DatasetFacts, Reread
    from phi3v_data.validate.result import Findings
    from phi3v_schemas import Record

__all__ = ["GroupInTwoSplits", "ImageInTwoSplits", "check_leaks", "image_pointer", "path_of"]

_BLOCK = 1 << 20
_ALLOWED = "What belongs in several splits is listed in a file for --allow_leaks."


class GroupInTwoSplits(Rule):
    """Records of one group are in different splits, though a group is what must stay together."""

    code = "E501"
    slug = "group-in-two-splits"
    message = "the group {group} is also in the split {other}, first at {first}; {split} has {count} of it"
    hint = (
        "A model would be tested on what it was trained on: divide the dataset anew with phi3v-data split, which keeps "
        f"groups together, or remove the records from one split. {_ALLOWED}"
    )
    bad = 'toy_train.jsonl: {"id": "a", "group": "video 7", …}\ntoy_val.jsonl: {"id": "b", "group": "video 7", …}'
    good = 'toy_train.jsonl: {"id": "a", "group": "video 7", …}\ntoy_val.jsonl: {"id": "b", "group": "video 8", …}'


class ImageInTwoSplits(Rule):
    """The same image, by its path or its bytes, is in different splits."""

    code = "W502"
    slug = "image-in-two-splits"
    message = "the image {path} is also in the split {other}, first at {first}{name}; {split} names it {count}"
    hint = (
        "A model may be tested on what it was trained on: divide the dataset anew with phi3v-data split, which keeps "
        f"records of one image together, or remove the records from one split. {_ALLOWED}"
    )
    bad = (
        'toy_train.jsonl: "images": ["train/cat.jpg"]\n'
        'toy_val.jsonl: "images": ["val/0001.jpg"], a copy of train/cat.jpg'
    )
    good = 'toy_train.jsonl: "images": ["train/cat.jpg"]\ntoy_val.jsonl: "images": ["val/dog.jpg"]'


def check_leaks(facts: DatasetFacts, findings: Findings, allowed: Allowed) -> None:
    """Report groups and images that are in several splits: once for each later split, at the first record there.

    Images are the same by their path, or by their bytes where size, beginning and end are equal and the whole then is
    too. In shards, which may hold different images of the same path, the bytes alone decide.
    """
    if len(facts.splits) < 2:
        return
    _check_groups(facts, findings, allowed)
    ranges = image_ranges(facts)
    paths = _paths(facts, ranges)
    shared = in_several(paths, ranges)
    found = find_crossings(paths, shared, ranges, _most(findings, allowed))
    _check_images(facts, findings, allowed, found, lambda again, path: _digest(path))
    contents = _contents(facts, paths, shared, ranges)
    found = find_crossings(contents, in_several(contents, ranges), ranges, _most(findings, allowed))
    _check_images(facts, findings, allowed, found, lambda again, path: _digest_image(again.images, path))


def path_of(record: Record, image: int) -> str | None:
    """Return the image path of a record that has a hash."""
    return next((path for path in record.image_paths() if hash_of(path) == image), None)


def _check_groups(facts: DatasetFacts, findings: Findings, allowed: Allowed) -> None:
    ranges = list(facts.ranges())
    found = find_crossings(facts.groups, in_several(facts.groups, ranges), ranges, _most(findings, allowed))

    def digest(again: Reread, index: int) -> bytes | None:
        return None if again.record.group is None else _digest(again.record.group)

    def report(again: Reread, first: int, number: int) -> None:
        group = again.record.group or ""
        if not allowed.allows(again.record, group):
            values = _values(facts, again, first)
            count = counted(int(found.number[number]), "record")
            problem = GroupInTwoSplits.problem(pointer="/group", group=quote(group), count=count, **values)
            findings.add(*facts.where(again.place), problem)

    crossings = confirmed(facts, found, lambda places: places, digest)
    _report(findings, GroupInTwoSplits, found, crossings, report, allowed)


def _check_images(
    facts: DatasetFacts,
    findings: Findings,
    allowed: Allowed,
    found: Crossings,
    digest_of: Callable[[Reread, str], bytes | None],
) -> None:
    names: dict[int, str] = {}  # of the images kept

    def digest(again: Reread, index: int) -> bytes | None:
        path = path_of(again.record, facts.images.at(index))
        if path is None:
            return None
        names[index] = path
        return digest_of(again, path)

    def report(again: Reread, first: int, number: int) -> None:
        path, other = names[int(found.here[number])], names[int(found.first[number])]
        if not allowed.allows(again.record, path, other):
            values = _values(facts, again, first)
            values |= {"name": "" if other == path else f" as {quote(other)}", "path": quote(path)}
            count = counted(int(found.number[number]), "time")
            problem = ImageInTwoSplits.problem(pointer=image_pointer(again.record, path), count=count, **values)
            findings.add(*facts.where(again.place), problem)

    def places(indices: NDArray[np.int64]) -> NDArray[np.int64]:
        return places_at(facts.image_places, indices)

    _report(findings, ImageInTwoSplits, found, confirmed(facts, found, places, digest), report, allowed)


def _report(
    findings: Findings,
    rule: type[Rule],
    found: Crossings,
    crossings: Iterator[tuple[int, int, Reread]],
    report: Callable[[Reread, int, int], None],
    allowed: Allowed,
) -> None:
    """Report crossings; those for which there is no room are counted unread, if nothing is allowed."""
    left_out = found.left_out
    for number, first, again in crossings:
        if findings.is_full and not allowed:
            left_out += len(found.here) - number
            break
        report(again, first, number)
    findings.count(rule, left_out)


def _most(findings: Findings, allowed: Allowed) -> int | None:
    return None if allowed else findings.room


def _values(facts: DatasetFacts, again: Reread, first: int) -> dict[str, str]:
    return {
        "split": quote(facts.split_at(again.place)),
        "other": quote(facts.split_at(first)),
        "first": facts.place_name(first),
    }


def _paths(facts: DatasetFacts, ranges: Sequence[Range]) -> Column:
    """Return the column of the images' paths as far as they say which image it is: not for those in shards."""
    if not any(span.is_shard for span in facts.files):
        return facts.images
    paths = Column()
    for span, (_, start, stop) in zip(facts.files, ranges, strict=True):
        for _, block in facts.images.blocks(start, stop):
            append(paths, np.zeros_like(block) if span.is_shard else block)
    return paths


def _contents(facts: DatasetFacts, paths: Column, shared: NDArray[np.uint64], ranges: Sequence[Range]) -> Column:
    """Return a column of what may tell the images' bytes: nothing for one whose path was met in an earlier split.

    Of images in shards that were not looked at, it is the path.
    """
    _, home = homes(paths, shared, ranges)
    contents = Column()
    for span, split, (_, start, stop) in zip(facts.files, split_numbers(ranges), ranges, strict=True):
        for place, block in facts.fingerprints.blocks(start, stop):
            values = block.copy()
            if span.is_shard:
                ((_, names),) = facts.images.blocks(place, place + len(block))
                values = np.where(values == NOTHING, names, values)
            for places, slots in hits(paths, shared, place, place + len(block)):
                values[places[home[slots] != split] - place] = NOTHING
            append(contents, values)
    return contents


def image_pointer(record: Record, path: str) -> str:
    """Return the JSON pointer to the first place where a record names an image."""
    for number, turn in enumerate(record.conversations):
        if path in (turn.images or ()):
            return f"/conversations/{number}/images/{(turn.images or []).index(path)}"
    return ""


def _digest(text: str) -> bytes:
    return xxh3_128_digest(text.encode())


def _digest_image(images: ImageStore, path: str) -> bytes | None:
    """Return a digest of all bytes of an image; None where they cannot be read any more."""
    digest = xxh3_128()
    try:
        if not isinstance(images, ImageFolder):
            return xxh3_128_digest(images.read(path))
        with images.path(path).open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except (UnsafePath, BadImage, OSError):
        return None
    return digest.digest()
