"""W705: answers that are none of those the question itself lists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from phi3v_data.printable import quote
from phi3v_data.validate.listed import WORD, Listed, is_letter, listed_in, words_of
from phi3v_data.validate.rule import Problem, Rule

if TYPE_CHECKING:
    from phi3v_schemas import Record

__all__ = ["AnswerNotInList", "check_class_list"]


class AnswerNotInList(Rule):
    """The question lists the answers it permits, and the answer is another."""

    code = "W705"
    slug = "answer-not-in-list"
    message = "the answer {answer} is none of the {count} that 'user' of turn {turn} lists"
    hint = "Correct the answer, or add it to the list; letters of either case and a final full stop make no difference."
    bad = (
        '{"id": "a", "source": "s", "conversations": [{"user": "Classify the text into one of the following classes: '
        'cat, dog.", "assistant": "bird"}]}'
    )
    good = bad.replace("bird", "dog")


_LONGEST = 20_000  # characters of a text that is looked at
_MORE_WORDS = 3  # of an answer than its longest item has; a longer answer reasons, or is to another question
_DECLINES = re.compile(  # says that none fits, or that it cannot be known
    r"\b(?:none|neither|nothing|unknown|unclear|unsure|uncertain|unable|undetermined|unanswerable|not\s+(?:sure|enough)"
    r"|can(?:not|['\u2019]t)|don['\u2019]t\s+know)\b",
    re.IGNORECASE,
)
_BY_PLACE = frozenset(["first", "second", "third", "fourth", "fifth", "last", "former", "latter", "both", "all"])


def check_class_list(record: Record) -> list[Problem]:
    """Return which answers are none of those that their question itself lists, as far as that is sure."""
    problems: list[Problem] = []
    for number, turn in enumerate(record.conversations):
        answer = turn.assistant
        if answer is None or (listed := _recent.listed_in(turn.user)) is None:
            continue
        if answer not in listed.spelt and not _is_permitted(answer, listed):
            problems.append(
                AnswerNotInList.problem(
                    pointer=f"/conversations/{number}/assistant",
                    answer=quote(answer),
                    count=len(listed.spelt),
                    turn=number + 1,
                )
            )
    return problems


class _Recent:
    """What the last text lists: a dataset asks one question a million times, and to compare is faster than to hash."""

    def __init__(self) -> None:
        self._text = ""
        self._listed: Listed | None = None

    def listed_in(self, text: str) -> Listed | None:
        """Return the answers that a text permits; None where it lists none, or may mean something else."""
        if text != self._text:
            if len(text) > _LONGEST or not (":" in text or " or " in text or "B)" in text or "B." in text):
                return None
            self._text, self._listed = text, listed_in(text)
        return self._listed


_recent = _Recent()


def _is_permitted(answer: str, listed: Listed) -> bool:
    """Return whether an answer is or names a permitted one, or says so much that it may mean one."""
    words = words_of(answer)
    if len(words) > listed.most_words + _MORE_WORDS or "".join(words) in listed.joined:
        return True
    if _DECLINES.search(answer):
        return True
    if listed.are_letters and not is_letter("".join(words)):  # says what the letter stands for
        return True
    if not answer.isascii() and any(item in "".join(words) for item in listed.joined):  # some scripts part no words
        return True
    if not listed.letters.isdisjoint(letters := WORD.findall(answer)) or not _BY_PLACE.isdisjoint(words):
        return True
    if listed.letters.issuperset("".join(letters)):  # "AB": several at once
        return True
    starts = range(len(words))
    runs = ("".join(words[start : end + 1]) for start in starts for end in starts[start:])
    return any(len(run) > 1 and run in listed.joined for run in runs)
