"""The command line: what each command prints, exit codes, and one sentence instead of a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

import phi3v_data
from phi3v_data.errors import MissingExtra
from phi3v_data.extras import require
from tests.helpers import run, run_python, snapshot

if TYPE_CHECKING:
    from pathlib import Path

WITHOUT = """
import sys
for name in {missing!r}:
    sys.modules[name] = None
from phi3v_data.cli import main
sys.argv = ["phi3v-data", *{args!r}]
main()
"""


def start(*args: str | Path) -> subprocess.Popen[str]:
    """Start `phi3v-data` with its output going into a pipe."""
    command = [sys.executable, "-m", "phi3v_data", *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8")


@pytest.mark.parametrize("document", ["record", "manifest", "report"])
def test_schema_prints_the_file(document: str) -> None:
    done = run("schema", document)
    assert done.stdout == files("phi3v_schemas").joinpath(f"{document}.schema.json").read_text(encoding="utf-8")
    assert json.loads(done.stdout)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_explain_shows_a_rule_by_its_code() -> None:
    done = run("explain", "e401")
    assert done.stdout.startswith("E401 ")
    assert all(word in done.stdout for word in ("Message:", "Bad:", "Good:"))
    assert "there is no rule 'E999'" in run("explain", "E999", code=2).stderr


def test_version_and_help() -> None:
    assert run("--version").stdout == f"phi3v-data, version {phi3v_data.__version__}\n"
    text = run("--help").stdout
    assert all(f"\n  {command} " in text for command in ("convert", "explain", "sample", "schema", "validate"))
    flags = run("convert", "ucf101", "--help").stdout
    assert all(f"--{flag} " in flags for flag in ("out_dir", "source", "workers", "num_frames", "classes", "prompt"))
    assert "--allow_damaged" in flags
    assert "PydanticUndefined" not in flags


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["convrt"], "No such command 'convrt'"),
        (["validate", "--nonsense", "x"], "No such option"),
        (["convert", "ucf11", "--out_dir", "x"], "no converter is named 'ucf11'; did you mean 'ucf101'?"),
        (["convert", "ucf101", "--source", "."], "missing option --out_dir"),
        (["sample", "coco", "x"], "no converter is named 'coco'; there are: "),
        (["schema", "poem"], "'poem' is not one of 'record', 'manifest', 'report'"),
    ],
)
def test_wrong_usage_exits_2_with_a_way_out(args: list[str], says: str, tmp_path: Path) -> None:
    done = run(*args, code=2, cwd=tmp_path)
    assert says in done.stderr
    assert not done.stdout
    assert not snapshot(tmp_path)


def test_a_traceback_is_for_those_who_ask() -> None:
    assert run("explain", "E999", code=2).stderr.count("\n") == 1
    asked = subprocess.run(
        [sys.executable, "-m", "phi3v_data", "--debug", "explain", "E999"], capture_output=True, text=True, check=False
    )
    assert asked.returncode != 0
    assert "Traceback" in asked.stderr
    assert "UsageError: there is no rule 'E999'" in asked.stderr


class TestPipes:
    """Whoever reads the output may leave early, as `head` does: that is no error, and nothing is said of it."""

    @pytest.fixture
    def bad(self, tmp_path: Path) -> Path:
        """A file with more findings than a pipe holds."""
        path = tmp_path / "bad.jsonl"
        path.write_text('{"id": 1}\n' * 2_000)
        return path

    @pytest.mark.parametrize("lines", [0, 1])
    def test_the_reader_leaves(self, bad: Path, lines: int) -> None:
        with start("validate", bad, "--max_findings", "0") as process:
            assert process.stdout and process.stderr
            for _ in range(lines):
                assert "bad.jsonl" in process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == ""
            assert process.wait() == 141

    def test_head(self, bad: Path) -> None:
        line = f'"{sys.executable}" -m phi3v_data validate --max_findings 0 "{bad}" | head -1'
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)


class TestMissingExtra:
    @pytest.mark.parametrize(
        ("missing", "flags"),
        [(["av", "cv2"], []), (["av"], ["--decoder", "pyav"]), (["decord"], ["--decoder", "decord"])],
    )
    def test_convert_names_the_command_that_installs_it(
        self, missing: list[str], flags: list[str], tmp_path: Path
    ) -> None:
        (tmp_path / "A").mkdir()
        (tmp_path / "A" / "a.avi").write_bytes(b"x")
        args = ["convert", "ucf101", "--source", str(tmp_path), "--out_dir", str(tmp_path / "out"), *flags]
        done = run_python("-c", WITHOUT.format(missing=missing, args=args), code=3)
        extra = "decord" if "decord" in missing else "video"
        assert done.stderr.count("\n") == 1
        assert f"needs the package {missing[0]!r}: run pip install " in done.stderr
        assert f"[{extra}]'" in done.stderr
        assert not (tmp_path / "out").exists()

    def test_sample(self, tmp_path: Path) -> None:
        args = ["sample", "ucf101", str(tmp_path / "raw")]
        done = run_python("-c", WITHOUT.format(missing=["av"], args=args), code=3)
        assert done.stderr.count("\n") == 1
        assert "needs the package 'av': run pip install " in done.stderr

    @pytest.mark.parametrize(
        ("origin", "command"),
        [
            ('{"dir_info": {"editable": true}, "url": "file:///clone"}', "pip install -e '.[video]' in your clone"),
            ('{"dir_info": {}, "url": "file:///clone"}', "pip install 'phi3v-data[video]'"),
            (None, "pip install 'phi3v-data[video]'"),
        ],
    )
    def test_the_command_fits_the_installation(
        self, origin: str | None, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        info = tmp_path / "phi3v_data-9.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: phi3v-data\nVersion: 9\n")
        if origin:
            (info / "direct_url.json").write_text(origin)
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(MissingExtra) as error:
            require("a_module_nobody_has", extra="video", purpose="Decoding video")
        assert str(error.value) == f"Decoding video needs the package 'a_module_nobody_has': run {command}"

    def test_a_module_that_is_there_but_broken_is_not_called_missing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "half_installed.py").write_text("import a_module_nobody_has")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(ModuleNotFoundError, match="a_module_nobody_has"):
            require("half_installed", extra="video", purpose="Decoding video")


class TestPlugins:
    @pytest.fixture
    def env(self, tmp_path: Path) -> dict[str, str]:
        """A folder of strangers' converters on the path: one that cannot be imported, one that is none."""
        info = tmp_path / "broken-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
        points = "broken = broken:Broken\ngone = nowhere:At\nnone = broken_not:Thing\n"
        (info / "entry_points.txt").write_text(f"[phi3v_data.converters]\n{points}")
        (tmp_path / "broken.py").write_text("raise RuntimeError('out of order')\n")
        (tmp_path / "broken_not.py").write_text("Thing = dict\n")
        return {"PYTHONPATH": os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))}

    def test_a_broken_one_spoils_nothing(self, env: dict[str, str]) -> None:
        listing = run("convert", "--help", env=env).stdout
        assert all(f"\n  {name} " in listing for name in ("broken", "gone", "none", "ucf101"))
        assert "--num_frames" in run("convert", "ucf101", "--help", env=env).stdout

    def test_calling_it_says_what_is_wrong_in_one_sentence(self, env: dict[str, str]) -> None:
        for name, says in (
            ("broken", "(broken:Broken) cannot be imported: RuntimeError: out of order\n"),
            ("gone", "(nowhere:At) cannot be imported: ModuleNotFoundError: No module named 'nowhere'\n"),
            ("none", "(broken_not:Thing) is not a subclass of phi3v_data.Converter\n"),
        ):
            done = run("convert", name, "--out_dir", "x", env=env, code=3)
            assert done.stderr.count("\n") == 1
            assert done.stderr.endswith(says)
