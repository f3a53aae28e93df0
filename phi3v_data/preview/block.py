"""Some records of the page, made in a worker: first what they would take, then what they get."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from phi3v_data.errors import DataError
from phi3v_data.formats.kinds import open_record_file
from phi3v_data.image_folder import ImageFolder
from phi3v_data.lengths import BYTES_PER_TOKEN, UNKNOWN_SIZE, TokenCounter
from phi3v_data.media.checks import BadImage
from phi3v_data.preview.card import MOST_PICTURES, card_of, fit, raw_card
from phi3v_data.preview.escaped import escaped, escaped_size
from phi3v_data.preview.shares import Shares, Wish
from phi3v_data.preview.strip import make_strip
from phi3v_data.preview.thumbnails import Thumbnail, Thumbnails
from phi3v_data.validate.decode import try_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from phi3v_data.formats.images import ImageStore
    from phi3v_data.formats.record_file import RecordFile
    from phi3v_data.preview.choosing import Place
    from phi3v_data.preview.sources import Source
    from phi3v_schemas import Record

__all__ = ["Block", "Made", "Setting", "forget", "make_block", "survey_block"]

_MOST_MEASURED = 1000  # images of a record whose sizes are looked for, to count their tokens


@dataclass(frozen=True)
class Setting:
    """What is common to all blocks.

    Args:
        classes: The number of each class.
        tokenizer: The folder of the model's tokenizer; None estimates the tokens of texts.
        num_crops: The most crops an image is scaled to.
        shares: What each record gets; None while that is asked.
    """

    classes: dict[str, int]
    tokenizer: Path | None
    num_crops: int
    shares: Shares | None = None


@dataclass(frozen=True)
class Block:
    """Records that follow each other on the page.

    Args:
        setting: What is common to all blocks.
        first: The number of the first.
        sources: The files they are in, by number.
        places: Where each is.
        findings: What was found about each, as the page is told.
        wishes: What each would take; empty while that is asked.
    """

    setting: Setting
    first: int
    sources: Mapping[int, Source]
    places: Sequence[Place]
    findings: Sequence[list[dict[str, Any]]]
    wishes: Sequence[Wish] = field(default=())


class Made(NamedTuple):
    """A block as it stands on the page.

    Args:
        records: JSON.
        strips: A line for each record: the base64 of its strip, or nothing.
    """

    records: bytes
    strips: bytes


def survey_block(block: Block) -> list[Wish]:
    """Return what each record of a block would take in full."""
    wishes = []
    for index, (record, data, _) in enumerate(_read(block)):
        card = _card(block, index, record, data)
        for image in card["images"]:
            image |= {"w": 99999, "h": 99999, "x": 99999, "cw": 999}
        card |= {"strip": {"w": 99999, "h": 999}, "tokens": 9_999_999}
        wishes.append(Wish(escaped_size(card) + 1, len(card["images"])))
    return wishes


def make_block(block: Block) -> Made:
    """Make a block; what its first records leave of their room, its later ones may use."""
    assert block.setting.shares is not None
    shares = block.setting.shares
    thumbnails = _thumbnails(shares.height)
    cards, strips, room = [], [], 0
    for index, (record, data, images) in enumerate(_read(block)):
        card = _card(block, index, record, data)
        wish = block.wishes[index]
        room += wish.pictures * shares.picture
        seen = {path: thumbnails.of(path, images) for path in dict.fromkeys(image["path"] for image in card["images"])}
        card["tokens"] = _tokens(block.setting, record, seen, images)
        strip = _illustrate(card, [seen[image["path"]] for image in card["images"]], shares.quality, room)
        fit(card, min(wish.text, shares.text) + shares.spare * wish.pictures - 1)  # and a comma
        room -= len(strip)
        cards.append(card)
        strips.append(strip)
    return Made(f"[{','.join(map(escaped, cards))}]".encode(), b"\n".join(strips))


def _card(block: Block, index: int, record: Record | None, data: bytes | None) -> dict[str, Any]:
    place = block.places[index]
    source = block.sources[place.file]
    card = raw_card(data) if record is None else card_of(record)
    answer = None if record is None else record.conversations[-1].assistant
    return {
        "i": block.first + index,
        "split": source.split,
        "file": source.name,
        "line": place.line,
        "tokens": 0,
        "class": None if answer is None else block.setting.classes.get(answer),
        "findings": [dict(finding) for finding in block.findings[index]],
        "strip": None,
        **card,
    }


def _illustrate(card: dict[str, Any], thumbnails: Sequence[Thumbnail], quality: int, room: int) -> bytes:
    """Tell a card of its images, and return the base64 of the strip that shows them."""
    pictures = [thumbnail.picture for thumbnail in thumbnails if thumbnail.picture is not None]
    strip = make_strip(pictures, quality, room * 3 // 4 - 3)
    cells = iter(strip.cells if strip else ())
    for image, thumbnail in zip(card["images"], thumbnails, strict=True):
        x, width = next(cells, (0, 0)) if thumbnail.picture is not None else (0, 0)
        image |= {"w": thumbnail.width, "h": thumbnail.height, "x": x, "cw": width}
        if thumbnail.fault is not None or strip is None:
            image["fault"] = thumbnail.fault or "has no room on this page"
    if strip is None:
        return b""
    card["strip"] = {"w": strip.width, "h": strip.height}
    return base64.b64encode(strip.data)


def _tokens(setting: Setting, record: Record | None, seen: Mapping[str, Thumbnail], images: ImageStore) -> int:
    if record is None:
        return 0
    sizes: dict[str, tuple[int, int]] = {path: (image.width, image.height) for path, image in seen.items()}
    paths = record.image_paths()
    for path in dict.fromkeys(paths[MOST_PICTURES:_MOST_MEASURED]):
        if path not in sizes:
            sizes[path] = _size(path, images)
    counter = _counter(setting.num_crops, setting.tokenizer)
    return counter.of_images([sizes.get(path, UNKNOWN_SIZE) for path in paths]) + counter.of_rest(record)


def _size(path: str, images: ImageStore) -> tuple[int, int]:
    try:
        header = images.header(path)
    except (DataError, BadImage, OSError):
        return UNKNOWN_SIZE
    return header.width, header.height


def _read(block: Block) -> Iterator[tuple[Record | None, bytes | None, ImageStore]]:
    """Read the records again; what cannot be is as a line that is none."""
    for place in block.places:
        source = block.sources[place.file]
        images = _folder(source.images)
        try:
            sample = _file(source.path, source.images).sample(place.key)
        except (DataError, OSError):  # gone or changed since
            yield None, None, images
        else:
            yield try_record(sample.data), sample.data, sample.images


def forget() -> None:
    """Forget files and images: they may be others by the next run."""
    for known in (_folder, _file, _thumbnails):
        known.cache_clear()


@lru_cache(maxsize=4)
def _folder(root: Path) -> ImageFolder:
    return ImageFolder(root)


@lru_cache(maxsize=4)
def _file(path: Path, images: Path) -> RecordFile:
    return open_record_file(path, _folder(images))


@lru_cache(maxsize=1)
def _thumbnails(height: int) -> Thumbnails:
    return Thumbnails(height)


@lru_cache(maxsize=1)
def _counter(num_crops: int, tokenizer: Path | None) -> TokenCounter:
    return TokenCounter(num_crops, tokenizer, bytes_per_token=BYTES_PER_TOKEN)
