"""Text from the data in a picture: in fonts that have its characters, cut to size, and never taken for formulas."""

from __future__ import annotations

from typing import Any

from phi3v_data.stats.width import cut

__all__ = ["Lettering"]

_OWN = "DejaVu Sans"  # comes with matplotlib
_OTHERS = (  # have what it lacks: Chinese, Japanese and Korean above all
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Hiragino Sans",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "Arial Unicode MS",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
)


class Lettering:
    """Knows the fonts of this machine; matplotlib must be installed."""

    def __init__(self) -> None:
        from matplotlib.font_manager import fontManager

        installed = set(fontManager.get_font_names())
        self._families = [_OWN, *(name for name in _OTHERS if name in installed)]
        self._characters = set(map(chr, set().union(*map(_code_points, self._families))))

    def fit(self, text: str, columns: int) -> str:
        """Return a text that can be written, in so many columns; what no font has is escaped as Python escapes it."""
        return cut("".join(char if char in self._characters else _escape(char) for char in text), columns)

    def write(self, text: Any) -> None:
        """Give a text of matplotlib these fonts, and let its dollar signs be dollar signs."""
        text.set_parse_math(False)
        text.set_fontfamily(self._families)


def _code_points(family: str) -> set[int]:
    from matplotlib.font_manager import findfont, get_font

    return set(get_font(findfont(family)).get_charmap())


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode()
