"""The command `phi3v-train`: what it prints, its exit codes, and one sentence instead of a traceback."""

from __future__ import annotations

import resource
import shlex
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import phi3v_data
from tests.helpers import run_python, snapshot

if TYPE_CHECKING:
    from pathlib import Path

MODULES = """
import json, sys
from phi3v_train.cli import main
sys.argv = ["phi3v-train", "new-tiny", "--help"]
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)))
"""


def train(*args: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `phi3v-train` with these arguments."""
    return run_python("-m", "phi3v_train", *args, **options)


def test_version_and_help() -> None:
    assert train("--version").stdout == f"phi3v-train, version {phi3v_data.__version__}\n"
    assert "\n  new-tiny  Write a tiny random checkpoint into the folder DIR.\n" in train("--help").stdout
    loaded = run_python("-c", MODULES).stdout
    assert "--max_shard_size" in loaded
    assert not any(f'"{name}"' in loaded for name in ("torch", "transformers", "numpy", "PIL", "rich"))


INTERRUPTED = """
import os, sys
from phi3v_data import extras
from phi3v_train import checkpoint_folder
from phi3v_train.cli import main

number, when = int(sys.argv[1]), sys.argv[2]

def interrupted(*_, **__):
    os.kill(os.getpid(), number)

if when == "before writing":
    extras.require = interrupted
else:
    checkpoint_folder._check_free = interrupted
sys.argv = ["phi3v-train", "new-tiny", "tiny", "--overwrite"]
main()
"""


@pytest.mark.parametrize("name", ["my tiny one's", 'ユー "ü"', "back\\slash $HOME `x` !"])
def test_new_tiny_says_what_it_wrote_and_what_comes_next(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    done = train("new-tiny", folder, "--max-shard-size", "100KB", "--seed", "3")
    wrote, following = done.stdout.splitlines()
    size = sum(map(len, snapshot(folder).values())) / 1e6
    assert wrote == f"Wrote {folder}: 204,064 random parameters, {size:.1f} MB."
    assert done.stderr == ""
    assert len(list(folder.glob("*.safetensors"))) > 1
    assert following.startswith("Next: python -c ") and following.isascii() == name.isascii()
    shell = following.removeprefix("Next: ").replace("python", shlex.quote(sys.executable), 1)
    pasted = subprocess.run(["/bin/sh", "-c", shell], capture_output=True, text=True, check=True)
    assert pasted.stdout.startswith("Phi3VForCausalLM(")


def test_new_tiny_fills_the_folder_it_is_called_in(tmp_path: Path) -> None:
    here = tmp_path.stat().st_ino
    done = train("new-tiny", ".", cwd=tmp_path)
    size = sum(map(len, snapshot(tmp_path).values())) / 1e6
    assert done.stdout.startswith(f"Wrote .: 204,064 random parameters, {size:.1f} MB.\n") and size > 0.5
    assert (tmp_path / "config.json").exists() and tmp_path.stat().st_ino == here


def test_new_tiny_fills_a_mount_point(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    mount = 'mount -t tmpfs none disk && "$0" -m phi3v_train new-tiny disk && test -e disk/config.json'
    command = ["unshare", "--user", "--map-root-user", "--mount", "/bin/sh", "-c", mount, sys.executable]
    if shutil.which("unshare") is None or subprocess.run([*command[:4], "true"], check=False).returncode:
        pytest.skip("this system lets nobody mount")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(
    ("when", "says"), [("before writing", "Nothing was written"), ("while writing", "tiny is as it was")]
)
def test_an_interruption_says_how_to_go_on(tmp_path: Path, number: int, code: int, when: str, says: str) -> None:
    done = run_python("-c", INTERRUPTED, str(int(number)), when, code=code, cwd=tmp_path)
    word = {130: "Interrupted", 143: "Terminated"}[code]
    assert done.stderr.strip() == f"{word}. {says}: run the same command again."
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["new-tiny"], "Missing argument 'DIR'"),
        (["new-tiny", "x", "--max_shard_size", "5"], "'5' is no size: give a whole number and its unit, such as 200KB"),
        (["new-tiny", "x", "--seed", "-1"], "-1 is not in the range"),
        (["train"], "No such command 'train'"),
    ],
)
def test_wrong_usage_exits_2_with_a_way_out(args: list[str], says: str, tmp_path: Path) -> None:
    done = train(*args, code=2, cwd=tmp_path)
    assert says in done.stderr
    assert not done.stdout and not snapshot(tmp_path)


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = train("new-tiny", tmp_path, code=2)
    assert done.stderr == (
        f"Error: {tmp_path} is not empty: give another folder, or --overwrite to replace a checkpoint there\n"
    )
    assert set(snapshot(tmp_path)) == {"notes.txt"}


def test_no_space_exits_3_and_leaves_nothing(tmp_path: Path) -> None:
    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))

    command = [sys.executable, "-m", "phi3v_train", "new-tiny", str(tmp_path / "tiny")]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=lower, check=False)
    assert done.returncode == 3
    assert done.stderr == (
        f"Error: no space left for {tmp_path / 'tiny'}: free some space and run the same command again\n"
    )
    assert not list(tmp_path.iterdir())


def test_a_missing_extra_is_named_with_its_command(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from phi3v_train.cli import main\n"
        f"sys.argv = ['phi3v-train', 'new-tiny', {str(tmp_path / 'tiny')!r}]; main()"
    )
    done = run_python("-c", code, code=3)
    assert done.stderr.startswith("Error: Phi-3.5-vision needs the package 'torch': run pip install ")
    assert done.stderr.count("\n") == 1
