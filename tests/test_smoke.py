"""The main job, as installed: sample, convert, validate, schema. Runs alone, against the source or a built wheel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PROGRAM = Path(sys.executable).parent / "phi3v-data"


def run(folder: Path, *command: str | Path) -> str:
    """Run a command in a folder, with nothing but what is installed on its path; return what it printed."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(list(map(str, command)), cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout


def test_the_installed_package_is_the_one_under_test(tmp_path: Path) -> None:
    code = "import phi3v_data, phi3v_schemas, phi3v_converters, phi3v_train as t; "
    code += "print(*(m.__file__ for m in (phi3v_data, phi3v_schemas, phi3v_converters, t)), sep='\\n')"
    places = [Path(line).resolve() for line in run(tmp_path, sys.executable, "-c", code).splitlines()]
    assert len(places) == 4
    if os.environ.get("PHI3V_WHEEL"):
        for place in places:
            assert place.parent.parent.name == "site-packages"
            assert not place.is_relative_to(REPOSITORY / "phi3v_data")


def test_sample_convert_validate_schema(tmp_path: Path) -> None:
    run(tmp_path, PROGRAM, "sample", "ucf101", "raw")
    shown = run(tmp_path, PROGRAM, "convert", "ucf101", "--source", "raw", "--out_dir", "out", "--limit", "4")
    assert "Look at it: out/contact_sheet.jpg" in shown
    assert "Next: phi3v-data validate out" in shown
    report = json.loads(run(tmp_path, PROGRAM, "validate", "out", "--strict", "--format", "json"))
    assert (report["records"], report["counts"]) == (12, {})
    lines = (tmp_path / "out" / "ucf101_train.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 4
    schema = json.loads(run(tmp_path, PROGRAM, "schema"))
    assert json.loads(lines[0]).keys() <= schema["properties"].keys()
    turn = json.loads(lines[0])["conversations"][0]
    assert all((tmp_path / "out" / "images" / name).stat().st_size > 500 for name in turn["images"])


def test_stats_preview_fix(tmp_path: Path) -> None:
    run(tmp_path, PROGRAM, "sample", "docvqa", "raw")
    run(tmp_path, PROGRAM, "convert", "docvqa", "--source", "raw", "--out_dir", "out")
    assert json.loads(run(tmp_path, PROGRAM, "stats", "out", "--format", "json"))["splits"]["train"]["records"] == 30
    assert "page.html: 48 records" in run(tmp_path, PROGRAM, "preview", "out", "--out", "page.html")
    assert (tmp_path / "page.html").stat().st_size > 50_000
    lines = tmp_path / "out" / "docvqa_train.jsonl"
    lines.write_bytes(b"\xef\xbb\xbf" + lines.read_bytes().replace(b"\n", b"\r\n"))
    assert "48 records kept, 0 rejected" in run(tmp_path, PROGRAM, "validate", "out", "--fix", "mended")
    assert json.loads(run(tmp_path, PROGRAM, "validate", "mended", "--strict", "--format", "json"))["counts"] == {}
