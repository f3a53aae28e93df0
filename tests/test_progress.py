"""The line that shows how far a validation has come."""

from __future__ import annotations

import io
import os
import pty
from typing import TYPE_CHECKING

import pytest

from phi3v_data.progress import show_progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, TextIO]]:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    reader, writer = pty.openpty()
    with open(writer, "w", encoding="utf-8") as stream:  # noqa: PTH123 -- a descriptor
        yield reader, stream
    os.close(reader)


def read(reader: int) -> str:
    os.set_blocking(reader, False)
    text = ""
    try:
        while piece := os.read(reader, 65_536):
            text += piece.decode()
    except BlockingIOError:
        return text
    return text


def test_a_terminal_sees_how_far_and_how_fast(terminal: tuple[int, TextIO]) -> None:
    reader, stream = terminal
    with show_progress(stream=stream) as on_progress:
        on_progress(25_000_000, 100_000_000)
        drawn = read(reader)
        for _ in range(1000):
            on_progress(30_000_000, 100_000_000)
        again = read(reader)
    assert "validating" in drawn
    assert " 25%" in drawn
    assert "25.0/100.0 MB" in drawn
    assert again.count("validating") < 1000


def test_a_pipe_has_no_end_to_count_to(terminal: tuple[int, TextIO]) -> None:
    reader, stream = terminal
    with show_progress(stream=stream) as on_progress:
        on_progress(25_000_000, None)
        assert "25.0/? MB" in read(reader)


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_the_line_is_wiped_away(terminal: tuple[int, TextIO], error: type[BaseException] | None) -> None:
    reader, stream = terminal
    try:
        with show_progress(stream=stream) as on_progress:
            on_progress(1, 2)
            if error:
                raise error
    except (ValueError, KeyboardInterrupt):
        pass
    text = read(reader)
    assert text.endswith("\x1b[2K")
    assert text.index("\x1b[?25l") < text.index("\x1b[?25h")  # the cursor is hidden, and shown again


def test_what_is_no_terminal_sees_nothing() -> None:
    with show_progress(stream=(stream := io.StringIO())) as on_progress:
        on_progress(1, 2)
    assert stream.getvalue() == ""
