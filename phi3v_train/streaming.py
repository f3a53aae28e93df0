"""An answer written while it is said."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from transformers.generation.streamers import BaseStreamer

from phi3v_data.printable import printable

if TYPE_CHECKING:
    from typing import TextIO

    from torch import Tensor
    from transformers import PreTrainedTokenizerFast

__all__ = ["AnswerStream"]

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")

_NOT_PLAIN = re.compile(r"[^\n\t\u00a0\u202f\u3000\u200c\u200d]+")
"""What a terminal gets through `printable`: lines, spaces of other scripts and the joints of emoji are harmless."""


class AnswerStream(BaseStreamer):
    """Writes the one answer of a `generate` call as it comes, to the letter as `answer` returns it.

    A character of several tokens is written whole, so what is written never has to change.

    Args:
        tokenizer: The model's.
        out: Where. On a terminal, what could move the cursor is escaped.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, out: TextIO) -> None:
        self._tokenizer = tokenizer
        self._out = out
        self._open_tokens = _open_tokens(tokenizer)
        self._has_seen_prompt = False
        self._ids: list[int] = []
        self._written = 0

    def put(self, value: Tensor) -> None:
        """Take the prompt, which comes first, or the next token."""
        if not self._has_seen_prompt:
            self._has_seen_prompt = True
            return
        self._ids += value.tolist()
        if self._ids[-1] not in self._open_tokens:
            self._write_text()

    def end(self) -> None:
        """Write what was held back, and a new line."""
        self._write_text()
        self._write("\n")

    def break_off(self) -> None:
        """End the line of an answer that will not be ended."""
        if self._written:
            self._write("\n")

    def _write_text(self) -> None:
        text = self._tokenizer.decode(self._ids, skip_special_tokens=True).strip()
        if len(text) > self._written:
            self._write(text[self._written :])
            self._written = len(text)

    def _write(self, text: str) -> None:
        if self._out.isatty():
            text = _NOT_PLAIN.sub(lambda part: printable(part[0]), text)
        self._out.write(text)
        self._out.flush()


def _open_tokens(tokenizer: PreTrainedTokenizerFast) -> set[int]:
    """Return the tokens after which the text may still change: bytes, and special tokens, which may be among them."""
    of_bytes = (number for token, number in tokenizer.get_vocab().items() if _BYTE.fullmatch(token))
    return {*of_bytes, *tokenizer.added_tokens_decoder}
