"""`new-converter`: what it writes is installed, run and tested as a newcomer would, and is what the documents show."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from phi3v_data.convert.scaffold import class_name, render_package
from tests.helpers import read_lines, run, run_python, snapshot
from tests.plugins.installing import install, with_folders
from tests.test_docs import blocks

if TYPE_CHECKING:
    from pathlib import Path

PYTEST = "import sys, pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider']))"


def test_a_newcomers_first_ten_minutes(tmp_path: Path) -> None:
    shown = run("new-converter", "demo", cwd=tmp_path).stdout
    assert "pip install -e './demo[test]'" in shown
    package, site = tmp_path / "demo", tmp_path / "site"
    written = snapshot(package)
    assert sorted(written) == ["README.md", "demo.py", "pyproject.toml", "tests/test_demo.py"]
    install(package, site)
    env = with_folders(site)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for line in shown.splitlines():
        command = line.split()
        if command[0] == "phi3v-data":
            run(*command[1:], cwd=folder, env=env)
    records = read_lines(folder / "out/demo_train.jsonl")
    assert [record["conversations"][0]["assistant"] for record in records] == ["Blue", "Green", "Red"]
    assert {record["source"] for record in records} == {"demo"}
    run("validate", "out", "--strict", cwd=folder)
    assert "2 passed" in run_python("-c", PYTEST, cwd=package, env=env).stdout
    assert {path for path in snapshot(package) if "__pycache__" not in path} == written.keys()


def test_what_an_author_gets_is_formatted_and_clean(tmp_path: Path) -> None:
    run("new-converter", "my_pictures", "--dir", tmp_path)
    for command in (["check", "--ignore=I"], ["format", "--check"]):
        words = [sys.executable, "-m", "ruff", *command, "--isolated", "--line-length=120", str(tmp_path)]
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_the_documents_show_the_same_converter() -> None:
    code = render_package("captions")["captions.py"]
    for document in ("converters/README.md", "docs/converters.md"):
        shown = blocks(document, "python")[0]
        assert code.startswith(shown + "\n    @classmethod\n    def write_sample(")
        assert sum(bool(line.strip()) for line in shown.splitlines()) <= 30
    assert blocks("converters/README.md", "toml")[0] in render_package("captions")["pyproject.toml"]


def test_hostile_rows_cost_themselves_alone(tmp_path: Path) -> None:
    """What stands in the table is anyone's."""
    run("new-converter", "demo", "--dir", tmp_path)
    converter = f"{tmp_path}/demo/demo.py:Demo"
    run("sample", converter, tmp_path / "raw")
    rows = ["../up.jpg,What?,This.", "/etc/hostname,What?,This.", "gone.jpg,What?,This.", "red.jpg,,This.", "red.jpg"]
    rows += ["a\x00b.jpg,What?,This.", f"{'x' * 300}.jpg,What?,This.", "questions.csv,What?,This.", "a,b,c,d,e"]
    with (tmp_path / "raw/questions.csv").open("a", encoding="utf-8") as table:
        table.writelines(f"{row}\n" for row in rows)
    run("convert", converter, "--source", tmp_path / "raw", "--out_dir", tmp_path / "out", code=1)
    assert len(read_lines(tmp_path / "out/demo_train.jsonl")) == 3
    assert {(line["source"][:9], line["code"]) for line in read_lines(tmp_path / "out/rejects.jsonl")} == {
        ("../up.jpg", "unsafe_name"),
        ("/etc/host", "unsafe_name"),
        ("gone.jpg#", "unreadable"),
        ("questions", "incomplete"),
        ("a\x00b.jpg#8", "unsafe_name"),
        ("xxxxxxxxx", "unsafe_name"),
        ("questions", "invalid_image"),
        ("a#11", "unreadable"),
    }
    assert not list(tmp_path.rglob("up*"))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("My-Pictures", "use small letters, digits and '_', as in my_pictures"),
        ("../up", "use small letters, digits and '_', as in my_pictures"),
        ("2nd", "use small letters, digits and '_', as in my_pictures"),
        ("a" * 61, "use small letters, digits and '_', as in my_pictures"),
        ("class", "it is a word of Python's own"),
        ("match", "it is a word of Python's own"),
        ("ucf101", "a converter of this name is installed"),
        ("json", "a module of this name is installed, which its own would hide"),
        ("numpy", "a module of this name is installed, which its own would hide"),
        ("image", "its class would be Image, which phi3v_data has already"),
    ],
)
def test_a_name_that_cannot_be_one(name: str, says: str, tmp_path: Path) -> None:
    done = run("new-converter", name, code=2, cwd=tmp_path)
    assert done.stderr == f"Error: {name!r} cannot be the name of a new converter: {says}\n"
    assert not snapshot(tmp_path)


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo/mine.txt").write_text("mine")
    done = run("new-converter", "demo", "--dir", tmp_path, code=2)
    assert done.stderr == f"Error: {tmp_path}/demo exists already: choose another name or --dir, or remove it\n"
    assert snapshot(tmp_path) == {"demo/mine.txt": b"mine"}


def test_class_names() -> None:
    assert [class_name(name) for name in ("demo", "my_pictures", "a1_b2")] == ["Demo", "MyPictures", "A1B2"]
