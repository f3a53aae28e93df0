"""The image sets of NLVR2 where they are not named, as in the Cauldron: pairs of one set share their sentences."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SharedSentences"]


class SharedSentences:
    """Sentences joined into sets: two belong together when a pair has both, or when a chain of pairs links them.

    A pair need not have every sentence of its set, so one sentence alone would not tell that two pairs belong together.
    """

    def __init__(self) -> None:
        self._above: dict[bytes, bytes] = {}

    def join(self, prompts: Sequence[str]) -> None:
        """Put the sentences of one pair into one set."""
        tops = {self._top(_key(prompt)) for prompt in prompts}
        self._above.update(dict.fromkeys(tops, min(tops, default=b"")))

    def name(self, prompt: str) -> str:
        """Return what the set of a prompt's sentence is called, the same in whatever order the pairs were joined."""
        return self._top(_key(prompt)).hex()

    def _top(self, key: bytes) -> bytes:
        while (above := self._above.setdefault(key, key)) != key:
            self._above[key] = key = self._above[above]
        return key


def _key(prompt: str) -> bytes:
    """Return a short stand-in for the sentence between the first quotation mark and the last."""
    sentence = prompt.partition('"')[2].rpartition('"')[0] or prompt
    return hashlib.sha256(sentence.encode("utf-8", "surrogatepass")).digest()[:8]
