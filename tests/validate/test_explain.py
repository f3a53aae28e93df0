"""The rules in words."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from phi3v_data.errors import UsageError
from phi3v_data.validate import validate
from phi3v_data.validate.explain import explain, findings_page
from phi3v_data.validate.rule import RULES

if TYPE_CHECKING:
    from phi3v_data.validate.images import ImageLevel

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "schemas" / "examples" / "invalid"
LEVELS: list[ImageLevel] = ["none", "exists", "header", "decode"]
SHOWN_FROM: dict[str, ImageLevel] = {"W502": "header"}
"""From which level an example is found, where that is not the rule's first: it has two paths to the same bytes."""


def test_a_rule_is_explained_by_its_name_too() -> None:
    for code, rule in RULES.items():
        assert explain(f" {rule.slug.upper()} ") == explain(code)
    with pytest.raises(UsageError, match="no rule 'image-mising'; did you mean image-missing"):
        explain("image-mising")


def test_every_module_with_rules_is_known() -> None:
    script = (
        "import importlib, pkgutil, phi3v_data.validate, phi3v_data.validate.explain\n"
        "from phi3v_data.validate.rule import RULES\n"
        "known = set(RULES)\n"
        "for module in pkgutil.iter_modules(phi3v_data.validate.__path__, 'phi3v_data.validate.'):\n"
        "    importlib.import_module(module.name)\n"
        "print(sorted(set(RULES) - known))"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'schemas'}"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "[]\n"


def test_each_family_has_one_heading() -> None:
    headings = [line for line in findings_page().splitlines() if line.startswith("## ")]
    assert [heading[4] for heading in headings] == sorted({code[1] for code in RULES})


def row(code: str) -> str:
    [found] = [line for line in findings_page().splitlines() if line.startswith(f"| [{code}]")]
    return found


def examples_of_levels() -> list[Path]:
    """Return the examples of rules for which it matters how closely images are looked at."""
    examples = [path for path in sorted(EXAMPLES.iterdir()) if path.name != "images"]
    return [path for path in examples if not row(path.name[:4]).endswith("|  |")]


@pytest.mark.parametrize("path", examples_of_levels(), ids=lambda path: path.stem)
def test_the_page_tells_from_which_level_a_fault_is_found(path: Path) -> None:
    code = path.name[:4]
    found_at = [level for level in LEVELS if code in validate([path], images=level).counts]
    assert found_at[0] == SHOWN_FROM.get(code, row(code).split(" | ")[-1].removesuffix(" |"))
    assert found_at == LEVELS[-len(found_at) :]
