"""Hostile data: nothing crashes or hangs, and no damaged line or image passes."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phi3v_data.validate import validate
from tests.validate.fuzz_oracles import judge, line_faults, picture_faults, run_validate, write_records
from tests.validate.fuzzing import LINE_TOKENS, line_file, picture_folder, sound_line

if TYPE_CHECKING:
    from pathlib import Path

_SOUND = sound_line(Random(0), 0)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fuzz") / "fuzz_train.jsonl"
    path.write_bytes(line_file(Random(0), 20_000))
    return path


def test_damaged_lines_are_all_reported(hostile: Path) -> None:
    run = run_validate(hostile, "--images", "none", "--workers", "1")
    assert list(line_faults(hostile.read_bytes(), run)) == []


def test_damaged_lines_are_reported_alike_by_any_number_of_workers(hostile: Path) -> None:
    one, two = (run_validate(hostile, "--images", "none", "--workers", str(workers)) for workers in (1, 2))
    assert one.output == two.output


@pytest.mark.parametrize("level", ["header", "decode"])
def test_damaged_images_are_all_reported(tmp_path: Path, level: str) -> None:
    (tmp_path / "images").mkdir()
    pictures = list(picture_folder(Random(0), tmp_path / "images", 600))
    run = run_validate(write_records(tmp_path, pictures), "--images", level)
    assert list(picture_faults(tmp_path, pictures, run, decoded=level == "decode")) == []


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(_SOUND)), st.lists(st.sampled_from(LINE_TOKENS) | st.binary(max_size=4), max_size=6))
def test_what_is_put_into_a_line_is_reported_if_it_harms(tmp_path: Path, at: int, pieces: list[bytes]) -> None:
    content = _SOUND[:at] + b"".join(pieces) + _SOUND[at:]
    path = tmp_path / "fuzz_train.jsonl"
    path.write_bytes(_SOUND + b"\n" + content)
    found = validate([path], images="none").findings
    at_fault = {finding.line for finding in found if finding.severity == "error"}
    lines = enumerate(content.split(b"\n"), start=2)
    assert {number for number, line in lines if judge(line) == "bad"} <= at_fault
