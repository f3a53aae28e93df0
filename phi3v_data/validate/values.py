"""E1xx, E2xx: values that the schema allows and that are still of no use."""

from __future__ import annotations

import unicodedata
from itertools import islice
from math import isfinite, isnan
from typing import TYPE_CHECKING, Any

from phi3v_data.printable import quote
from phi3v_data.validate.rule import Problem, Rule, pointer_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3v_schemas import Record

__all__ = ["BlankText", "IdNotPlain", "NumberNotFinite", "check_values"]

_GOOD = '{"id": "a", "source": "s", "conversations": [{"user": "Hi?", "assistant": "Hello."}]}'


class NumberNotFinite(Rule):
    """A number of the metadata is none that JSON has."""

    code = "E119"
    slug = "number-not-finite"
    message = "a number in 'metadata' is {number}, which JSON does not have"
    hint = "Write null, or leave the field out; 1e999 counts as infinite, for it is too large for 64 bits."
    bad = _GOOD.replace('"source"', '"metadata": {"score": NaN}, "source"')
    good = _GOOD.replace('"source"', '"metadata": {"score": null}, "source"')


class IdNotPlain(Rule):
    """An id holds what nobody sees or types."""

    code = "W208"
    slug = "id-not-plain"
    message = "the id {id} {fault}"
    hint = "Write it in visible characters, in Unicode's form NFC: else two ids may look the same and differ."
    bad = _GOOD.replace('"a"', '"a "')
    good = _GOOD


class BlankText(Rule):
    """A text holds nothing that can be seen."""

    code = "E209"
    slug = "blank-text"
    message = "{what} holds only white space or characters without width"
    hint = "Write the text, or leave the record out."
    bad = _GOOD.replace("Hello.", " \\n")
    good = _GOOD


_WITHOUT_WIDTH = "\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\u3164\ufe0f\ufeff"
_SPACES = "".join(map(chr, range(0x2000, 0x200B)))  # of many widths
_WHITE = f"\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680{_SPACES}\u2028\u2029\u202f\u205f\u3000"  # as str.isspace has it
_BLANK = _WHITE + _WITHOUT_WIDTH
_BLANKS = frozenset(_BLANK)
_MOST = 20  # of one record


def check_values(record: Record) -> list[Problem]:
    """Return what is wrong with the values of a record: of blank texts and of numbers the first few."""
    problems = list(_check_id(record.id))
    if (system := record.system) is not None and not system.strip(_BLANK):
        problems.append(BlankText.problem(pointer="/system", what="'system'"))
    problems += islice(_blank_texts(record), _MOST)
    if record.metadata is not None:
        problems += islice(_infinite_numbers(record.metadata, ("metadata",)), _MOST)
    return problems


def _check_id(record_id: str) -> Iterator[Problem]:
    invisible = () if record_id.isascii() and record_id.isprintable() else ("Cc", "Cf", "Zl", "Zp")
    if record_id != record_id.strip():
        fault = "begins or ends with white space"
    elif character := next((one for one in record_id if unicodedata.category(one) in invisible), None):
        fault = f"holds the invisible character U+{ord(character):04X}"
    elif not unicodedata.is_normalized("NFC", record_id):
        fault = "spells a character as a letter and an accent after it (it is not in Unicode's form NFC)"
    else:
        return
    yield IdNotPlain.problem(pointer="/id", id=quote(record_id), fault=fault)


def _blank_texts(record: Record) -> Iterator[Problem]:
    for index, turn in enumerate(record.conversations):
        texts = [("user", turn.user), ("assistant", turn.assistant)]
        texts += [(f"answers/{number}", accepted) for number, accepted in enumerate(turn.answers or ())]
        for place, text in texts:
            if text is not None and text[0] in _BLANKS and not text.strip(_BLANK):
                field, _, number = place.partition("/")
                item = f"item {int(number) + 1} of " if number else ""
                what = f"{item}{field!r} of turn {index + 1}"
                yield BlankText.problem(pointer=f"/conversations/{index}/{place}", what=what)


def _infinite_numbers(container: Any, pointer: tuple[str | int, ...]) -> Iterator[Problem]:
    for key, value in container.items() if type(container) is dict else enumerate(container):
        kind = type(value)
        if kind is float and not isfinite(value):
            number = "NaN" if isnan(value) else "infinite"
            yield NumberNotFinite.problem(pointer=pointer_to((*pointer, key)), number=number)
        elif kind is list or kind is dict:
            yield from _infinite_numbers(value, (*pointer, key))
