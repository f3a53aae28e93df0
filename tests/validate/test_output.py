"""A result as text, as JSON and as annotations of GitHub Actions."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from phi3v_data.validate.github import render_github
from phi3v_data.validate.output import render_json, render_text
from phi3v_data.validate.result import Findings, Result
from phi3v_data.validate.rule import RULES, Problem
from phi3v_schemas import Report
from phi3v_schemas.jsonschema import json_schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOSTILE = "a\nb\r::error::%0A,:\x1b[31mred\x9b\u202e\u2028é画.jsonl"


def problem(code: str, message: str, *, pointer: str = "", hint: str = "Mend it.") -> Problem:
    return Problem(RULES[code], pointer, message, hint)


def missing(path: str = "'a.jpg'") -> Problem:
    return problem("E401", f"the image {path} is missing", pointer="/conversations/0/images/0")


def blank() -> Problem:
    return problem("W104", "blank line", hint="Go on.")


def result_of(*found: tuple[str, int | None, Problem], limit: int = 1000, **facts: Any) -> Result:
    findings = Findings(limit)
    for file, line, problem in found:
        findings.add(file, line, problem)
    known = {"files": ["a.jsonl"], "records": 3, "sound": 3, "images": 0, "bytes": 2_000_000, "seconds": 0.5} | facts
    return Result(findings=findings, **known)


def shown(render: Callable[..., None], result: Result, **options: Any) -> str:
    render(result, stream := io.StringIO(), **options)
    return stream.getvalue()


def test_text_in_full() -> None:
    text = shown(
        render_text,
        result_of(
            ("out/a.jsonl", 1, missing()),
            ("out/a.jsonl", 2, missing("'b.jpg'")),
            ("out/a.jsonl", None, blank()),
            images=40,
            unchecked=["pictures alike: install phi3v-data[alike]"],
        ),
    )
    assert text == (
        "out/a.jsonl:1:/conversations/0/images/0: E401 the image 'a.jpg' is missing\n"
        "    hint: Mend it.\n"
        "out/a.jsonl:2:/conversations/0/images/0: E401 the image 'b.jpg' is missing\n"
        "out/a.jsonl: W104 blank line\n"
        "    hint: Go on.\n"
        "\n"
        "        1  W104  blank-line     first: out/a.jsonl\n"
        "        2  E401  image-missing  first: out/a.jsonl:1:/conversations/0/images/0\n"
        "not checked: pictures alike: install phi3v-data[alike]\n"
        "2 errors, 1 warning: 1 file, 3 records, 40 images in 0.50 s (6 records/s, 80 images/s, 4.0 MB/s)\n"
    )


def test_a_clean_result_is_one_line() -> None:
    assert shown(render_text, result_of()) == "clean: 1 file, 3 records in 0.50 s (6 records/s, 4.0 MB/s)\n"
    assert shown(render_text, result_of(seconds=0.0)).endswith(" in 0.00 s (0 records/s, 0.0 MB/s)\n")


def test_a_flood_of_one_code_is_folded_file_by_file() -> None:
    flood = [("a.jsonl", n + 1, missing()) for n in range(250)]
    other = [("a.jsonl", 251, blank()), *[("b.jsonl", n + 1, missing()) for n in range(11)]]
    result = result_of(*flood, *other)
    lines = shown(render_text, result).splitlines()
    assert sum(line.startswith("a.jsonl:") and " E401 " in line for line in lines) == 10
    assert lines[11].startswith("a.jsonl:251: W104 ")
    assert lines[13] == "    … and 240 more E401 in this file"
    assert lines[14].startswith("b.jsonl:1:")
    assert "    … and 1 more E401 in this file" in lines
    assert lines[-2] == "241 more are counted but not shown; --max_findings 0 shows all"
    assert len(lines) == 30
    assert shown(render_text, result, all=True).count("the image 'a.jpg'") == 261


def test_nothing_is_hidden_without_a_word() -> None:
    """Of 40,000 missing images 1,000 are kept, and of the fault behind them none."""
    found = [("a.jsonl", n + 1, missing()) for n in range(40_000)]
    lines = shown(render_text, result_of(*found, ("b.jsonl", 7, blank()))).splitlines()
    assert len(lines) < 20
    assert "    … and at least 990 more E401 in this file" in lines
    assert lines[-4] == "        1  W104  blank-line     found after those shown: see --select W104"
    assert lines[-3].startswith("   40,000  E401  image-missing  first: a.jsonl:1:")
    assert lines[-2] == "39,991 more are counted but not shown; --max_findings 0 shows all"
    assert lines[-1].startswith("40,000 errors, 1 warning: ")


def test_spooled_findings_are_shown_by_every_format() -> None:
    result = result_of(*[("a.jsonl", n + 1, missing(f"'{n}.jpg'")) for n in range(3000)], limit=0)
    text = shown(render_text, result, all=True)
    assert all(f"a.jsonl:{n + 1}:/conversations/0/images/0: E401 the image '{n}.jpg'" in text for n in range(3000))
    assert "more" not in text
    assert len(json.loads(shown(render_json, result))["findings"]) == 3000
    assert shown(render_github, result).count("::error ") == 3000
    assert shown(render_text, result).count("the image ") == 10


def test_what_is_in_the_data_cannot_steer_the_terminal() -> None:
    unknown = problem("E203", HOSTILE, pointer="/" + HOSTILE, hint=HOSTILE)
    result = result_of((HOSTILE, 1, unknown), files=[HOSTILE], unchecked=[HOSTILE])
    for render in (render_text, render_github):
        text = shown(render, result)
        assert set(text) - {"\n"} == {char for char in text if char.isprintable()}
        assert not any(line.startswith(("b", "::error::")) for line in text.splitlines())
    assert shown(render_text, result).count("\n") == 6
    assert shown(render_github, result).count("\n") == 2


def test_a_very_long_pointer_is_cut_in_text_only() -> None:
    pointer = "/" + "k" * 100_000
    result = result_of(("a.jsonl", 1, problem("E203", "unknown field", pointer=pointer)))
    assert all(len(line) < 300 for line in shown(render_text, result).splitlines())
    assert json.loads(shown(render_json, result))["findings"][0]["pointer"] == pointer


def test_a_file_whose_name_is_not_utf8() -> None:
    name = os.fsdecode(b"caf\xe9.jsonl")
    result = result_of((name, 1, missing()))
    assert r"caf\udce9.jsonl:1:" in shown(render_text, result)
    assert r"::error file=caf\udce9.jsonl,line=1," in shown(render_github, result)
    assert json.loads(shown(render_json, result))["findings"][0]["file"] == r"caf\udce9.jsonl"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_any_encoding_of_the_output_will_do(encoding: str) -> None:
    found = [("画.jsonl", n, missing("'é→😀.jpg'")) for n in range(1, 13)]
    for render in (render_text, render_github, render_json):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        render(result_of(*found, files=["画.jsonl"]), stream)
        stream.seek(0)
        text = stream.read()
        assert "E401" in text
        if render is render_json:
            report = Report.model_validate_json(text)
            assert report.files == [report.findings[0].file] == ["画.jsonl"]
            assert "'é→😀.jpg'" in report.findings[0].message


def test_colour_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    result = result_of(("a.jsonl", 1, missing()), ("a.jsonl", 2, blank()))
    assert "\x1b" not in shown(render_text, result)
    assert {"\x1b[31m\x1b[1mE401", "\x1b[33m\x1b[1mW104"} < set(
        re.findall(r"(?:\x1b\[\d+m)+[EW]\d+", shown(render_text, result, color=True))
    ) | {""}
    assert "\x1b" in _on_a_terminal(result)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in _on_a_terminal(result)
    assert "\x1b" in shown(render_text, result, color=True)


def _on_a_terminal(result: Result) -> str:
    reader, writer = pty.openpty()
    with open(writer, "w", encoding="utf-8") as stream:  # noqa: PTH123 -- a descriptor
        assert stream.isatty()
        render_text(result, stream)
        text = os.read(reader, 65_536).decode()
    os.close(reader)
    return text


def test_json_is_the_report() -> None:
    schema = Draft202012Validator(json_schema("report"))
    found = [(HOSTILE, 1, missing("'é'")), (HOSTILE, None, blank()), ("b", 2, missing(HOSTILE))]
    for result in (result_of(), result_of(*found, files=[HOSTILE, "b"]), result_of(*found, limit=1)):
        text = shown(render_json, result)
        schema.validate(json.loads(text))
        assert Report.model_validate_json(text) == result.report()
        assert text.isascii()


def test_annotations_are_read_back_as_they_were_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = result_of(
        (str(tmp_path / "out" / "50%,a:b.jsonl"), 3, missing("'100%::x'")),
        ("out/a.jsonl", 1, problem("E101", "not valid JSON.")),
        ("/elsewhere", None, blank()),
        limit=2,
    )
    *annotations, notice = map(_read_command, shown(render_github, result).splitlines())
    assert annotations == [
        (
            "error",
            {"file": "out/50%,a:b.jsonl", "line": "3", "title": "E401 image-missing"},
            "the image '100%::x' is missing (at /conversations/0/images/0). Mend it.",
        ),
        (
            "error",
            {"file": "out/a.jsonl", "line": "1", "title": "E101 invalid-json"},
            "not valid JSON. Mend it.",
        ),
    ]
    assert notice == (
        "notice",
        {"title": "phi3v-data validate"},
        "2 errors, 1 warning: 1 file, 3 records in 0.50 s (6 records/s, 4.0 MB/s)\n"
        "1 E101 invalid-json\n1 W104 blank-line\n1 E401 image-missing\n"
        "1 more are counted but not shown; --max_findings 0 shows all",
    )


def test_annotations_name_files_from_the_repository_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "step").mkdir()
    monkeypatch.chdir(tmp_path / "step")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    files = ["a.jsonl", "../b.jsonl", str(tmp_path / "c.jsonl"), "/elsewhere/d.jsonl"]
    result = result_of(*((file, 1, missing("a.jpg")) for file in files))
    *annotations, _ = map(_read_command, shown(render_github, result).splitlines())
    named = [properties["file"] for _, properties, _ in annotations]
    assert named == ["step/a.jsonl", "b.jsonl", "c.jsonl", "/elsewhere/d.jsonl"]


def test_a_finding_of_a_folder_has_no_line() -> None:
    text = shown(render_github, result_of(("/elsewhere", None, blank())))
    assert text.startswith("::warning file=/elsewhere,title=W104 blank-line::blank line. Go on.\n::notice ")


@pytest.mark.parametrize("form", ["text", "json", "github"])
def test_closed_standard_output_is_no_success(form: str) -> None:
    command = [sys.executable, "-m", "phi3v_data", "validate", os.devnull, "--format", form]
    done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *command], stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "standard output is closed" in done.stderr
    assert "Traceback" not in done.stderr


def _read_command(line: str) -> tuple[str, dict[str, str], str]:
    """Read a workflow command as the runner does."""
    match = re.fullmatch(r"::(\w+) (.*?)::(.*)", line)
    assert match
    properties = dict(item.split("=", 1) for item in match[2].split(","))
    return match[1], {key: _plain(value) for key, value in properties.items()}, _plain(match[3])


def _plain(text: str) -> str:
    for code, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, char)
    return text
