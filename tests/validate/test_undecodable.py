"""Awkward JSON: which of it is a record, and what is said of the rest."""

from __future__ import annotations

import pytest

from phi3v_data.validate.schema import read_record

GOOD = b'{"id": "a", "source": "s", "conversations": [{"user": "Hi \xc3\xa9?", "assistant": "Hello."}]}'


def in_metadata(value: bytes) -> bytes:
    return GOOD[:-1] + b', "metadata": {"x": ' + value + b"}}"


@pytest.mark.parametrize(
    "value",
    [
        b"-0",
        b"-0.0",
        b"1E400",
        b"-1e999",
        b"1e-999",
        b"0e0",
        b"1.5E+3",
        b"NaN",
        b"-Infinity",
        b"9" * 1000,
        b'"\\u0000"',
        b'"\\ud83d\\ude00"',
        b'"\\\\ud83d"',
        b'"\\/\\b\\f\\n\\r\\t\\"\\\\"',
        b'"\x7f\xc2\x80\xe2\x80\xa8\xef\xbb\xbf\xef\xbf\xbf\xf4\x8f\xbf\xbf"',
        b'""',
        b'{"": 1}',
        b'{"' + b"k" * 100_000 + b'": 1}',
        b"[" * 150 + b"]" * 150,
        b"[ ]",
        b"\t\r{ } ",
        b"true",
        b"null",
    ],
)
def test_what_json_permits_is_a_record(value: bytes) -> None:
    record, problems = read_record(in_metadata(value))
    assert record is not None
    assert problems == []


@pytest.mark.parametrize(
    ("value", "code", "words"),
    [
        (b"0x1", "E101", "expected `,` or `}`"),
        (b"01", "E101", "invalid number"),
        (b"+1", "E101", "expected value"),
        (b".5", "E101", "expected value"),
        (b"5.", "E101", "invalid number"),
        (b"1e", "E101", "invalid number"),
        (b"1e+", "E101", "invalid number"),
        (b"-", "E101", "invalid number"),
        (b"--1", "E101", "invalid number"),
        (b"1 2", "E101", "expected `,` or `}`"),
        (b"1_000", "E101", "expected `,` or `}`"),
        (b"nan", "E101", "expected true, false or null"),
        (b"inf", "E101", "expected value"),
        (b"tru", "E101", "expected true, false or null"),
        (b"TRUE", "E101", "expected value"),
        (b"None", "E101", "expected true, false or null"),
        (b"undefined", "E101", "expected value"),
        (b"9" * 100_000, "E101", "number out of range"),
        (b'"\\x41"', "E101", "invalid escape"),
        (b'"C:\\data"', "E101", "invalid escape"),
        (b'"\\u12"', "E101", "invalid escape"),
        (b'"\\u12G4"', "E101", "invalid escape"),
        (b'"a\tb"', "E101", "control character"),
        (b'"a\x1fb"', "E101", "control character"),
        (b'"a\rb"', "E101", "control character"),
        (b"'a'", "E101", "expected value"),
        (b"a", "E101", "expected value"),
        (b"[1,]", "E101", "trailing comma"),
        (b"[,1]", "E101", "expected value"),
        (b"[1,,2]", "E101", "expected value"),
        (b"[1 2]", "E101", "expected `,` or `]`"),
        (b"[1}", "E101", "expected `,` or `]`"),
        (b'{"a":1,}', "E101", "trailing comma"),
        (b'{"a" 1}', "E101", "expected `:`"),
        (b'{"a":}', "E101", "expected value"),
        (b'{"a":1 "b":2}', "E101", "expected `,` or `}`"),
        (b"{a:1}", "E101", "key must be a string"),
        (b"{1:1}", "E101", "key must be a string"),
        (b"{'a':1}", "E101", "key must be a string"),
        (b"1 // one", "E101", "expected `,` or `}`"),
        (b"/* one */ 1", "E101", "expected value"),
        (b"\xef\xbb\xbf1", "E101", "expected value"),
        (b"\xc2\xa01", "E101", "expected value"),
        ("“a”".encode(), "E101", "expected value"),
        (b"[" * 100_000, "E108", "the limit is passed"),
        (b"[" * 300 + b"]" * 300, "E108", "the limit is passed"),
        (b'{"a":' * 300 + b"1" + b"}" * 300, "E108", "the limit is passed"),
        (b'"\\ud83d"', "E117", "the escape \\ud83d at column 108"),
        (b'"\\uDE00"', "E117", "the escape \\uDE00 at column 108"),
        (b'"\\ud83d\\ud83d\\ude00"', "E117", "the escape \\ud83d at column 108"),
        (b'"\\ud83d\\ude00 \\ude00"', "E117", "the escape \\ude00 at column 121"),
        (b'"\\ud83d\\n"', "E117", "the escape \\ud83d"),
        (b'"\\ud83d\\u0041"', "E117", "the escape \\ud83d"),
        (b'"a\x00b"', "E118", "1 NUL byte from byte 109"),
        (b"\x00", "E118", "1 NUL byte"),
        (b'"\xff"', "E102", "byte FF at byte 108"),
        (b'"\xed\xa0\x80"', "E102", "byte ED at byte 108"),
        (b'"\xc0\xaf"', "E102", "byte C0"),
        (b'"\xf4\x90\x80\x80"', "E102", "byte F4"),
        (b'"\xe2\x82"', "E102", "byte E2"),
        (b'"caf\xe9"', "E102", "byte E9"),
    ],
    ids=repr,
)
def test_what_json_forbids_is_named(value: bytes, code: str, words: str) -> None:
    line = in_metadata(value)
    for ended in (True, False):
        record, [problem] = read_record(line, ended=ended)
        assert record is None
        if ended or problem.rule.code != "E116":
            assert problem.rule.code == code
            assert words in problem.message
        assert len(problem.message) <= 300


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        (b"{'id': 'a'}", "Python's repr"),
        (b'{"id": None}', "JSON writes true, false and null"),
        (b'{"id": True}', "JSON writes true, false and null"),
        (b'{"id": 1} // one', "JSON has no comments"),
        (b'{"id": /* one */ 1}', "JSON has no comments"),
        (b"{id: 1}", "Keys stand in double quotes"),
        (b'\xef\xbb\xbf{"id": 1}', "byte order mark"),
        ("{“id”: 1}".encode(), "typographic quotes"),
        (b'{"id": 1,}', "Delete the comma before the closing bracket"),
        (GOOD + b",", "Delete the comma behind the record"),
        (GOOD + b"}", "something follows the record"),
        (b'{"id": "C:\\data"}', "backslash itself"),
        (b'{"id": "a\tb"}', "written as \\t"),
        (b'{"id": 007}', "no leading zero"),
        (b'{"id": "a"', "it was cut off"),
        (b"{", "one JSON document over many lines"),
        ('{"id": "a"}\n'.encode("utf-16-le"), "UTF-16"),
        (GOOD + b"\0" * 100, "crashed"),
    ],
)
def test_common_slips_get_a_hint_of_their_own(line: bytes, hint: str) -> None:
    _, [problem] = read_record(line)
    assert hint in problem.hint


@pytest.mark.parametrize("between", [b"", b" ", b",", b", ", b"\t", b"\r", b" , "])
def test_records_on_one_line_are_counted_from_one(between: bytes) -> None:
    _, [problem] = read_record(GOOD + between + GOOD)
    assert problem.rule.code == "E115"
    end = len(GOOD.decode())
    assert f"ends at column {end} and another begins at column {end + len(between) + 1}" in problem.message


@pytest.mark.parametrize("behind", [b"x", b"[1]", b"1", b";{}", b"}{", b", x", b"{x"])
def test_other_things_behind_a_record_are_no_records(behind: bytes) -> None:
    _, [problem] = read_record(GOOD + behind)
    assert problem.rule.code == "E101"


def test_every_beginning_of_a_record_is_a_cut_line_at_the_end_of_a_file_and_invalid_before_it() -> None:
    line = in_metadata(b'["\\ud83d\\ude00 \xf0\x9f\x98\x80", -1.5e3, true]')
    for length in range(1, len(line)):
        cut = line[:length]
        _, [problem] = read_record(cut, ended=False)
        assert problem.rule.code == "E116"
        assert f"column {len(cut.decode(errors='ignore'))} of its last line" in problem.message
        _, [problem] = read_record(cut)
        assert problem.rule.code in ("E101", "E102", "E117")


def test_a_whole_record_needs_no_newline() -> None:
    record, problems = read_record(GOOD, ended=False)
    assert record is not None
    assert problems == []


def test_columns_count_characters_and_places_in_bytes_say_so() -> None:
    _, [problem] = read_record('{"é": "😀", x}'.encode())
    assert problem.message.endswith("at column 12")
    _, [problem] = read_record('{"é": "😀", "'.encode() + b"\xff")
    assert problem.message == "not UTF-8: byte FF at byte 16 of the line"


def test_a_record_of_a_shard_may_run_over_lines() -> None:
    _, [problem] = read_record(b'{\n"id": "a",\n"source": x}')
    assert (problem.rule.code, problem.message) == ("E101", "not valid JSON: expected value at column 24")


@pytest.mark.parametrize("digits", [4200, 4299, 4300, 4301, 4400])
def test_long_numbers_break_nothing(digits: int) -> None:
    _, [problem] = read_record(b'{"id": ' + b"9" * digits + b', "source": "s", "conversations": [{"user": "u"}]}')
    assert problem.rule.code in ("E101", "E202")
    assert len(problem.message) <= 300


def test_a_mark_where_files_were_joined_is_at_a_column_and_told() -> None:
    record, [problem] = read_record(b"\xef\xbb\xbf" + GOOD)
    assert record is None
    assert problem.message.endswith("at column 1")
    assert "files with one were joined" in problem.hint
