"""One line mended: what it says stays, and of its bytes all that need not change."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from phi3v_data.mend.line import mend_line
from phi3v_data.mend.scan import pairs_of, scan

GOOD = '{"id": "a", "source": "s", "conversations": [{"user": "Hi?", "assistant": "Hello."}]}'

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(['"', "\\", '\\"', "e\u0301"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
SPACES = st.sampled_from(["", " ", "  ", "\t"])


def mended(line: str) -> tuple[str, list[str]]:
    found = mend_line(line.encode(), is_first=False, is_ended=True)
    assert found is not None
    return found.data.decode(), [change.kind for change in found.changes]


def last_wins(value: Any) -> Any:
    """What any reader makes of a value of `pairs_of`."""
    if isinstance(value, tuple):
        return {key: last_wins(inner) for key, inner in value}
    return [last_wins(inner) for inner in value] if isinstance(value, list) else value


@st.composite
def spelled(draw: st.DrawFn, value: Any) -> str:
    """Write a value as JSON: spacing and escapes at will, and each member of an object once or several times."""
    space = draw(SPACES)
    if isinstance(value, dict):
        members = [pair for pair in value.items() for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3])))]
        members = draw(st.permutations(members))
        written = [f"{draw(spelled(key))}{space}:{space}{draw(spelled(inner))}" for key, inner in members]
        return "{" + space + f"{space},{space}".join(written) + space + "}"
    if isinstance(value, list):
        return f"[{space}" + f"{space},".join([draw(spelled(item)) for item in value]) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=draw(st.booleans()))
    return json.dumps(value)


@st.composite
def lines(draw: st.DrawFn) -> str:
    record = {
        "id": draw(TEXTS.filter(bool)),
        "source": draw(TEXTS.filter(bool)),
        "metadata": draw(st.dictionaries(TEXTS, VALUES, max_size=4)),
        "conversations": [{"user": draw(TEXTS.filter(bool)), "assistant": draw(TEXTS.filter(bool))}],
    }
    return draw(spelled(record))


@given(lines())
@example(GOOD.replace('"s"', '"s", "id": "a"'))
def test_a_mended_line_says_what_it_said(line: str) -> None:
    data, kinds = mended(line)
    before, after = last_wins(pairs_of(line.encode())), last_wins(pairs_of(data.encode()))
    before["id"] = unicodedata.normalize("NFC", before["id"])
    assert after == before
    assert scan(data.encode()).repeated == [] or "duplicate-key" not in kinds
    again, none = mended(data)
    assert (again, none) == (data, []), "what was mended needs no mending"
    if not kinds:
        assert data == line


@given(VALUES.flatmap(spelled))
def test_a_scan_reads_what_a_decoder_reads(text: str) -> None:
    data = f" {text}".encode()
    found = scan(data)
    assert found.end == len(data)
    assert last_wins(found.value) == last_wins(pairs_of(data))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"id": "a", "id": "a", "source"', '{"id": "a", "source"'),
        ('{"id":"a" ,\t"id" : "\\u0061","id":"a","source"', '{"id":"a","source"'),
        ('{"metadata": {"x": 1.0, "y": [{"k": 1e5, "k": 1e5}], "x": 1.0}, "id": "a", "source"',
         '{"metadata": {"x": 1.0, "y": [{"k": 1e5}]}, "id": "a", "source"'),
        ('{"metadata": {"m": {"k": 1, "k": 1}, "m": {"k": 1}}, "id": "a", "source"',
         '{"metadata": {"m": {"k": 1}}, "id": "a", "source"'),
    ],
)  # fmt: skip
def test_repeated_keys_are_cut_out_and_nothing_else_moves(before: str, after: str) -> None:
    rest = ': "\\u0073\\/",  "conversations": [{"user": "Hi\\u003f", "assistant": "H\\"é"}]} '
    data, kinds = mended(before + rest)
    assert data == after + rest
    assert set(kinds) == {"duplicate-key"}


@pytest.mark.parametrize(
    "metadata",
    [
        '{"x": 1, "x": 1.0}',
        '{"x": 1, "x": "1"}',
        '{"x": {}, "x": []}',
        '{"x": {"a": 1, "b": 2}, "x": {"b": 2, "a": 1}}',
    ],
)
def test_values_spelled_otherwise_do_not_agree(metadata: str) -> None:
    line = GOOD.replace('"source"', f'"metadata": {metadata}, "source"')
    assert mended(line) == (line, [])


@pytest.mark.parametrize(
    ("before", "after"), [('"cafe\u0301"', '"café"'), ('"cafe\\u0301"', '"caf\\u00e9"'), ('"\u212b "', '"Å "')]
)
def test_only_the_id_is_written_in_nfc(before: str, after: str) -> None:
    rest = '"source": "e\u0301", "group": "e\u0301", "conversations": [{"images": ["e\u0301.jpg"], "user": "e\u0301"}]}'
    data, kinds = mended(f'{{"id": {before}, {rest}')
    assert data == f'{{"id": {after}, {rest}'
    assert kinds == ["id-form"]


@pytest.mark.parametrize("data", [b"{", b"\xff", b"[]", b"null", b'{"id": "a"}', b"\xef\xbb\xbf" + GOOD.encode()])
def test_what_holds_no_record_is_left_alone(data: bytes) -> None:
    assert mend_line(data, is_first=False, is_ended=True) is None


def test_thousands_of_repeated_keys_are_each_told_once() -> None:
    inner = ", ".join(f'"k{number % 5000}": {number % 5000}' for number in range(20_000))
    data, kinds = mended(GOOD.replace('"source"', f'"metadata": {{{inner}}}, "source"'))
    assert len(kinds) == 5000
    assert len(json.loads(data)["metadata"]) == 5000
