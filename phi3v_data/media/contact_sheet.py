"""The contact sheet: a few records as cards of thumbnails, to look at before anything is trained."""

from __future__ import annotations

import io
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import BinaryIO

    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont
    from PIL.ImageFont import ImageFont as BitmapFont

__all__ = ["Card", "draw_contact_sheet"]

_WIDTH = 1270  # pixels of the sheet
_GAP = 6
_LINE = 20  # pixels of a line of text
_MOST = 8  # thumbnails of a card


class Card(NamedTuple):
    """A record on the sheet: its title, what is asked and answered, and its image files, or what they hold."""

    title: str
    text: str
    images: Sequence[Path | BinaryIO]


class _Layout(NamedTuple):
    """Cards in a row, and the most pixels a thumbnail gets."""

    columns: int
    thumb: tuple[int, int]
    has_text: bool

    @property
    def card(self) -> tuple[int, int]:
        """Pixels of a card."""
        lines = 2 if self.has_text else 1
        return (_WIDTH - _GAP) // self.columns, self.thumb[1] + lines * _LINE + 2 * _GAP


def _choose_layout(cards: Sequence[Card]) -> _Layout:
    """Give single images and pairs more room than the frames of a video, and say what is asked about them."""
    most = max((len(card.images) for card in cards), default=0)
    if most <= 2:
        return _Layout(columns=4 if most < 2 else 2, thumb=(308, 232), has_text=True)
    return _Layout(columns=1, thumb=(152, 114), has_text=False)


def draw_contact_sheet(cards: Sequence[Card]) -> bytes:
    """Draw the cards, row by row; each has its first images from left to right.

    Returns:
        A JPEG.
    """
    from PIL import Image, ImageDraw, ImageFont

    layout = _choose_layout(cards)
    width, height = layout.card
    rows = max(1, -(-len(cards) // layout.columns))
    sheet = Image.new("RGB", (_WIDTH, rows * height + _GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    for number, card in enumerate(cards):
        left, top = _GAP + number % layout.columns * width, _GAP + number // layout.columns * height
        title = (
            card.title if len(card.images) <= _MOST else f"{card.title}  (first {_MOST} of {len(card.images)} images)"
        )
        draw.text((left, top), _shorten(title, font, width - 2 * _GAP), fill="black", font=font)
        if layout.has_text:
            draw.text((left, top + _LINE), _shorten(card.text, font, width - 2 * _GAP), fill="dimgray", font=font)
        for column, path in enumerate(card.images[:_MOST]):
            place = (left + column * (layout.thumb[0] + _GAP), top + height - layout.thumb[1] - 2 * _GAP)
            small = _thumbnail(path, layout.thumb)
            sheet.paste(small, place)
            frame = (*place, place[0] + small.width - 1, place[1] + small.height - 1)
            draw.rectangle(frame, outline="lightgray")  # a white page has no edge of its own
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _shorten(text: str, font: FreeTypeFont | BitmapFont, width: int) -> str:
    """Return as much of a text's end, where questions differ, as fits into so many pixels on one line."""
    text = " ".join(text.split())[-400:]
    if font.getlength(text) <= width:
        return text
    cut = bisect_left(range(len(text)), True, key=lambda start: font.getlength("…" + text[start:]) <= width)
    return "…" + text[cut:]


def _thumbnail(path: Path | BinaryIO, size: tuple[int, int]) -> Image:
    """Return a small picture, grey where the file cannot be decoded: a sheet is to show that, not to fail."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.draft("RGB", (size[0] * 2, size[1] * 2))  # a JPEG decodes straight to a smaller size
            small = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return Image.new("RGB", size, "grey")
    small.thumbnail(size)
    return small
