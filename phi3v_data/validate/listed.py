"""The answers that a question itself lists: choices behind letters, a list after an order to choose, yes or no."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import normalize

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["WORD", "Listed", "is_letter", "listed_in", "words_of"]

_LONGEST_END = 60  # characters in which a text says "Answer yes or no."
_MOST_WORDS = 8  # of an item; a longer one is a sentence
_YES_OR_NO = re.compile(
    r"\banswer(?:\s+only)?(?:\s+with)?(?:\s+either)?\s+[\"']?(?:(yes)[\"']?\s+or\s+[\"']?(no)|(true)[\"']?\s+or\s+[\"']?(false))"
    r"[\"']?(?:\s+only)?[.!]?\s*$",
    re.IGNORECASE,
)
# An order to choose, in one sentence with its list; or a heading.
_INTRODUCTION = re.compile(
    r"\b(?:classify|categori[sz]e|choose|select|pick|answer\s+(?:only\s+)?with)\b[^.?!:\n]{0,80}?"
    r"\b(?:one\s+of|from|among|between|of)\s+(?:the\s+|these\s+)?(?:following\s+)?(?:[a-z]+\s+)?"
    r"(?:classes|categories|labels|options|choices|answers|following)\s*:\s*"
    r"|\b(?:choose|pick|answer\s+with)\s+(?:(?:exactly\s+|only\s+)?one\s+(?:of|from)|from)\s*:\s*"
    r"|(?:^|\?)[ \t]*(?P<heading>options|choices)\s*:\s*",
    re.IGNORECASE | re.MULTILINE,
)
_ABOUT_WORDS = re.compile(  # an order to work on words: the list may be their matter
    r"\s*(?:please\s+)?(?:translate|correct|rewrite|rephrase|summari[sz]e|continue|explain|define|write|compose|create)\b",
    re.IGNORECASE,
)
_CHOICE = re.compile(
    r"\b(?:which\s+of\s+(?:the|these)|choose|select|pick|(?:multiple-)?choices?|options?|letter|answer\s+(?:only\s+)?with)\b",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"[?\uff1f]")
_ASKED = re.compile(r"[?\uff1f]|\b(?:which|choose|select|pick|answer|classify|categori[sz]e|label)\b", re.IGNORECASE)
_SENTENCE = re.compile(r"\.\s+(?=\S)")
_ADVICE = re.compile(
    r"(?:answer|respond|reply|only|please|say|choose|do\s+not|don't"
    r"|(?:write|give|use|return|output)\s+(?:only|just|the|one|your))\b",
    re.IGNORECASE,
)
_WAY_OUT = re.compile(  # "If neither fits, answer 'other'."
    r"\b(?:if|otherwise|unless)\b[^.!?\n]{0,60}\b(?:answer|say|reply|respond|write|use|choose|select|return|output)\b",
    re.IGNORECASE,
)
_LETTERED = re.compile(r"^[ \t]*\(?([A-Z])([).:])[ \t]+(\S[^\n]*)", re.MULTILINE)
_LETTERED_IN_LINE = re.compile(  # "Which? (A) cat (B) dog" or "Options: A. cat, B. dog"
    r"(?:[?\uff1f]|\b(?:options|choices)\s*:)[ \t]*\n?(?=\(?A[).][ \t]+\S)([^\n]*)", re.IGNORECASE
)
_NEXT_LETTER = re.compile(r"(?:^|[,;]?[ \t]+)\(?([A-Z])[).][ \t]+")
_LETTER = re.compile(r"\(?([A-Za-z]|\d{1,4})[).:](?!\d)\s*(.*)", re.DOTALL)
_REMARK = re.compile(r"(?<=\w)\s*\(([^()]*)\)(?=\s*(?:[,.\n]|(?:or|and)\b|$))")
_EXPLANATION = re.compile(r"[:,]\s+|\s+[-\u2013\u2014]\s+")
_SEPARATORS = ((";", re.compile(";")), ("|", re.compile(r"\|")), (",", re.compile(r",(?!\d{3}\b)")))
_NUMBERED = re.compile(r"[-*\u2022]\s|\d+[.)]\s")
_BULLET = re.compile(r"^[-*\u2022]\s+")
_LAST = re.compile(r"\s+(?:or|and)\s+")
_LAST_SIGN = re.compile(r"(?:or|and)\s+")
_OPEN_END = re.compile(r"…|\.\.\.|\betc\b|\bothers\b|\?")
WORD = re.compile(r"[^\W_]+")
_ARTICLES = ("a", "an", "the")


class Listed(NamedTuple):
    """The answers that a text permits.

    Args:
        spelt: As it lists them.
        joined: Every form of them, by its `words_of` without what is between them.
        letters: Those that stand for them.
        most_words: Words of the longest.
        are_letters: Whether letters are all that it lists.
    """

    spelt: frozenset[str]
    joined: frozenset[str]
    letters: frozenset[str]
    most_words: int
    are_letters: bool


@lru_cache(maxsize=64)
def listed_in(text: str) -> Listed | None:
    """Return the answers that a text permits; None where it lists none, or may mean something else."""
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
    behind = text[introductions[0].end() :]
    if _WAY_OUT.search(behind) or (introductions[0]["heading"] and not _ASKED.search(text)):
        return None
    items = _items(behind, on_lines=introductions[0][0].endswith("\n"))
    if len(items) < 2 or not all(map(words_of, items)) or any(len(item.split()) > _MOST_WORDS for item in items):
        return None
    return _listed(items)


def _listed(items: Sequence[str]) -> Listed:
    forms = {form for item in items for form in (item, _REMARK.sub("", item), *_REMARK.findall(item))}
    forms |= {part for form in forms for part in (_EXPLANATION.split(form, maxsplit=1)[0], *form.split("/"))}
    marks = [mark for form in forms if (mark := _LETTER.fullmatch(form.strip(" \"'`*")))]
    forms.update(mark[2] for mark in marks)
    words = [words_of(form) for form in forms]
    letters = {mark[1] for mark in marks} | {form.strip() for form in forms if len(form.strip()) == 1}
    joined = (frozenset("".join(form) for form in words) | {letter.casefold() for letter in letters}) - {""}
    are_letters = all(is_letter(part) for item in items for part in _LAST.split(item))
    return Listed(frozenset(items), joined, frozenset(letters), max(map(len, words)), are_letters)


def is_letter(item: str) -> bool:
    """Return whether an item is a letter and no more, such as "(B)"."""
    return len(letter := item.strip(" \"'()")) == 1 and letter.isalpha()


def words_of(text: str) -> list[str]:
    """Return the words of an answer as they are compared: without signs, case and an article before them."""
    words = WORD.findall(normalize("NFKC", text).casefold())
    return words[1:] if len(words) > 1 and words[0] in _ARTICLES else words


_YES_NO, _TRUE_FALSE = (
    listed._replace(joined=frozenset({"yes", "no", "y", "n", "true", "false", "t", "f", "unanswerable"}), most_words=-2)
    for listed in (_listed(["yes", "no"]), _listed(["true", "false"]))
)
"""A question of yes or no has many answers of several words: of those none is judged."""


def _lettered(text: str) -> list[str]:
    """Return options, each behind a letter, of which one is to be chosen; [] if unsure."""
    options = list(_LETTERED.finditer(text))
    if len(options) < 2:
        return _lettered_in_line(text)
    before, behind = text[: options[0].start()], text[options[-1].end() :]
    is_asked_before = before.rstrip().endswith(("?", "\uff1f")) and not _QUESTION.search(behind)
    may_be_speakers = options[0][2] == ":"
    if not _CHOICE.search(before) and not _CHOICE.search(behind) and (may_be_speakers or not is_asked_before):
        return []
    return _in_order([(option[1], option[3]) for option in options]) if not _WAY_OUT.search(behind) else []


def _lettered_in_line(text: str) -> list[str]:
    """Return options that follow each other on one line, behind a question or a heading; [] if unsure."""
    found = _LETTERED_IN_LINE.search(text)
    if found is None or _QUESTION.search(text, found.end()):
        return []
    _, *parts = _NEXT_LETTER.split(found[1])
    return _in_order([(letter, _SENTENCE.split(item)[0]) for letter, item in zip(parts[::2], parts[1::2], strict=True)])


def _in_order(options: list[tuple[str, str]]) -> list[str]:
    """Return options as they are listed, if their letters are those from A on."""
    letters = [letter for letter, _ in options]
    if len(letters) < 2 or letters != [chr(ord("A") + index) for index in range(len(letters))]:
        return []
    return [f"{letter}. {item.strip()}" for letter, item in options]


def _items(text: str, *, on_lines: bool) -> list[str]:
    """Return the items of a list at the head of a text: parted by a sign on one line, or one a line; [] if unsure."""
    line = text.partition("\n")[0]
    sign = next((pattern for sign, pattern in _SEPARATORS if sign in line), None)
    if on_lines and "\n" in text.strip() and (sign is None or _NUMBERED.match(line)):
        paragraph = text.partition("\n\n")[0]
        return [_BULLET.sub("", item.strip(), count=1) for item in paragraph.strip().split("\n")]
    end = _SENTENCE.search(line)
    if end is not None:
        if not _ADVICE.match(line, end.end()):
            return []
        line = line[: end.start()]
    if _OPEN_END.search(line):
        return []
    items = (
        [item.strip() for item in sign.split(line.strip().removesuffix("."))]
        if sign
        else [line.strip().removesuffix(".")]
    )
    *others, last = items
    parts = _LAST.split(last)
    if _LAST_SIGN.match(last):
        return [*others, _LAST_SIGN.sub("", last, count=1)]
    return [*others, *parts, last] if others and len(parts) == 2 else [*others, *parts]
