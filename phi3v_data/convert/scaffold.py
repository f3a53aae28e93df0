"""The command `new-converter`: a package with a converter that runs, its test and its README, to be changed."""

from __future__ import annotations

import keyword
import re
import shlex
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING

import phi3v_data
from phi3v_data.convert.registry import converter_names
from phi3v_data.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["class_name", "next_steps", "render_package", "write_package"]

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST = 60


def write_package(name: str, folder: Path) -> Path:
    """Write a package that holds one converter.

    Args:
        name: Of the converter, its module and its package: small letters, digits and '_'.
        folder: Where to make the package's folder.

    Returns:
        The package's folder.

    Raises:
        UsageError: The name cannot be used, or the folder exists.
    """
    if fault := _name_fault(name):
        raise UsageError(f"{name!r} cannot be the name of a new converter: {fault}")
    package = folder / name
    if package.exists():
        raise UsageError(f"{package} exists already: choose another name or --dir, or remove it")
    for path, text in render_package(name).items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_text(text, encoding="utf-8")
    return package


def render_package(name: str) -> dict[str, str]:
    """Return the files of a new converter's package, by their paths in it."""
    return {
        "pyproject.toml": _render("pyproject.toml", name),
        "README.md": _render("README.md", name),
        f"{name}.py": _render("converter.py", name),
        f"tests/test_{name}.py": _render("test_converter.py", name),
    }


def class_name(name: str) -> str:
    """Return the name of a converter's class, such as MyPictures for my_pictures."""
    return "".join(part.capitalize() for part in name.split("_"))


def next_steps(package: Path) -> str:
    """Return what a person is told after `write_package`."""
    name, place = package.name, f"{package}" if package.is_absolute() else f"./{package}"  # pip asks for the "./"
    return (
        f"Wrote {place}: {name}.py is the converter, tests/test_{name}.py its test.\n"
        f"Next: pip install -e {shlex.quote(f'{place}[test]')}\n"
        f"      phi3v-data sample {name} raw\n"
        f"      phi3v-data convert {name} --source raw --out_dir out\n"
        f"      cd {shlex.quote(place)} && pytest"
    )


def _render(file: str, name: str) -> str:
    text = files("phi3v_data.convert").joinpath("template", f"{file}.template").read_text(encoding="utf-8")
    for mark, value in (("@name@", name), ("@Class@", class_name(name)), ("@release@", phi3v_data.__version__)):
        text = text.replace(mark, value)
    return text


def _name_fault(name: str) -> str | None:
    """Return why a new converter must not have a name, a sentence of its own, or None where it may."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        return "use small letters, digits and '_', as in my_pictures"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        return "it is a word of Python's own"
    if class_name(name) in phi3v_data.__all__:
        return f"its class would be {class_name(name)}, which phi3v_data has already"
    if name in converter_names():
        return "a converter of this name is installed"
    if name in sys.stdlib_module_names or find_spec(name) is not None:
        return "a module of this name is installed, which its own would hide"
    try:
        distribution(name)
    except PackageNotFoundError:
        return None
    return "a package of this name is installed"
