"""Keys that stand twice: the count of quotes is exact, whatever the JSON, so that nothing is missed or accused."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from phi3v_data.validate import validate
from phi3v_data.validate.decode import decode
from phi3v_data.validate.glance import glance
from phi3v_data.validate.keys import duplicate_keys, quotes_in

if TYPE_CHECKING:
    from pathlib import Path

TEXT = st.text(st.sampled_from('ab"\\/:,{}[]\n\t \u0000é😀'), max_size=6)
FILLED = st.text(st.sampled_from('ab"\\/:,{}[]\n é😀'), min_size=1, max_size=6)
NUMBERS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False))
JSON = st.recursive(
    st.one_of(NUMBERS, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=8,
)
TURN = st.fixed_dictionaries(
    {"user": FILLED, "assistant": FILLED},
    optional={
        "images": st.one_of(st.none(), st.lists(FILLED, max_size=3)),
        "answers": st.one_of(st.none(), st.lists(FILLED, max_size=3)),
    },
)
RECORD = st.fixed_dictionaries(
    {"id": FILLED, "source": FILLED, "conversations": st.lists(TURN, min_size=1, max_size=3)},
    optional={
        "group": st.one_of(st.none(), FILLED),
        "system": st.one_of(st.none(), FILLED),
        "metadata": st.one_of(st.none(), st.dictionaries(TEXT, JSON, max_size=3)),
    },
)


def written(value: Any, data: st.DataObject, *, twice: list[str]) -> str:
    """Write JSON with white space anywhere, escapes at will, and some keys a second time, noted in `twice`."""
    space = data.draw(st.sampled_from(["", " ", "\t", "\r "]))
    if isinstance(value, dict):
        pairs = list(value.items())
        if pairs and data.draw(st.integers(0, 9)) == 0:
            key, held = data.draw(st.sampled_from(pairs))
            pairs.insert(0, (key, data.draw(st.sampled_from([held, "other", None]))))
            twice.append(key)
        inner = ",".join(
            f"{space}{written(key, data, twice=twice)}{space}:{written(held, data, twice=twice)}" for key, held in pairs
        )
        return "{" + inner + space + "}"
    if isinstance(value, list):
        return "[" + ",".join(space + written(held, data, twice=twice) + space for held in value) + "]"
    text = json.dumps(value, ensure_ascii=data.draw(st.booleans()))
    return re.sub(r"\\(.)", lambda escape: "\\u0022" if escape[1] == '"' else escape[0], text)


@settings(deadline=None)
@given(RECORD, st.data())
def test_a_record_has_as_many_quotes_as_strings_unless_a_key_stands_twice(
    record: dict[str, Any], data: st.DataObject
) -> None:
    twice: list[str] = []
    line = written(record, data, twice=twice).encode(errors="surrogatepass")
    try:
        decoded = decode(line)
    except ValidationError:
        assert twice  # what was put before a value may not have its type
        return
    assert (quotes_in(line) != 2 * glance(decoded)[0]) is bool(twice)
    assert len(duplicate_keys(line)) == len(twice)


@settings(deadline=None)
@given(st.lists(RECORD, min_size=1, max_size=4))
def test_the_quotes_of_many_lines_are_those_of_each(records: list[dict[str, Any]]) -> None:
    lines = [json.dumps(record).encode() for record in records]
    assert quotes_in(b"\n".join(lines) + b"\n") == sum(map(quotes_in, lines)) == sum(map(by_hand, lines))


def by_hand(line: bytes) -> int:
    """Count quotes character by character."""
    count, escaped = 0, False
    for char in line:
        count += char == ord('"') and not escaped
        escaped = char == ord("\\") and not escaped
    return count


@pytest.mark.parametrize(
    ("line", "pointers", "words"),
    [
        (
            '{"id":"x","id":"b","source":"s","conversations":[{"user":"u","assistant":"a"}]}',
            ["/id"],
            "the key 'id' stands 2 times in one object",
        ),
        (
            '{"id":"b","source":"s","conversations":[{"user":"u","user":"u","assistant":"a"}]}',
            ["/conversations/0/user"],
            "the key 'user' stands 2 times in one object, always with the same value",
        ),
        (
            '{"id":"b","source":"s","conversations":[],"conversations":[{"user":"u","assistant":"a"}]}',
            ["/conversations"],
            "the key 'conversations' stands 2 times in one object",
        ),
        (
            '{"id":"b","source":"s","conversations":[{"user":"u","assistant":"a"}],"metadata":{"~":[{"a/b":1,"a/b":1.0}]}}',
            ["/metadata/~0/0/a~1b"],
            "the key 'a/b' stands 2 times in one object",
        ),
        (
            r'{"id":"b","source":"s","conversations":[{"user":"u","\u0075ser":"v","assistant":"\\\""}],"group":null}',
            ["/conversations/0/user"],
            "the key 'user' stands 2 times in one object",
        ),
        (
            '{"id":"b","source":"s","conversations":[{"user":"u","assistant":"a"}],"metadata":{"a":1e999,"a":'
            + "9" * 4000
            + ',"a":[]}}',
            ["/metadata/a"],
            "the key 'a' stands 3 times in one object",
        ),
    ],
)
def test_what_is_said_of_it(tmp_path: Path, line: str, pointers: list[str], words: str) -> None:
    file = tmp_path / "toy_train.jsonl"
    sound = '{"id":"c","source":"s","conversations":[{"user":"v","assistant":"a"}]}'
    file.write_text(f"{sound}\n{{bad\n{line}\n")
    found = [finding for finding in validate([file], images="none").findings if finding.code == "E120"]
    assert [(finding.line, finding.pointer) for finding in found] == [(3, pointer) for pointer in pointers]
    assert found[0].message == words


def test_a_line_full_of_them_is_told_in_bounded_words(tmp_path: Path) -> None:
    file = tmp_path / "toy_train.jsonl"
    inner = ",".join(f'"k{number}":0,"k{number}":0' for number in range(10_000))
    file.write_text(
        '{"id":"b","source":"s","conversations":[{"user":"u","assistant":"a"}],"metadata":{' + inner + "}}\n"
    )
    assert 1 <= validate([file], images="none").counts["E120"] <= 20
