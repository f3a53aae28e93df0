"""W705: answers that are none of those the question itself lists."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import normalize

from phi3v_data.printable import quote
from phi3v_data.validate.rule import Problem, Rule

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
_MORE_WORDS = 3  # of an answer than its longest item has; a longer answer reasons, or is to another question
_YES_OR_NO = re.compile(
    r"\banswer(?:\s+only)?(?:\s+with)?(?:\s+either)?\s+[\"']?(?:(yes)[\"']?\s+or\s+[\"']?(no)|(true)[\"']?\s+or\s+[\"']?(false))"
    r"[\"']?(?:\s+only)?[.!]?\s*$",
    re.IGNORECASE,
)
# An order to choose, in one sentence with its list; or a heading.
_INTRODUCTION = re.compile(
    r"\b(?:classify|categori[sz]e|choose|select|pick|answer\s+(?:only\s+)?with|which)\b[^.?!:\n]{0,80}?"
    r"\b(?:one\s+of|from|among|between|of)\s+(?:the\s+|these\s+)?(?:following\s+)?(?:[a-z]+\s+)?"
    r"(?:classes|categories|labels|options|choices|answers|following)\s*:\s*"
    r"|\b(?:choose|pick|answer\s+with)\s+(?:one\s+of|from|one\s+from)\s*:\s*"
    r"|(?:^|\?)[ \t]*(?:options|choices)\s*:\s*",
    re.IGNORECASE | re.MULTILINE,
)
_ABOUT_WORDS = re.compile(  # an order to work on words: the list may be their matter
    r"\s*(?:please\s+)?(?:translate|correct|rewrite|rephrase|summari[sz]e|continue|explain|define|write|compose|create)\b",
    re.IGNORECASE,
)
_CHOICE = re.compile(r"\?|\b(?:which|choose|select|pick|options?|choices?|answer\s+(?:only\s+)?with)\b", re.IGNORECASE)
_SENTENCE = re.compile(r"\.\s+(?=\S)")
_ADVICE = re.compile(
    r"(?:answer|respond|reply|output|only|give|do|return|write|please|use|say|choose)\b", re.IGNORECASE
)
_LETTERED = re.compile(r"^[ \t]*\(?([A-Z])[).:][ \t]+(\S[^\n]*)", re.MULTILINE)
_LETTER = re.compile(r"\(?([A-Za-z0-9])[).:]\s*(.*)", re.DOTALL)
_REMARK = re.compile(r"(?<=\w)\s*\(([^()]*)\)(?=\s*(?:[,.\n]|(?:or|and)\b|$))")
_BULLET = re.compile(r"[-*\u2022]\s+")
_LAST = re.compile(r"\s+(?:or|and)\s+")
_LAST_SIGN = re.compile(r"(?:or|and)\s+")
_OPEN_END = re.compile(r"…|\.\.\.|\betc\b|\bothers\b|\?")
_WORD = re.compile(r"[^\W_]+")
_ARTICLES = ("a", "an", "the")
_BY_PLACE = frozenset(["first", "second", "third", "fourth", "fifth", "last", "former", "latter", "both", "all"])


class _Listed(NamedTuple):
    """The answers that a text permits: as it lists them, as they are compared, and the letters that stand for them."""

    spelt: frozenset[str]
    joined: frozenset[str]
    letters: frozenset[str]
    most_words: int


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
    if _ABOUT_WORDS.match(text):
        return None
    if lettered := _lettered(text):
        return _listed(lettered)
    introductions = list(_INTRODUCTION.finditer(text)) if ":" in text else []
    if len(introductions) != 1:
        return None
    items = _items(text[introductions[0].end() :])
    if len(items) < 2 or not all(map(_words, items)) or any(len(item.split()) > _MOST_WORDS for item in items):
        return None
    return _listed(items)


def _listed(items: Sequence[str]) -> _Listed:
    forms = {form for item in items for form in (item, _REMARK.sub("", item), *_REMARK.findall(item))}
    marks = [mark for form in forms if (mark := _LETTER.fullmatch(form.strip(" \"'`*")))]
    forms.update(mark[2] for mark in marks)
    words = [_words(form) for form in forms]
    letters = {mark[1] for mark in marks} | {form.strip() for form in forms if len(form.strip()) == 1}
    joined = (frozenset("".join(form) for form in words) | {letter.casefold() for letter in letters}) - {""}
    return _Listed(frozenset(items), joined, frozenset(letters), max(map(len, words)))


def _words(text: str) -> list[str]:
    """Return the words of an answer as they are compared: without signs, case and an article before them."""
    words = _WORD.findall(normalize("NFKC", text).casefold())
    return words[1:] if len(words) > 1 and words[0] in _ARTICLES else words


_YES_NO, _TRUE_FALSE = (
    listed._replace(joined=frozenset({"yes", "no", "y", "n", "true", "false", "t", "f", "unanswerable"}), most_words=-2)
    for listed in (_listed(["yes", "no"]), _listed(["true", "false"]))
)
"""A question of yes or no has many answers of several words: of those none is judged."""


def _lettered(text: str) -> list[str]:
    """Return options on lines of their own, each behind a letter, of which one is to be chosen; [] if unsure."""
    if ("\nB" not in text and "B)" not in text) or not _CHOICE.search(text):
        return []
    options = _LETTERED.findall(text)
    letters = [letter for letter, _ in options]
    if len(letters) < 2 or letters != [chr(ord("A") + index) for index in range(len(letters))]:
        return []
    return [f"{letter}. {item.strip()}" for letter, item in options]


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


def _is_permitted(answer: str, listed: _Listed) -> bool:
    """Return whether an answer is or names a permitted one, or says so much that it may mean one."""
    words = _words(answer)
    if len(words) > listed.most_words + _MORE_WORDS or "".join(words) in listed.joined:
        return True
    if not answer.isascii() and any(item in "".join(words) for item in listed.joined):  # some scripts part no words
        return True
    if not listed.letters.isdisjoint(letters := _WORD.findall(answer)) or not _BY_PLACE.isdisjoint(words):
        return True
    if listed.letters.issuperset("".join(letters)):  # "AB": several at once
        return True
    starts = range(len(words))
    runs = ("".join(words[start : end + 1]) for start in starts for end in starts[start:])
    return any(len(run) > 1 and run in listed.joined for run in runs)
