"""W705: answers that are none of those the question itself lists."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from phi3v_data.validate.rule import Problem, Rule, quote

if TYPE_CHECKING:
    from collections.abc import Sequence

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
_LONGEST_END = 60  # characters in which a text says "Answer yes or no."
_MOST_WORDS = 8  # of an item; a longer one is a sentence
_YES_OR_NO = re.compile(
    r"\banswer(?:\s+only)?(?:\s+with)?(?:\s+either)?\s+[\"']?(?:(yes)[\"']?\s+or\s+[\"']?(no)|(true)[\"']?\s+or\s+[\"']?(false))"
    r"[\"']?(?:\s+only)?[.!]?\s*$",
    re.IGNORECASE,
)
_INTRODUCTION = re.compile(
    r"\b(?:(?:one\s+of|from|among|between)\s+(?:the\s+|these\s+)?(?:following\s+)?(?:[a-z]+\s+)?"
    r"(?:classes|categories|labels|options|choices|answers|following)"
    r"|(?:choose|select|pick|answer)\s+(?:with\s+)?(?:one\s+of|from|one\s+from)|options|choices|classes)\s*:\s*",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"\.\s+(?=\S)")
_ADVICE = re.compile(
    r"(?:answer|respond|reply|output|only|give|do|return|write|please|use|say|choose)\b", re.IGNORECASE
)
_LETTERED = re.compile(r"^[ \t]*\(?([A-Z])[).:][ \t]+(\S[^\n]*)", re.MULTILINE)
_LETTER = re.compile(r"\(?([a-z0-9])[).:]\s*(.*)", re.DOTALL)
_LETTER_FIRST = re.compile(r"\(?([a-z0-9])(?:\W|$)")
_BULLET = re.compile(r"[-*\u2022]\s+")
_LAST = re.compile(r"\s+(?:or|and)\s+")
_LAST_SIGN = re.compile(r"(?:or|and)\s+")
_OPEN_END = re.compile(r"…|\.\.\.|\betc\b")


class _Listed(NamedTuple):
    """The answers that a text permits: as it lists them, and as they are compared."""

    spelt: frozenset[str]
    plain: frozenset[str]


def check_class_list(record: Record) -> list[Problem]:
    """Return which answers are none of those that their question itself lists, as far as that is sure."""
    problems: list[Problem] = []
    for number, turn in enumerate(record.conversations):
        answer = turn.assistant
        if answer is None or (listed := _recent.listed_in(turn.user)) is None:
            continue
        if answer not in listed.spelt and not _is_permitted(_plain(answer), listed.plain):
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
        self._listed: _Listed | None = None

    def listed_in(self, text: str) -> _Listed | None:
        """Return the answers that a text permits; None where it lists none, or may mean something else."""
        if text != self._text:
            if len(text) > _LONGEST or not (":" in text or " or " in text or "B)" in text or "\nB" in text):
                return None
            self._text, self._listed = text, _listed_in(text)
        return self._listed


_recent = _Recent()


@lru_cache(maxsize=64)
def _listed_in(text: str) -> _Listed | None:
    end = text[-_LONGEST_END:]
    if " or " in end and (ends := _YES_OR_NO.search(end)):
        return _YES_NO if ends[1] else _TRUE_FALSE
    if lettered := _lettered(text):
        return lettered
    if ":" not in text:
        return None
    introductions = list(_INTRODUCTION.finditer(text))
    if len(introductions) != 1:
        return None
    items = _items(text[introductions[0].end() :])
    if len(items) < 2 or not all(items) or any(len(item.split()) > _MOST_WORDS for item in items):
        return None
    return _listed(items)


def _listed(items: Sequence[str]) -> _Listed:
    plain = {_plain(item) for item in items}
    for item in list(plain):
        if behind := _LETTER.fullmatch(item):
            plain.update((behind[1], behind[2]))
    return _Listed(frozenset(items), frozenset(plain - {""}))


def _plain(text: str) -> str:
    """Return an answer as it is compared."""
    return text.strip().removesuffix(".").strip(" \t\n\"'`*").casefold()


_YES_NO, _TRUE_FALSE = _listed(["yes", "no"]), _listed(["true", "false"])


def _lettered(text: str) -> _Listed | None:
    """Return the answers of options on lines of their own, each behind a letter."""
    if "\nB" not in text and "B)" not in text:
        return None
    options = _LETTERED.findall(text)
    letters = [letter for letter, _ in options]
    if len(letters) < 2 or letters != [chr(ord("A") + index) for index in range(len(letters))]:
        return None
    return _listed([f"{letter}. {item.strip()}" for letter, item in options])


def _items(text: str) -> list[str]:
    """Return the items of a list at the head of a text: parted by commas on one line, or one a line; [] if unsure."""
    line = text.partition("\n")[0]
    if "," not in line and "\n" in text.strip():
        paragraph = text.partition("\n\n")[0]
        return [_BULLET.sub("", item.strip(), count=1) for item in paragraph.strip().split("\n")]
    end = _SENTENCE.search(line)
    if end is not None:
        if not _ADVICE.match(line, end.end()):
            return []
        line = line[: end.start()]
    if _OPEN_END.search(line):
        return []
    items = [item.strip() for item in line.strip().removesuffix(".").split(",")]
    *others, last = items
    parts = _LAST.split(last)
    if _LAST_SIGN.match(last):
        return [*others, _LAST_SIGN.sub("", last, count=1)]
    return [*others, *parts, last] if others and len(parts) == 2 else [*others, *parts]


def _is_permitted(answer: str, permitted: frozenset[str]) -> bool:
    """Return whether an answer is a permitted one, several of them, a letter with more behind it, or speaks of one."""
    if answer in permitted or all(part.strip() in permitted for part in answer.split(",")):
        return True
    if (letter := _LETTER_FIRST.match(answer)) and letter[1] in permitted:
        return True
    words = f" {' '.join(_words(answer))} "
    return any(len(item) > 1 and f" {' '.join(_words(item))} " in words for item in permitted)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text)
