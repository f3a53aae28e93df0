"""Files that are no JSON lines: which are told as a whole, in what words, and which never are."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from phi3v_data.validate.framing import file_fault

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.validate.rule import Problem

HEAD = 1 << 16


def record(number: int = 0, user: str = "Hi?") -> dict[str, Any]:
    return {"id": f"r{number}", "source": "s", "conversations": [{"user": user, "assistant": "Hello."}]}


def lines(count: int = 3, end: str = "\n") -> str:
    return "".join(json.dumps(record(number)) + end for number in range(count))


def fault(data: str | bytes) -> Problem | None:
    data = data.encode() if isinstance(data, str) else data
    return file_fault(data[:HEAD], whole=len(data) <= HEAD)


def code(data: str | bytes) -> str | None:
    problem = fault(data)
    return None if problem is None else problem.rule.code


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("text", [lines(), lines(1000), lines().replace("Hi", "图片里有什么")])
def test_wide_encodings_are_named(encoding: str, mark: str, text: str) -> None:
    problem = fault((mark + text).encode(encoding))
    assert problem is not None
    assert problem.rule.code == "E112"
    assert f"the file is {encoding.upper().replace('-L', 'L').replace('-B', 'B')}" in problem.message


@pytest.mark.skipif(shutil.which("iconv") is None, reason="iconv is not here")
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_way_out_of_a_wide_encoding_works(tmp_path: Path, encoding: str, mark: str) -> None:
    problem = fault((mark + lines()).encode(encoding))
    assert problem is not None
    (tmp_path / "FILE").write_bytes((mark + lines()).encode(encoding))
    subprocess.run(problem.hint.partition(": ")[2], shell=True, check=True, cwd=tmp_path)
    assert (tmp_path / "NEW").read_text(encoding="utf-8") == lines()


@pytest.mark.parametrize("end", ["\r", "\u2028", "\u2029", "\u0085", " \r ", "\r\r"])
def test_foreign_line_ends_are_named(end: str) -> None:
    assert code(lines(3, end)) == "E113"
    assert code(lines(3, end) + "\n") == "E113"
    assert code(lines(2000, end)) == "E113"


@pytest.mark.skipif(shutil.which("perl") is None, reason="perl is not here")
@pytest.mark.parametrize("end", ["\r", "\u2028", "\u2029", "\u0085"])
def test_the_way_out_of_foreign_line_ends_works(tmp_path: Path, end: str) -> None:
    problem = fault(lines(3, end))
    assert problem is not None
    (tmp_path / "FILE").write_bytes(lines(3, end).encode())
    subprocess.run(problem.hint.partition(": ")[2], shell=True, check=True, cwd=tmp_path)
    assert (tmp_path / "NEW").read_text(encoding="utf-8") == lines()


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([record(0), record(1)]),
        json.dumps([record(0), record(1)], indent=2),
        json.dumps([record(0), record(1)], indent="\t") + "\n",
        json.dumps(record(), indent=2),
        json.dumps(record(0), indent=2) + "\n" + json.dumps(record(1), indent=2) + "\n",
        "[\n" + ",\n".join(json.dumps(record(number)) for number in range(3)) + "\n]\n",
        "\ufeff\n[\n" + ",\n".join(json.dumps(record(number)) for number in range(3)) + "\n]\n",
        json.dumps([record(number) for number in range(2000)]),
        json.dumps([record(number) for number in range(2000)], indent=2),
        json.dumps([record(number, "é" * 99) for number in range(2000)], indent=2, ensure_ascii=False),
        json.dumps([record(0), record(1)], indent=2)[:-60],
    ],
)
def test_documents_are_told_as_a_whole(text: str) -> None:
    assert code(text) == "E114"


@pytest.mark.parametrize(
    ("value", "command"),
    [
        ({"id": 1, "image": "a.jpg", "conversations": [{"from": "human", "value": "<image>\nWhat?"}]}, "llava"),
        ({"conversations": [{"from": "human", "value": "What?"}]}, "llava"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "What?"}]}]}, "messages"),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("count", [1, 5000])
def test_arrays_of_other_formats_name_their_converter(value: Any, command: str, indent: int | None, count: int) -> None:
    problem = fault(json.dumps([value] * count, indent=indent))
    assert problem is not None
    assert problem.rule.code == "E207"
    assert problem.message.startswith("this is one array")
    assert f"phi3v-data convert {command} --source FILE" in problem.hint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        lines(),
        lines(1),
        lines(1).rstrip(),
        lines(2000),
        lines(3, "\r\n"),
        lines(1, "\r\n"),
        lines(1, "\r"),
        "\ufeff" + lines(),
        "\n \r\n" + lines(),
        json.dumps(record(0, "x" * 100_000)),
        json.dumps(record(0, "x" * 100_000)) + "\n" + lines(),
        json.dumps(record(0, "{}\u2028{} and }\u0085{"), ensure_ascii=False),
        json.dumps(record(0, '"\u2028{"a": 1}\u2028{'), ensure_ascii=False) + "\n",
        '{"id": "a",\n' + lines(),
        '{"id": "a", "x":\n' + lines(),
        '{"id": "a", "x":\n' + lines(1),
        "[\n" + lines(2),
        lines(1)[:40] + "\n" + lines(),
        lines(1)[:-2] + "\n" + lines(),
        "not JSON\n" + lines(),
        lines(1).rstrip() * 2 + "\n" + lines(),
        lines(1)[:40],
        "[1]\n",
        "[]",
        "[1, 2]\n" + lines(),
        "null",
        "[" * 60_000,
        '{"a":' * 10_000,
        "\0" * 4096,
        lines() + "\0" * 4096,
        lines().replace("Hi?", "a \0 b"),
        "one line of garbage",
        "a,b\n" * 3 + "  " + lines(1),
        "Loading\nDone\n" + lines(1)[:40],
        "Loading\n" + lines(1)[:40] + "\nDone\n",
        "\ufeff\n \r\n\t\n",
        "null\n[]\n",
        "1\n2\n",
        '"a"\n"b"\n',
    ],
)
def test_lines_stay_lines(text: str) -> None:
    assert code(text) is None


def test_a_line_of_wide_text_among_others_is_no_matter_of_the_file() -> None:
    assert code(lines(5).encode() + lines(1).encode("utf-16-le") + b"\n" + lines(5).encode()) is None


def tar() -> bytes:
    """A shard, whose lines of JSON could be taken for the file's."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo("a.json")
        member.size = len(data := b"\n" + lines().encode())
        archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "kind", "way_out"),
    [
        (b"PAR1\x15\x04\n{\n\x00" * 99, "a Parquet file", "Name it .parquet"),
        (tar(), "a tar archive", "Name it .tar"),
        (b"PK\x03\x04\n{\n\0", "a ZIP archive", "Unpack it"),
        (b"PK\x03\x04\0\0[Content_Types].xml\n", "an Excel workbook or another document of Office", "convert csv"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\0\0", "an Excel workbook or another document of old Office", "convert csv"),
        (b"ARROW1\0\0\n\0\n", "an Arrow file", "to_json"),
        (b"\xff\xff\xff\xff\xf0\0\0\0\n", "an Arrow stream", "to_json"),
        (b"\x89HDF\r\n\x1a\n\0\0", "an HDF5 file", "to_json"),
        (b"\x93NUMPY\x01\0v\0{'descr': '<f8'}\n", "a NumPy array", "to_json"),
        (b"\x80\x04\x95\0\0\n\0\x94", "a Python pickle", "to_json"),
        (b"\0\0\0\x18ftypisom\0\0", "a video (MP4 or QuickTime)", "convert ucf101"),
        (b"\x1a\x45\xdf\xa3\n\0", "a video (Matroska or WebM)", "convert ucf101"),
        ("image\tlabel\na.jpg\tcat\n".encode("utf-16"), "text in UTF-16", "iconv"),
        (b"<\0\0\0\0\0\0\0\x9a\x01\n\x02\x03", "binary data", "to_json"),
        (b"\x89PNG\r\n\x1a\n\0\0", "a PNG image", "the images folder"),
        (b"\xff\xd8\xff\xe0", "a JPEG image", "the images folder"),
        (b"%PDF-1.7\n%", "a PDF document", "phi3v-data convert --help"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 1\n", "a Git LFS pointer", "git lfs pull"),
        (b"<!DOCTYPE html>\n<html><body>404</body></html>", "a web page", "The download failed"),
        (b"<html>", "a web page", "The download failed"),
        (b"<annotation>\n<size/>\n</annotation>", "XML", "phi3v-data convert --help"),
        (b"image,label\na.jpg,cat\nb.jpg,dog\n", "a table (CSV)", "convert csv --source FILE --out_dir DIR"),
        (b'\xef\xbb\xbfimage,label\r\n"a, b.jpg",cat\r\n', "a table (CSV)", "convert csv --source FILE --out_dir DIR"),
        (b"image;label\na.jpg;cat\nb.jpg;dog", "a table (CSV, with semicolons)", "--source FILE --delimiter ';' --out"),
        (b"image\tlabel\na.jpg\tcat", "a table (TSV)", "convert csv --source FILE --out_dir DIR"),
        (b"- id: a\n  source: b\n", "YAML", "phi3v-data convert --help"),
        (b"Hello world\nfoo\n", "text", "phi3v-data convert --help"),
        ("Größe, so\rund so\nweiter\n".encode("latin-1"), "text", "phi3v-data convert --help"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_json_at_all_is_told_as_a_whole(data: bytes, kind: str, way_out: str) -> None:
    problem = fault(data)
    assert problem is not None
    assert (problem.rule.code, problem.message) == ("E121", f"the file is {kind}, not JSON lines; no line was read")
    assert way_out in problem.hint


def test_a_long_file_of_text_is_told_by_its_beginning() -> None:
    assert code("word word\n" * 100_000) == "E121"
    assert code("word " * 100_000) is None


@pytest.mark.parametrize("magic", [b"Rar!", b"PAR1", b"%PDF-", b"GIF89a"])
def test_records_behind_what_another_kind_of_file_begins_with_are_read(magic: bytes) -> None:
    assert fault(magic + lines(3).encode()) is None
