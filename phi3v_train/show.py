"""One record as the trainer gives it to the model: each token, each image, and what of it is learnt."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from rich.table import Table
from rich.text import Text

from phi3v_data.errors import DataError, UsageError
from phi3v_data.printable import printable
from phi3v_data.reader import Dataset
from phi3v_data.tokens import image_tokens
from phi3v_train.encode import IGNORED, Encoder, training_images
from phi3v_train.faults import describe_fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rich.console import Console
    from transformers import PreTrainedTokenizerFast

    from phi3v_data.formats.images import ImageStore
    from phi3v_schemas import Record
    from phi3v_train.encode import Encoding
    from phi3v_train.model import Phi3VProcessor

__all__ = ["show"]

_NEW_LINE = "⏎"
_STYLES = {(False, False): "", (False, True): "green", (True, False): "cyan", (True, True): "bold green"}
"""Of a token: whether it is special, and whether it is learnt."""

_LEGEND = "⟦ ⟧ learnt   <|…|> special token   ▁ space   ⏎ new line   <0xE2> a byte of a character without a token"


class _Image(NamedTuple):
    """An image of the record, its size in pixels, and how many tokens it takes."""

    path: str
    width: int
    height: int
    tokens: int


class _Piece(NamedTuple):
    """A token, or all tokens of an image, as they are shown."""

    position: int
    tokens: int
    id: int
    label: int
    shown: str
    style: str


def show(
    dataset_path: Path,
    index: int,
    *,
    split: str,
    images_dir: Path | None,
    processor: Phi3VProcessor,
    num_crops: int,
    console: Console,
    ids: bool = False,
) -> None:
    """Print a record token by token.

    Args:
        dataset_path: The dataset's folder, or a JSONL file, which is that split whatever its name.
        index: The record's place in the split, from 0; -1 is the last.
        split: The split.
        images_dir: Folder of the images; by default `images` beside the JSONL files.
        processor: The checkpoint's; its tokenizer is used.
        num_crops: The most crops an image is scaled to.
        console: Where to print; what it cannot colour is told apart by brackets.
        ids: Whether to print a table with a row for each token, its position and its id.

    Raises:
        UsageError: There is no such record.
        DataError: There is no such split, or the record cannot be read or trained on.
        CannotRun: There is no dataset.
    """
    dataset = Dataset(dataset_path, split=None if dataset_path.is_dir() else split, images_dir=images_dir)
    records = dataset.split(split)
    if not -len(records) <= index < len(records):
        raise UsageError(
            f"there is no record {index} in split {split!r} of {dataset_path}, which holds {len(records):,}: "
            "--index counts from 0"
        )
    try:
        record, store = records.load(index)
        images = [_measure(store, path, num_crops) for path in training_images(record)]
        encoding = Encoder(processor.tokenizer).encode(record, [image.tokens for image in images])
    except (DataError, OSError) as error:
        raise DataError(describe_fault(dataset, records, index, error)) from error
    pieces = list(_pieces(encoding, images, processor.tokenizer))
    wide = not console.is_terminal  # a file keeps a line as it is
    console.print(_header(record, records.place(index), encoding), soft_wrap=wide)
    if ids:
        console.print(_table(pieces))
    else:
        console.print(_sequence(pieces), soft_wrap=wide)
    console.print(Text(f"\n{_LEGEND}", "dim"), soft_wrap=wide)


def _measure(images: ImageStore, path: str, num_crops: int) -> _Image:
    with images.open(path) as image:
        return _Image(path, *image.size, image_tokens(*image.size, num_crops))


def _header(record: Record, place: str, encoding: Encoding) -> Text:
    of_images = sum(token < 0 for token in encoding.input_ids)
    learnt = sum(label != IGNORED for label in encoding.labels)
    text = Text.assemble((printable(record.id), "bold"), f"  {printable(place)}\n")
    text.append(f"{len(encoding.input_ids):,} tokens, {of_images:,} of them of images; {learnt:,} are learnt\n")
    if record.conversations[-1].assistant is None:
        text.append("The last turn has no answer and is left out.\n")
    return text


def _pieces(encoding: Encoding, images: Sequence[_Image], tokenizer: PreTrainedTokenizerFast) -> Iterator[_Piece]:
    """Go through a sequence: an image's tokens are one piece, any other token is a piece of its own."""
    special = tokenizer.added_tokens_decoder
    position = 0
    while position < len(encoding.input_ids):
        token, label = encoding.input_ids[position], encoding.labels[position]
        if token < 0:
            image = images[-token - 1]
            size = f"{image.width}x{image.height}, {image.tokens:,} tokens"
            shown, style, tokens = f"[image {-token}: {printable(image.path)} {size}]", "magenta", image.tokens
        else:
            name = tokenizer.convert_ids_to_tokens(token)
            shown, tokens = _NEW_LINE if name == "<0x0A>" else printable(name), 1
            style = _STYLES[token in special, label != IGNORED]
        yield _Piece(position, tokens, token, label, shown, style)
        position += tokens


def _sequence(pieces: Sequence[_Piece]) -> Text:
    """Write the tokens a space apart, what is learnt in brackets, and begin a line where the text does."""
    text, gap = Text(), ""
    for is_learnt, stretch in groupby(pieces, lambda piece: piece.label != IGNORED):
        for number, piece in enumerate(stretch):
            text.append(gap)
            if is_learnt and number == 0:
                text.append("⟦", "green")
            text.append(piece.shown, piece.style)
            gap = "\n" if piece.shown == _NEW_LINE else " "
        if is_learnt:
            text.append("⟧", "green")
    return text


def _table(pieces: Sequence[_Piece]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("position", "id", "token", "label"):
        table.add_column(name, justify="left" if name == "token" else "right", overflow="fold")
    for piece in pieces:
        last = piece.position + piece.tokens - 1
        place = str(last) if piece.tokens == 1 else f"{piece.position}-{last}"
        table.add_row(place, str(piece.id), Text(piece.shown, piece.style), str(piece.label))
    return table
