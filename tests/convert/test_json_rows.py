"""Rows of JSON files: arrays and lines, broken ones, and files far larger than the memory they may take."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from phi3v_data.convert import json_array, json_rows
from phi3v_data.convert.json_rows import JsonRow, read_row
from phi3v_data.errors import CannotRun, SourceError
from tests.helpers import run_python

if TYPE_CHECKING:
    from pathlib import Path

Entry = tuple[int, dict[str, Any]] | tuple[str, str]

PEAK = """
import resource, sys
from pathlib import Path
from phi3v_data.convert.json_rows import json_rows
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = sum(row.value["id"] == row.number for row in json_rows(Path(sys.argv[1]), "big.json"))
scale = 1 if sys.platform == "darwin" else 1024
print(rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * scale)
"""


def read(path: Path, data: bytes) -> list[Entry]:
    """Return number and value of every row of a file that holds these bytes, and place and code of every reject."""
    path.write_bytes(data)
    return [
        (row.number, row.value) if isinstance(row, JsonRow) else (row.source, row.code)
        for row in json_rows.json_rows(path, "a.json", "train")
    ]


class TestForms:
    @pytest.mark.parametrize("data", [b"", b" \r\n\t", b"[]", b"[ \n]", b"\xef\xbb\xbf"])
    def test_nothing(self, tmp_path: Path, data: bytes) -> None:
        assert read(tmp_path / "a", data) == []

    @pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b"\n\n  "])
    def test_an_array_and_lines(self, tmp_path: Path, mark: bytes) -> None:
        assert read(tmp_path / "a", mark + b'[{"a": "]},{"},\n {"a": [1, {}]}]\n') == [
            (1, {"a": "]},{"}),
            (2, {"a": [1, {}]}),
        ]
        lines = read(tmp_path / "a", mark + b'{"a": 1}\r\n\n{"a": "\xc3\xa9"}')
        assert [row for _, row in lines] == [{"a": 1}, {"a": "é"}]
        blank = mark.count(b"\n")
        assert [number for number, _ in lines] == [1 + blank, 3 + blank]

    def test_a_comma_too_many_and_a_key_twice_do_no_harm(self, tmp_path: Path) -> None:
        assert read(tmp_path / "a", b'[{"a": 1, "a": 2},]') == [(1, {"a": 2})]

    @pytest.mark.parametrize("block", [1, 2, 3, 7, 64])
    def test_wherever_a_block_ends(self, tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(json_array, "_BLOCK", block)
        rng = random.Random(block)
        for trial in range(60):
            text = ("".join(rng.choices('"\\{}[], \né😀', k=rng.randrange(12))) for _ in range(9))
            rows = [{"t": next(text), "l": [[], {}, [1, {next(text): next(text)}]]} for _ in range(trial % 4)]
            data = json.dumps(rows, indent=trial % 3 or None, ensure_ascii=trial % 2 == 0).encode()
            assert read(tmp_path / "a", data) == list(enumerate(rows, 1))

    @pytest.mark.parametrize("data", ['[{"a": "é"} ,  {"b": 2}]', '\ufeff  {"a": "é"}  \r\n\n{"b": 2}'])
    def test_a_row_is_found_again_by_its_place(self, tmp_path: Path, data: str) -> None:
        path = tmp_path / "a"
        path.write_bytes(data.encode())
        rows = list(json_rows.json_rows(path, "a"))
        assert len(rows) == 2
        for row in rows:
            assert isinstance(row, JsonRow)
            assert read_row(path, row.offset, row.length, row.digest) == row.value
        path.write_bytes(data.replace("2", "3").encode())
        with pytest.raises(SourceError, match="has changed since it was listed") as caught:
            read_row(path, row.offset, row.length, row.digest)
        assert caught.value.code == "changed"


class TestFaults:
    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (b"1", "invalid_json"),
            (b"null", "invalid_json"),
            (b'"a"', "invalid_json"),
            (b"[]", "invalid_json"),
            (b"{'a': 1}", "invalid_json"),
            (b'{"a": 1} {"a": 2}', "invalid_json"),
            (b'{"a": NaN}', "invalid_json"),
            (b'{"a": -Infinity}', "invalid_json"),
            (b'{"a": 1e999}', "invalid_json"),
            (b'{"a": ' + b"9" * 5000 + b"}", "invalid_json"),
            (b'{"a": "\xff"}', "not_unicode"),
            (b'{"a": "\\ud800"}', "not_unicode"),
            (b'{"\\uDFFF": 1}', "not_unicode"),
            (b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", "too_deep"),
            (b'{"a":' * 5000 + b"1" + b"}" * 5000, "too_deep"),
        ],
    )
    def test_a_bad_row_is_one_reject_and_the_others_stay(self, tmp_path: Path, data: bytes, code: str) -> None:
        good = (b'{"b": "\\ud83d\\ude00"}', {"b": "😀"})
        bad = ("a.json:2", code)
        assert read(tmp_path / "a", b"[" + good[0] + b",\n" + data + b",\n" + good[0] + b"]") == [
            (1, good[1]),
            bad,
            (3, good[1]),
        ]
        assert read(tmp_path / "a", good[0] + b"\n" + data + b"\n" + good[0]) == [(1, good[1]), bad, (3, good[1])]

    @pytest.mark.parametrize(
        ("data", "rows", "says"),
        [
            (b'[{"a": 1}, {"b": ', 1, "row 2, which begins at byte 10, has no end: the file is cut short"),
            (b'[{"a": 1}, {"b": "\\"}, {"c": 1}]', 1, "row 2, which begins at byte 10, has no end"),
            (b'[{"a": 1}', 0, "row 1, which begins at byte 1, has no end"),
            (b'[{"a": [1}, {"b": 2}]', 0, "row 1, which begins at byte 1, has a '}' that closes nothing"),
            (b'[{"a": 1}, }]', 1, "row 2, which begins at byte 10, has a '}'"),
            (b"[" * 20_000, 0, "row 1, which begins at byte 1, is nested too deep"),
            (b'[{"a": 1}]\n[{"a": 1}]', 1, "behind the array's end, after row 1, stands b'[{"),
            (b'{\n "a": 1\n}', 0, "the file is one object over many lines"),
            (b"<html>\n<body>", 0, "the file begins with b'<html>'"),
            (b'\xff\xfe{\x00"\x00', 0, "the file begins with b'\\xff\\xfe"),
        ],
    )
    def test_what_follows_a_break_is_one_reject_that_says_where(
        self, tmp_path: Path, data: bytes, rows: int, says: str
    ) -> None:
        path = tmp_path / "a"
        path.write_bytes(data)
        *before, broken = json_rows.json_rows(path, "a.json", "val")
        assert [row.number for row in before if isinstance(row, JsonRow)] == list(range(1, rows + 1))
        assert not isinstance(broken, JsonRow)
        assert (broken.source, broken.split, broken.code) == (f"a.json:{rows + 1}", "val", "invalid_json")
        assert broken.message.startswith(says)

    def test_a_row_over_the_limit_costs_itself_alone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(json_rows, "MAX_ROW", 1 << 20)
        small, large = b'{"a": 1}', b'{"a": "' + b"\\\\x" * 1_500_000 + b'"}'
        expected: list[Entry] = [(1, {"a": 1}), ("a.json:2", "too_large"), (3, {"a": 1})]
        assert read(tmp_path / "a", b"[" + b",".join([small, large, small]) + b"]") == expected
        assert read(tmp_path / "a", b"\n".join([small, large, small])) == expected

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(CannotRun, match=r"gone\.json cannot be read: No such file"):
            list(json_rows.json_rows(tmp_path / "gone.json", "gone.json"))


def test_memory_stays_flat_whatever_the_size_of_the_array(tmp_path: Path) -> None:
    path, rows = tmp_path / "big.json", 200_000
    with path.open("w", encoding="utf-8") as file:
        for number in range(1, rows + 1):
            file.write(f'{"[" if number == 1 else ","}\n{{"id": {number}, "text": "{"x" * 1480}"}}')
        file.write("\n]\n")
    assert path.stat().st_size > 300_000_000
    counted, grown = map(int, run_python("-c", PEAK, path).stdout.split())
    assert counted == rows
    assert grown < 30_000_000
