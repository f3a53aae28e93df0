"""A piece of a dataset, as large as one task, and what a worker counts in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from phi3v_data.formats.kinds import open_record_file
from phi3v_data.formats.record_file import BadShard
from phi3v_data.image_folder import ImageFolder
from phi3v_data.lengths import BYTES_PER_TOKEN, UNKNOWN_SIZE, TokenCounter
from phi3v_data.lines import read_lines
from phi3v_data.stats.measure import ImageMeter
from phi3v_data.stats.tally import Tally
from phi3v_data.validate.decode import try_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from phi3v_data.formats.images import ImageStore
    from phi3v_schemas import Record

__all__ = ["Counted", "Piece", "Setting", "count_piece", "forget"]


@dataclass(frozen=True)
class Setting:
    """What is common to all pieces of a dataset.

    Args:
        images: The images folder.
        measures: Whether images are looked at.
        tokenizer: The folder of the model's tokenizer; None estimates the tokens of texts.
        num_crops: The most crops an image is scaled to.
        max_length: Tokens beyond which a record is too long.
    """

    images: Path
    measures: bool
    tokenizer: Path | None
    num_crops: int
    max_length: int


@dataclass(frozen=True)
class Piece:
    """Some lines of a file, or a whole shard.

    Args:
        setting: How they are counted.
        split: The split they belong to.
        path: The file.
        start: Byte at which the first line begins.
        size: Bytes.
        is_shard: Whether it is a whole shard.
    """

    setting: Setting
    split: str
    path: Path
    start: int
    size: int
    is_shard: bool


class Counted(NamedTuple):
    """What was counted, and why no more where the file could not be read to its end: the end of a sentence about it."""

    tally: Tally
    fault: str | None


def count_piece(piece: Piece) -> Counted:
    """Count a piece; a line that is no record is counted too, and a file that cannot be read is told of."""
    tally = Tally()
    counter = _counter(piece.setting)
    try:
        for data, held in _shard(piece) if piece.is_shard else _section(piece):
            if (record := try_record(data)) is None:
                tally.broken += 1
            else:
                counter.count(record, held, tally)
    except BadShard as error:
        return Counted(tally, error.fault)
    except OSError as error:
        return Counted(tally, f"cannot be read: {error.strerror or error}")
    return Counted(tally, None)


def forget() -> None:
    """Forget what is known of images: they may be others by the next run."""
    _counter.cache_clear()


def _section(piece: Piece) -> Iterator[tuple[bytes | None, None]]:
    with piece.path.open("rb") as file:
        file.seek(piece.start)
        for line in takewhile(lambda line: line.offset < piece.size, read_lines(file)):
            if not line.is_blank:
                yield line.data, None


def _shard(piece: Piece) -> Iterator[tuple[bytes | None, ImageStore]]:
    for sample in open_record_file(piece.path, ImageFolder(piece.path.parent)).samples():
        yield sample.data, sample.images


@lru_cache(maxsize=1)
def _counter(setting: Setting) -> _RecordCounter:
    """Keep what is known of images from piece to piece."""
    return _RecordCounter(setting)


class _RecordCounter:
    def __init__(self, setting: Setting) -> None:
        self._tokens = TokenCounter(setting.num_crops, setting.tokenizer, bytes_per_token=BYTES_PER_TOKEN)
        self._meter = ImageMeter(setting.images) if setting.measures else None
        self._max_length = setting.max_length

    def count(self, record: Record, held: ImageStore | None, tally: Tally) -> None:
        for turn in record.conversations:
            tally.user.add(turn.user)
            if turn.assistant is not None:
                tally.assistant.add(turn.assistant)
        if turn.assistant is None:
            tally.prompts += 1
        else:
            tally.answers.add(turn.assistant)
        paths = record.image_paths()
        tally.turns.add(len(record.conversations))
        tally.images.add(len(paths))
        of_images = self._tokens.of_images(self._sizes(paths, held, tally))
        tokens = of_images + self._tokens.of_rest(record)
        tally.image_tokens += of_images
        tally.tokens.add(tokens)
        tally.too_long += tokens > self._max_length

    def _sizes(self, paths: list[str], held: ImageStore | None, tally: Tally) -> list[tuple[int, int]]:
        if self._meter is None:
            return [UNKNOWN_SIZE] * len(paths)
        seen = {path: self._meter.measure(path, held) for path in dict.fromkeys(paths)}
        sizes = []
        for path in paths:
            image = seen[path]
            tally.pictures.add(image)
            sizes.append(UNKNOWN_SIZE if image is None else (image.width, image.height))
        return sizes
