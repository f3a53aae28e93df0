"""The run: what a PATH means, every line accounted for, bounded memory, and how results are shown."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from phi3v_data.errors import UsageError
from phi3v_data.validate import columns, exit_code, facts, ids, render_json, render_text, target_run, validate
from phi3v_data.validate.inputs import Inputs
from phi3v_schemas import Report
from phi3v_schemas.jsonschema import json_schema

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "schemas" / "examples"


def line(record_id: str, **turn: Any) -> bytes:
    record = {
        "id": record_id,
        "source": "s",
        "conversations": [{"user": f"Is it {record_id}?", "assistant": "a", **turn}],
    }
    return json.dumps(record).encode() + b"\n"


def codes(*paths: Path | str, **options: Any) -> dict[str, int]:
    return validate(paths, **{"images": "none", **options}).counts


def places(*paths: Path | str, **options: Any) -> list[tuple[str, int | None, str]]:
    found = validate(paths, **{"images": "none", **options}).findings
    return [(Path(finding.file).name, finding.line, finding.code) for finding in found]


def test_blank_lines_bom_and_crlf(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + line("a") + b"\r\n \t\n" + line("b").replace(b"\n", b"\r\n") + line("a").strip())
    assert places(file) == [
        ("a.jsonl", 1, "E103"),
        ("a.jsonl", 2, "W104"),
        ("a.jsonl", 3, "W104"),
        ("a.jsonl", 5, "E301"),
    ]
    result = validate([file], images="none")
    assert result.records == 3
    assert result.bytes == file.stat().st_size


@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n \n"])
def test_files_without_a_record(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(content)
    result = validate([file])
    assert result.records == 0
    assert result.counts["W106"] == 1


def test_long_lines_are_read_and_longer_ones_reported_without_being_held(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(line("a", user="x" * 5_000_000) + line("b") + line("c", user="y" * 3_000_000).strip())
    assert codes(file) == {}
    assert places(file, max_line=1_000_000) == [("a.jsonl", 1, "E105"), ("a.jsonl", 3, "E105")]
    tracemalloc.start()
    codes(file, max_line=100_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_what_cannot_be_read_is_a_finding_and_stops_nothing(tmp_path: Path) -> None:
    good = tmp_path / "good.jsonl"
    good.write_bytes(line("a"))
    empty_folder = tmp_path / "folder"
    empty_folder.mkdir()
    result = validate([tmp_path / "nix.jsonl", str(tmp_path / "n*.jsonl"), empty_folder, good])
    assert result.records == 1
    assert [(Path(finding.file).name, finding.code) for finding in result.findings] == [
        ("nix.jsonl", "E107"),
        ("n*.jsonl", "E107"),
        ("folder", "E107"),
    ]
    _, pattern, folder = result.findings
    assert "no file matches" in pattern.message
    assert "Look at the pattern" in pattern.hint
    assert "Name the folder in which" in folder.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(line("a"))
    file.chmod(0)
    assert codes(file) == {"E107": 1}


def test_paths_that_no_file_can_have_are_findings(tmp_path: Path) -> None:
    loop = tmp_path / "loop.jsonl"
    loop.symlink_to(loop)
    paths = [loop, tmp_path / ("x" * 300 + ".jsonl"), str(tmp_path / "a\0b.jsonl"), str(tmp_path / "a\0*.jsonl")]
    good = tmp_path / "good.jsonl"
    good.write_bytes(line("a"))
    result = validate([*paths, good], images="none")
    assert [finding.code for finding in result.findings] == ["E107"] * 4
    assert result.records == 1


def test_an_empty_path_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="a PATH is empty"):
        validate([""])


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_pattern_in_a_folder_without_permission(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o300)
    [finding] = validate([str(folder / "*.jsonl")]).findings
    assert finding.code == "E107"
    assert finding.message.endswith("Permission denied")


def test_duplicates_across_files_of_a_dataset_name_both_places(tmp_path: Path) -> None:
    (tmp_path / "toy_train.jsonl").write_bytes(line("a") + b"\n{bad\n" + line("b"))
    (tmp_path / "toy_val.jsonl").write_bytes(line("c") + line("b") + line("b"))
    (tmp_path / "other_train.jsonl").write_bytes(line("a"))
    found = [
        finding for finding in validate([str(tmp_path / "*.jsonl")], images="none").findings if finding.code == "E301"
    ]
    assert [(Path(finding.file).name, finding.line, finding.pointer) for finding in found] == [
        ("toy_val.jsonl", 2, "/id"),
        ("toy_val.jsonl", 3, "/id"),
    ]
    assert all(str(tmp_path / "toy_train.jsonl") + ":4" in finding.message for finding in found)


def test_a_folder_is_one_dataset_whatever_its_files_are_called(tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_bytes(line("a"))
    (tmp_path / "two.jsonl").write_bytes(line("a"))
    (tmp_path / "rejects.jsonl").write_bytes(b'{"source": "x"}\n')
    assert codes(tmp_path) == {"E301": 1, "W607": 1}
    assert codes(tmp_path / "one.jsonl", tmp_path / "two.jsonl") == {"E301": 1}


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(line("a"))
    (tmp_path / "link.jsonl").symlink_to(file)
    assert codes(file, str(file), tmp_path / "link.jsonl") == {}
    assert validate([tmp_path, file], images="none").records == 1


def test_equal_hashes_of_different_ids_are_no_duplicates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "hash_of", lambda text: 7)
    monkeypatch.setattr(facts, "xxh3_64_intdigest", lambda data: 7)
    file = tmp_path / "a.jsonl"
    file.write_bytes(line("a") + line("b") + line("a"))
    assert places(file) == [("a.jsonl", 3, "E301")]


@pytest.mark.parametrize("through", ["stdin", "pipe"])
def test_pipes_are_read_like_files(tmp_path: Path, through: str) -> None:
    content = line("a") + b"\n" + line("b", user="") + line("a")
    path = "-" if through == "stdin" else "/dev/fd/0"
    script = "import sys; from phi3v_data.validate import *;render_json(validate([sys.argv[1]], images='none'))"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'schemas'}"}
    done = subprocess.run(
        [sys.executable, "-c", script, path], input=content, capture_output=True, check=True, env=environment
    )
    report = Report.model_validate_json(done.stdout)
    name = "<stdin>" if through == "stdin" else path
    assert report.files == [name]
    assert [(finding.line, finding.code) for finding in report.findings] == [
        (2, "W104"),
        (3, "E205"),
        (4, "E301"),
    ]
    assert report.findings[2].message == f"the id 'a' is already that of {name}:1"


def test_findings_are_capped_but_counted(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"{\n" * 50 + b"\n" * 7)
    result = validate([file], max_findings=10)
    assert result.counts == {"E101": 50, "W104": 7}
    assert (result.errors, result.warnings) == (50, 7)
    assert [finding.line for finding in result.findings] == list(range(1, 11))
    shown = io.StringIO()
    render_text(result, shown)
    assert "47 more are counted but not shown; --max_findings 0 shows all" in shown.getvalue()


def test_warnings_beyond_the_cap_count_for_strict(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"\n\n{\n")
    result = validate([file], max_findings=1)
    assert exit_code(result) == exit_code(result, strict=True) == 1
    file.write_bytes(b"\n\n" + line("a"))
    result = validate([file], max_findings=1)
    assert (exit_code(result), exit_code(result, strict=True)) == (0, 1)
    file.write_bytes(line("a"))
    assert exit_code(validate([file]), strict=True) == 0


def test_all_findings_are_spooled_and_read_more_than_once(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"{\n" * 3000)
    result = validate([file], max_findings=0)
    assert len(result.findings) == 3000
    for _ in range(2):
        assert [finding.line for finding in result.findings] == list(range(1, 3001))


def test_json_output_is_the_report(tmp_path: Path) -> None:
    schema = Draft202012Validator(json_schema("report"))
    for max_findings in (0, 1, 1000):
        result = validate([EXAMPLES / "invalid"], max_findings=max_findings)
        shown = io.StringIO()
        render_json(result, shown)
        document = json.loads(shown.getvalue())
        schema.validate(document)
        assert Report.model_validate_json(shown.getvalue()) == result.report()
        assert list(document) == ["schema_version", "files", "records", "counts", "findings"]
        assert document["counts"]["E401"] >= 1


def test_text_output(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(line("a", user="") + line("b", user="") + line("c", **{"\x1b[31m": 1}) + b"\n")
    shown = io.StringIO()
    render_text(validate([file], images="none"), shown)
    text = shown.getvalue()
    assert f"{file}:1:/conversations/0/user: E205 'user' is empty\n" in text
    assert f"{file}:4: W104 blank line\n" in text
    assert text.count("hint: Write the text") == 1
    assert "        2  E205  empty-text  " in text
    assert "3 errors, 1 warning: 1 file, 3 records in " in text
    assert "\x1b" not in text
    render_text(validate([file], images="none"), coloured := io.StringIO(), color=True)
    assert "\x1b[31m" in coloured.getvalue()
    file.write_bytes(line("a"))
    render_text(validate([file]), clean := io.StringIO())
    assert clean.getvalue().startswith("clean: 1 file, 1 record in ")


def test_progress_reaches_the_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(line("a", user="x" * 300_000) + line("b"))
    monkeypatch.setitem(target_run.PIECE_SIZE, "header", 1000)
    told: list[tuple[int, int | None]] = []
    validate([file], on_progress=lambda done, total: told.append((done, total)))
    assert len(told) > 1
    assert told[-1] == (file.stat().st_size, file.stat().st_size)


def test_memory_grows_by_less_than_16_bytes_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_IN_MEMORY", 1)
    monkeypatch.setitem(target_run.PIECE_SIZE, "none", 1 << 16)

    def peak(records: int) -> int:
        file = tmp_path / f"{records}.jsonl"
        with file.open("wb") as stream:
            stream.writelines(line(f"{number}", images=[f"{number}.jpg"]) for number in range(records))
        tracemalloc.start()
        codes(file)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(100)
    small, large = peak(10_000), peak(60_000)
    assert large - small < 50_000 * 16


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=40) | st.just(line("a")) | st.just(b"\n") | st.just(b"{}\n"), max_size=12))
def test_every_line_is_accounted_for_whatever_the_bytes(tmp_path: Path, pieces: list[bytes]) -> None:
    file = tmp_path / "a.jsonl"
    content = b"".join(pieces)
    file.write_bytes(content)
    result = validate([file], images="none")
    lines = content.split(b"\n")
    if "E121" in result.counts:
        assert not any(text.strip().startswith((b"{", b"[")) for text in lines)
        return
    if content.startswith(b"\xef\xbb\xbf"):
        lines[0] = lines[0][3:]
    held = [number for number, text in enumerate(lines, start=1) if text.strip(b" \t\r\n\v\f")]
    assert result.records == len(held)
    faulty = {finding.line for finding in result.findings if finding.code != "E301"}
    good = [number for number in held if number not in faulty]
    assert all(b'"id": "a"' in lines[number - 1] for number in good)


def awkward_dataset(folder: Path) -> None:
    """Write some hundred lines of every kind over several files, sound ones, broken ones, repeated ones."""
    folder.mkdir()
    for split in ("train", "val"):
        with (folder / f"toy_{split}.jsonl").open("wb") as file:
            if split == "val":
                file.write(b"\xef\xbb\xbf")
            for number in range(300):
                kinds = [
                    line(f"{split}-{number}"),
                    line(f"both-{number}", user="x" * (number * 7 % 500)),
                    line(f"{split}-{number // 2}", assistant="<|end|>"),
                    line(f"{split}-i-{number}", images=["../a.jpg", f"{number}.jpg"]),
                    b"{broken\n",
                    b"\n",
                    b"[]\r\n",
                    b'{"id":"k","id":"%d","source":"s","conversations":[{"user":"u%d"}]}\n' % (number, number),
                    line("é" * number)[: number * 3] + b"\n",
                ]
                file.write(kinds[number * 31 % len(kinds)])
            file.write(line("last")[:-3])
    (folder / "manifest.json").write_text("{}")


@pytest.mark.parametrize("max_findings", [0, 1, 50, 1000])
def test_findings_and_their_order_do_not_depend_on_the_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_findings: int
) -> None:
    awkward_dataset(tmp_path / "data")
    monkeypatch.setitem(target_run.PIECE_SIZE, "exists", 700)
    reports = []
    for workers in (1, 2, 3):
        result = validate([tmp_path / "data"], images="exists", workers=workers, max_findings=max_findings)
        reports.append((result.report(), result.sound, result.images, result.bytes))
    assert reports[0] == reports[1] == reports[2]
    monkeypatch.setitem(target_run.PIECE_SIZE, "exists", 1 << 22)
    whole = validate([tmp_path / "data"], images="exists", max_findings=max_findings)
    assert (whole.report(), whole.sound, whole.images, whole.bytes) == reports[0]
    assert {"E101", "E116", "E120", "E301", "E402", "E407", "E601", "E702", "W104"} <= whole.counts.keys()


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_pieces_are_whole_lines_and_make_the_file(tmp_path: Path, size: int) -> None:
    file = tmp_path / "a.jsonl"
    content = b"".join(line("x" * (number * 37 % 200)) for number in range(40)) + b"\n\n" + b"y" * 3000 + b"\nz"
    file.write_bytes(content)
    with Inputs() as inputs:
        pieces = list(inputs.open(file).pieces(size))
    assert b"".join(content[start : start + length] for start, length in pieces) == content
    assert all(content[start + length - 1 : start + length] == b"\n" for start, length in pieces[:-1])
    assert all(content[:start].endswith(b"\n") for start, _ in pieces[1:])


@pytest.mark.parametrize("length", [100, 100_000, 200_000, 600_000])
def test_a_long_broken_line_is_cut_off_only_at_the_end_of_a_file(tmp_path: Path, length: int) -> None:
    cut = line("a", user="x" * length)[:-20]
    file = tmp_path / "a.jsonl"
    file.write_bytes(cut + b"\n" + line("b"))
    assert codes(file) == {"E101": 1}
    file.write_bytes(line("b") + cut)
    assert codes(file) == {"E116": 1}
