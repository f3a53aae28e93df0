"""What a terminal may show as it is, and how the rest is written."""

from __future__ import annotations

from phi3v_data.printable import printable


def test_letters_of_all_scripts_stay() -> None:
    assert printable("") == ""
    assert printable(r"naïve 東京 👍 \n") == r"naïve 東京 👍 \n"


def test_what_could_move_the_cursor_or_hide_is_escaped() -> None:
    assert printable("a\x1b[31m\r\n\tb") == r"a\x1b[31m\r\n\tb"
    assert printable("\x9b\u202e\u200b\ud800\U000e0041") == r"\x9b\u202e\u200b\ud800\U000e0041"
