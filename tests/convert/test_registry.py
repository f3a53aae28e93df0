"""Finding converters: in a file, in a module, by name, in a package that is really installed, broken ones beside."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from phi3v_data.convert.registry import converter_fault, import_converter, load_converter, reference_of
from tests.helpers import read_lines, run, run_python, snapshot
from tests.plugins.installing import describe_package, install, with_folders

if TYPE_CHECKING:
    from collections.abc import Mapping

PLUGINS = Path(__file__).parents[1] / "plugins"
WORDS = """
from helping import ASKED
from phi3v_data import Converter, Example, Options, RawTurn, Source

class WordsOptions(Options):
    suffix: str = "?"

class Words(Converter[WordsOptions]):
    '''Text files.'''
    name = "words"
    version = "1"
    options_type = WordsOptions

    def sources(self):
        return {"train": [Source(path=path.name, name=path.stem) for path in self.root.iterdir()]}

    def convert(self, source):
        text = (self.root / source.path).read_text()
        yield Example(turns=[RawTurn(user=ASKED + self.options.suffix, assistant=text)])
"""


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A file with a converter that is named as a module of the standard library, and a module beside it."""
    folder = tmp_path / "my code"
    folder.mkdir()
    (folder / "csv.py").write_text(WORDS)
    (folder / "helping.py").write_text("ASKED = 'What does it say'")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/a.txt").write_text("A word.")
    return folder / "csv.py"


class TestAFile:
    @pytest.mark.parametrize("spelling", ["relative", "absolute", "home"])
    def test_it_runs_without_being_installed(self, spelling: str, words: Path, tmp_path: Path) -> None:
        home = {"HOME": str(words.parent)}
        file = {"relative": "my code/csv.py", "absolute": str(words), "home": "~/csv.py"}[spelling]
        args = ["convert", f"{file}:Words", "--source", "raw", "--out_dir", "out", "--suffix", "!", "--workers", "2"]
        run(*args, cwd=tmp_path, env=home)
        (record,) = read_lines(tmp_path / "out/words_train.jsonl")
        assert record["source"] == "words"
        assert record["conversations"] == [{"user": "What does it say!", "assistant": "A word."}]
        assert "converted" not in run("validate", tmp_path / "out", "--strict").stdout

    def test_where_it_is_makes_no_other_plan(self, words: Path, tmp_path: Path) -> None:
        args = ("--source", tmp_path / "raw", "--out_dir", tmp_path / "out")
        run("convert", f"{words}:Words", *args)
        moved = shutil.copytree(words.parent, tmp_path / "elsewhere") / "csv.py"
        before = snapshot(tmp_path / "out")
        assert "Nothing to do" in run("convert", f"{moved}:Words", *args).stdout
        assert str(tmp_path).encode() not in b"".join(before.values())
        assert snapshot(tmp_path / "out") == before

    def test_a_change_of_its_code_is_noticed(self, words: Path, tmp_path: Path) -> None:
        args = ["convert", f"{words}:Words", "--source", tmp_path / "raw", "--out_dir", tmp_path / "out"]
        run(*args)
        words.write_text(WORDS.replace("assistant=text", "assistant=text.upper()"))
        refused = run(*args, code=2)
        assert "holds another conversion (made by other code, or from other source files)" in refused.stderr
        run(*args, "--overwrite")
        (record,) = read_lines(tmp_path / "out/words_train.jsonl")
        assert record["conversations"][0]["assistant"] == "A WORD."

    def test_its_flags_are_in_its_help(self, words: Path) -> None:
        text = run("convert", f"{words}:Words", "--help").stdout
        assert "Text files." in text and "--suffix TEXT" in text

    def test_a_worker_finds_it_again(self, words: Path) -> None:
        found = load_converter(f"{words}:Words")
        assert reference_of(found) == f"{words}:Words"
        assert import_converter(reference_of(found)) is found

    @pytest.mark.parametrize(
        ("name", "code", "says"),
        [
            (
                "code/gone.py:Words",
                2,
                "there is no file {folder}/code/gone.py, in which the converter 'Words' is",
            ),
            ("code/csv:Words", 2, "there is no file {folder}/code/csv, in which the converter 'Words' is to be"),
            ("code/csv.py:Word", 2, "'code/csv.py:Word' names no class; the converters there are: 'Words'"),
            ("code/csv.py", 2, "'code/csv.py' names no class: write path/to/file.py:Class or module:Class"),
            ("code/csv.py:", 2, "'code/csv.py:' names no class: write path/to/file.py:Class or module:Class"),
            ("code/csv.py:ASKED", 3, "the converter 'code/csv.py:ASKED' is not a subclass of phi3v_data.Converter"),
            (
                "code/bad.py:X",
                3,
                "the converter 'code/bad.py:X' cannot be imported: SyntaxError: invalid syntax",
            ),
            ("code/left.py:X", 3, "the converter 'code/left.py:X' cannot be imported: SystemExit: 7"),
            (
                "nowhere.at:X",
                3,
                "the converter 'nowhere.at:X' cannot be imported: ModuleNotFoundError: No module",
            ),
        ],
    )
    def test_what_is_wrong_with_it_is_one_sentence(self, name: str, code: int, says: str, words: Path) -> None:
        folder = words.parent.rename(words.parent.with_name("code"))
        (folder / "bad.py").write_text("class")
        (folder / "left.py").write_text("raise SystemExit(7)")
        done = run("convert", name, code=code, cwd=folder.parent)
        assert done.stderr.startswith("Error: " + says.format(folder=folder.parent))
        assert done.stderr.count("\n") == 1


class TestAModule:
    def test_it_is_named_as_python_names_it(self) -> None:
        assert load_converter("phi3v_converters.ucf101:UCF101") is load_converter("ucf101")
        assert reference_of(load_converter("ucf101")) == "phi3v_converters.ucf101:UCF101"

    def test_a_class_in_a_class(self, words: Path) -> None:
        words.write_text(WORDS + "\nclass Outer:\n    class Inner(Words):\n        pass\n")
        assert reference_of(load_converter(f"{words}:Outer.Inner")).endswith("csv.py:Outer.Inner")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("version = '1'", "has no name: give the class one of letters"),
        ("name = 'a/b'; version = '1'", "has the name 'a/b': give the class one of letters"),
        ("name = 7; version = '1'", "has the name 7: give"),
        ("name = 'x'", "has no version: give the class one that is text"),
        ("name = 'x'; version = 2", "has the version 2: give the class one that is text"),
        ("name = 'x'; version = '1'; options_type = dict", "has an options_type that is not a subclass"),
        ("name = 'x'; version = '1'; del sources", "does not define sources()"),
    ],
)
def test_a_class_that_cannot_run_says_what_it_lacks(body: str, says: str) -> None:
    names: dict[str, type] = {}
    code = f"from phi3v_data import Converter\nclass X(Converter):\n    sources = convert = None\n    {body}\n"
    exec(code, names)
    fault = converter_fault(names["X"])
    assert fault is not None and fault.startswith(says)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which a stranger's package was installed with pip."""
    target = tmp_path_factory.mktemp("installed") / "site"
    install(PLUGINS / "dialogues", target)
    return target


class TestAnInstalledPackage:
    def test_it_is_a_command_like_the_built_in_ones(self, installed: Path, tmp_path: Path) -> None:
        env = with_folders(installed)
        assert "\n  dialogues " in run("convert", "--help", env=env).stdout
        run("sample", "dialogues", tmp_path / "raw", env=env)
        args = ("--source", tmp_path / "raw", "--turns", "2", "--workers")
        for workers in ("1", "2"):
            run("convert", "dialogues", *args, workers, "--out_dir", tmp_path / workers, env=env)
        assert snapshot(tmp_path / "1") == snapshot(tmp_path / "2")
        records = read_lines(tmp_path / "1/dialogues_train.jsonl")
        assert records[0] == {
            "id": "train-0000000000",
            "source": "dialogues",
            "group": "train:first.png",
            "system": "Topics: blue things, lime things, red things.",
            "conversations": [
                {"images": ["train/first.0.png"], "user": "What is this?", "assistant": "A colour."},
                {"user": "Which one?", "assistant": "red"},
            ],
            "metadata": {"file": "train/first.json"},
        }
        assert len(records) == 2
        run("validate", tmp_path / "1", "--strict")

    def test_it_keeps_its_own_test(self, installed: Path, tmp_path: Path) -> None:
        """What its author would write, run as pytest runs it: in a process that has it installed."""
        (tmp_path / "test_dialogues.py").write_text(
            "from phi3v_data.testing import check_converter\n"
            "from phi3v_dialogues.converter import Dialogues\n\n\n"
            "def test_the_sample():\n"
            "    checked = check_converter(Dialogues, options={'turns': 1})\n"
            "    assert [len(record.conversations) for record in checked.records] == [1, 1, 1]\n"
            "    assert checked.manifest.converter.version == '2.1' and not checked.rejects\n"
        )
        code = "import sys, pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', 'test_dialogues.py']))"
        run_python("-c", code, cwd=tmp_path, env=with_folders(installed))

    def test_it_is_listed_with_where_it_comes_from(self, installed: Path) -> None:
        found = listed(with_folders(installed))["dialogues"]
        options = found.pop("options")
        assert found == {
            "name": "dialogues",
            "package": "phi3v-dialogues",
            "package_version": "0.3",
            "built_in": False,
            "reference": "phi3v_dialogues.converter:Dialogues",
            "version": "2.1",
            "description": "JSON files with dialogues about pictures.",
            "default_source": None,
            "problem": None,
        }
        assert options == [
            {
                "name": "turns",
                "type": "integer",
                "default": 8,
                "required": False,
                "description": "At most this many turns.",
            },
            {
                "name": "system",
                "type": "none|topics",
                "default": "topics",
                "required": False,
                "description": "What the system prompt says.",
            },
        ]

    def test_two_packages_with_one_name_are_told_of(self, installed: Path, tmp_path: Path) -> None:
        other = describe_package(tmp_path, "impostor", dialogues="helpers_of_none:Dialogues")
        env = with_folders(installed, other)
        places = "helpers_of_none:Dialogues, phi3v_dialogues.converter:Dialogues"
        done = run("convert", "dialogues", "--out_dir", tmp_path / "out", env=env, code=2)
        assert done.stderr == (f"Error: two packages offer a converter named 'dialogues' ({places}): uninstall one\n")
        text = " ".join(run("converters", env=env).stdout.split())
        assert "dialogues 2.1 (phi3v-dialogues 0.3) Cannot be used: another package offers a converter of this" in text
        assert "dialogues (impostor 1.0) Cannot be used: the converter 'dialogues' (helpers_of_none:Dialogues)" in text


class TestTheList:
    def test_built_in_ones(self) -> None:
        found = listed({})
        assert found["ucf101"]["built_in"] and found["ucf101"]["package"] == "phi3v-data"
        assert found["ucf101"]["default_source"] == "hub:sayakpaul/ucf101-subset"
        options = {option["name"]: option for option in found["ucf101"]["options"]}
        assert options["num_frames"]["type"] == "integer" and options["num_frames"]["default"] == 8
        assert options["allow_damaged"]["type"] == "boolean"
        assert all(entry["problem"] is None for entry in found.values())

    def test_broken_ones_stop_none_of_the_others(self, tmp_path: Path) -> None:
        points = {
            "raising": "raising:X",
            "leaving": "leaving:X",
            "nowhere": "nowhere:X",
            "loud": "loud:Loud",
            "no": "loud:os",
        }
        describe_package(tmp_path, "broken", **points)
        (tmp_path / "raising.py").write_text("raise ExceptionGroup('several', [OSError('one'), ValueError('two')])")
        (tmp_path / "leaving.py").write_text("import sys; sys.exit('good bye')")
        (tmp_path / "loud.py").write_text(
            "import os, sys\nfrom phi3v_data import Converter\nsys.stdout.write('noise')\n"
            "class Loud(Converter):\n    name = 'loud'; version = '1'\n"
            "    def sources(self): ...\n    def convert(self, source): ...\n"
        )
        found = listed(with_folders(tmp_path))
        assert found["loud"]["problem"] is None and found["ucf101"]["problem"] is None
        assert {name: found[name]["problem"] for name in points if name != "loud"} == {
            "raising": "the converter 'raising' (raising:X) cannot be imported: "
            "ExceptionGroup: several (2 sub-exceptions)",
            "leaving": "the converter 'leaving' (leaving:X) cannot be imported: SystemExit: good bye",
            "nowhere": "the converter 'nowhere' (nowhere:X) cannot be imported: "
            "ModuleNotFoundError: No module named 'nowhere'",
            "no": "the converter 'no' (loud:os) is not a subclass of phi3v_data.Converter",
        }
        text = run("converters", env=with_folders(tmp_path)).stdout
        assert "nowhere (broken 1.0)\n  Cannot be used: the converter 'nowhere' (nowhere:X) cannot be imported" in text
        assert max(map(len, text.splitlines())) <= 100


def listed(env: Mapping[str, str]) -> dict[str, dict]:
    """Return what the command lists, by name."""
    document = json.loads(run("converters", "--format", "json", env=env).stdout)
    return {entry["name"]: entry for entry in document["converters"]}
