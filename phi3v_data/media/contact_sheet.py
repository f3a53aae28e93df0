"""The contact sheet: a few records as rows of thumbnails, to look at before anything is trained."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PIL.Image import Image

__all__ = ["draw_contact_sheet"]

_THUMB = (152, 114)  # pixels, the largest a thumbnail gets
_GAP = 6
_TITLE = 22  # pixels above each row
_COLUMNS = 8
_LONGEST_TITLE = 90  # characters


def draw_contact_sheet(rows: Sequence[tuple[str, Sequence[Path]]]) -> bytes:
    """Draw one row per record: its title, and its first images from left to right.

    Args:
        rows: Title and image files of each record.

    Returns:
        A JPEG, `_COLUMNS` thumbnails wide.
    """
    from PIL import Image, ImageDraw, ImageFont

    height = max(1, len(rows)) * (_TITLE + _THUMB[1] + _GAP) + _GAP
    sheet = Image.new("RGB", (_COLUMNS * (_THUMB[0] + _GAP) + _GAP, height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    for row, (title, paths) in enumerate(rows):
        top = _GAP + row * (_TITLE + _THUMB[1] + _GAP)
        draw.text((_GAP, top + 2), _shorten(title, len(paths)), fill="black", font=font)
        for column, path in enumerate(paths[:_COLUMNS]):
            sheet.paste(_thumbnail(path), (_GAP + column * (_THUMB[0] + _GAP), top + _TITLE))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _shorten(title: str, images: int) -> str:
    text = title if len(title) <= _LONGEST_TITLE else title[: _LONGEST_TITLE - 1] + "…"
    return text if images <= _COLUMNS else f"{text}  (first {_COLUMNS} of {images} images)"


def _thumbnail(path: Path) -> Image:
    """Return a small picture, grey where the file cannot be decoded: a sheet is to show that, not to fail."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.draft("RGB", (_THUMB[0] * 2, _THUMB[1] * 2))  # a JPEG decodes straight to a smaller size
            small = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return Image.new("RGB", _THUMB, "grey")
    small.thumbnail(_THUMB)
    return small
