"""Annotation files: every bad line is a reject with its place, a bad document is one sentence, nothing is trusted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from phi3v_data.convert.annotations import read_json, read_json_lines
from phi3v_data.convert.converter import Reject
from phi3v_data.errors import UsageError
from phi3v_data.lines import MAX_LINE

if TYPE_CHECKING:
    from pathlib import Path

DEEP = b"[" * 200_000 + b"]" * 200_000


def lines(tmp_path: Path, content: bytes) -> list[tuple[str, object]]:
    """Return each line's place, and its object or the message of its reject."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    found: list[tuple[str, object]] = []
    for entry in read_json_lines(path, "dev.json", "val"):
        if isinstance(entry, Reject):
            assert (entry.split, entry.code) == ("val", "invalid_json")
            assert "\n" not in entry.message
            found.append((entry.source, entry.message))
        else:
            found.append(entry)
    return found


class TestLines:
    @pytest.mark.parametrize(
        "content",
        [
            b'{"a": 1}\n{"b": "\xc3\xa9"}\n',
            b'{"a": 1}\n{"b": "\xc3\xa9"}',
            b'\xef\xbb\xbf{"a": 1}\r\n{"b": "\\u00e9"}\r\n',
            b' {"a": 1}\t\n{"b": "\xc3\xa9"} \n',
        ],
        ids=["plain", "no newline at the end", "byte order mark and CRLF", "white space"],
    )
    def test_objects_and_their_places(self, tmp_path: Path, content: bytes) -> None:
        assert lines(tmp_path, content) == [("dev.json:1", {"a": 1}), ("dev.json:2", {"b": "é"})]

    def test_blank_lines_are_no_rows_and_keep_their_numbers(self, tmp_path: Path) -> None:
        assert lines(tmp_path, b'\n \t\n{"a": 1}\n\r\n\n{}\n\n') == [("dev.json:3", {"a": 1}), ("dev.json:6", {})]
        assert lines(tmp_path, b"") == lines(tmp_path, b"\n\n") == []

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            (b"[1]", "it holds a list"),
            (b"null", "it holds a NoneType"),
            (b'"a"', "it holds a str"),
            (b"1", "it holds a int"),
            (b'{"a": 1', "Expecting ',' delimiter"),
            (b'{"a": 1} {"a": 2}', "Extra data"),
            (b"{'a': 1}", "Expecting property name"),
            (b'{"a": "\xff"}', "can't decode byte 0xff"),
            (b'{"a": "\x01"}', "Invalid control character"),
            (b"\0", "Expecting value"),
            (b"\xff\xfe{\0}\0", "can't decode byte 0xff"),
            (b'{"a": ' + DEEP + b"}", "it is nested too deep"),
            (b'{"a": ' + b"9" * 5000 + b"}", "4300 digits"),
            (b'{"a": "' + b"x" * MAX_LINE + b'"}', "it is too long"),
        ],
        ids=[
            "list", "null", "string", "number", "cut", "two", "Python", "not UTF-8", "control character", "zero",
            "UTF-16", "deep", "a number of 5,000 digits", "over-long",
        ],
    )  # fmt: skip
    def test_a_bad_line_is_a_reject_and_the_rest_is_read(self, tmp_path: Path, line: bytes, reason: str) -> None:
        first, bad, last = lines(tmp_path, b'{"a": 1}\n' + line + b'\n{"a": 3}\n')
        assert (first, last) == (("dev.json:1", {"a": 1}), ("dev.json:3", {"a": 3}))
        assert bad[0] == "dev.json:2"
        assert str(bad[1]).startswith("the line is no JSON object: ") and reason in str(bad[1])
        assert len(str(bad[1])) < 200

    def test_what_the_last_write_left_half_is_a_reject(self, tmp_path: Path) -> None:
        assert [place for place, _ in lines(tmp_path, b'{"a": 1}\n{"a"')] == ["dev.json:1", "dev.json:2"]

    def test_not_a_number_and_twice_the_same_key_are_taken_as_python_takes_them(self, tmp_path: Path) -> None:
        ((_, value),) = lines(tmp_path, b'{"a": NaN, "b": -Infinity, "c": 1, "c": 2}')
        assert isinstance(value, dict)
        assert math.isnan(value["a"]) and value["b"] == -math.inf and value["c"] == 2


class TestDocument:
    @pytest.mark.parametrize("content", [b'{"data": [1]}', b'\xef\xbb\xbf{"data": [1]}\r\n', b' { "data":\n[1]}\n'])
    def test_is_read_as_a_whole(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a.json").write_bytes(content)
        assert read_json(tmp_path / "a.json") == {"data": [1]}

    @pytest.mark.parametrize(
        "content",
        [
            b"", b'{"data": [1', b"<html>", b'{"data": "\xff"}', DEEP, b"{} {}", b"9" * 5000, b"\0",
            b"version https://git-lfs.github.com/spec/v1\n",
        ],
        ids=["empty", "cut", "web page", "not UTF-8", "deep", "two", "digits", "zero", "pointer"],
    )  # fmt: skip
    def test_that_is_no_json_is_one_sentence(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(UsageError, match=r"a\.json is not JSON \([^\n]+\): is the download complete\?$") as caught:
            read_json(tmp_path / "a.json")
        assert len(str(caught.value)) < 200 + len(str(tmp_path))
