"""What is imported when: start-up stays fast, and nobody needs an extra he does not use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers import run_python

EXAMPLES = Path(__file__).parents[1] / "schemas" / "examples" / "valid"
EXTRAS = {"torch", "transformers", "datasets", "av", "cv2", "decord", "huggingface_hub"}
HEAVY = EXTRAS | {"numpy", "pydantic", "click", "PIL", "rich"}
ALL = """
import importlib, pkgutil, phi3v_schemas, phi3v_data, phi3v_converters, phi3v_train
walked = [phi3v_schemas, phi3v_data, phi3v_converters]
modules = [module for package in walked for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
for module in modules:
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
names = ["cli", "options", "settings", "presets", "checkpoints", "encode", "preflight", "question", "runtime", "show"]
for name in names:
    importlib.import_module(f"phi3v_train.{name}")  # what a user meets before anything is trained
"""
COMMAND = """
import sys
from phi3v_data.cli import main
sys.argv = ["phi3v-data", "{}"]
try:
    main()
except SystemExit as end:
    assert end.code == 0, end.code
"""


def imported(code: str) -> set[str]:
    """Return the modules that are loaded after a program has run in an interpreter of its own."""
    report = "\nimport json, sys; print(); print(json.dumps(sorted(sys.modules)))"
    return set(json.loads(run_python("-c", code + report).stdout.splitlines()[-1]))


def test_the_schemas_stand_alone() -> None:
    modules = imported("import phi3v_schemas, phi3v_schemas.jsonschema")
    assert not {name for name in modules if name.startswith(("phi3v_data", "phi3v_converters", "phi3v_train"))}
    assert not modules & EXTRAS
    assert "numpy" not in modules


def test_the_package_is_light_until_a_name_is_used() -> None:
    modules = imported("import phi3v_data")
    assert not modules & HEAVY
    assert {name for name in modules if name.startswith("phi3v")} == {"phi3v_data"}
    assert "phi3v_data.convert.converter" in imported("from phi3v_data import Converter")


def test_the_trainer_is_light_until_it_trains() -> None:
    assert not imported("import phi3v_train") & HEAVY


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_starts_fast(flag: str) -> None:
    assert not imported(COMMAND.format(flag)) & {*EXTRAS, "pydantic", "numpy", "PIL", "rich", "importlib.metadata"}


def test_the_help_names_converters_without_importing_them() -> None:
    modules = imported(COMMAND.format('convert", "--help'))
    assert "pydantic" not in modules
    assert not {name for name in modules if name.startswith(("phi3v_converters", "phi3v_data.convert.converter"))}


def test_the_conformance_test_does_not_ask_for_pytest() -> None:
    assert not imported("import phi3v_data.testing") & {*EXTRAS, "pytest"}


def test_shards_of_tar_need_no_pyarrow() -> None:
    read = "from phi3v_data import Dataset; assert list(Dataset({!r}).split('shard'))"
    assert "pyarrow" not in imported(read.format(str(EXAMPLES / "shard.tar")))
    assert "pyarrow" in imported(read.format(str(EXAMPLES / "shard.parquet")))


@pytest.mark.parametrize("command", ["reshard", "split", "merge"])
def test_help_of_the_commands_that_make_datasets_of_datasets_starts_fast(command: str) -> None:
    modules = imported(COMMAND.format(f'{command}", "--help'))
    assert not modules & {*EXTRAS, "pydantic", "numpy", "PIL", "rich", "pyarrow"}


def test_no_module_needs_an_extra_to_be_imported() -> None:
    modules = imported(ALL)
    assert not modules & EXTRAS
    assert {"phi3v_data.convert.engine", "phi3v_data.validate.runner", "phi3v_converters.ucf101"} <= modules
    assert {"phi3v_data.formats.parquet", "phi3v_data.formats.webdataset", "phi3v_data.reshape.divide"} <= modules
    assert "pyarrow" not in modules
    assert "phi3v_train.cli" in modules
