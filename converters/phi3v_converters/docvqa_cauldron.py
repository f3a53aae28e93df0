"""What the Cauldron adds to DocVQA: a line that asks for brevity to each question, a full stop to each answer."""

from __future__ import annotations

import re

from phi3v_data.errors import SourceError

__all__ = ["cauldron_answer", "cauldron_question"]

_ENDINGS = {
    "Make the answer very short.",
    "Give a very brief answer.",
    "Your answer should be very brief.",
    "Offer a terse response.",
    "Provide a succinct answer.",
    "Keep it short and to the point.",
    "Ensure brevity in your answer.",
    "Offer a very short reply.",
    "Your response must be concise.",
    "Your answer should be compact.",
    "Provide a short and direct response.",
}
_OWN_STOP = re.compile(r"\.[A-Za-z]?\.$")
"""As in "U.S." and "etc...": no stop is added where there is one. Whose the stop of "Inc." is cannot be known."""


def cauldron_question(user: str) -> str:
    """Return the question of a prompt.

    Raises:
        SourceError: The prompt does not end as those of DocVQA do: it is another dataset's.
    """
    question, _, ending = user.rpartition("\n")
    if ending.strip() not in _ENDINGS or not question.strip():
        raise SourceError("not_docvqa", f"the prompt ends with {ending[:80]!r}, as none of the Cauldron's DocVQA does")
    return question.strip()


def cauldron_answer(assistant: str) -> str:
    """Return the answer without the full stop that the Cauldron adds."""
    return assistant if _OWN_STOP.search(assistant) else assistant.removesuffix(".") or assistant
