"""The public surface: which names there are, that each can be had, and that each says what it is."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import TYPE_CHECKING

import pytest

import phi3v_converters
import phi3v_data
import phi3v_data.testing
import phi3v_schemas
import phi3v_train

if TYPE_CHECKING:
    from types import ModuleType

PACKAGES = (phi3v_schemas, phi3v_data, phi3v_converters, phi3v_train)
MODULES = sorted(
    module.name
    for package in PACKAGES
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
    if not any(part.startswith("_") for part in module.name.split("."))
)


def test_names_of_phi3v_data() -> None:
    assert phi3v_data.__all__ == [
        "Converter",
        "Dataset",
        "Example",
        "Image",
        "Options",
        "Phi3VError",
        "RawTurn",
        "Reject",
        "Source",
        "SourceError",
        "__version__",
    ]
    assert all(getattr(phi3v_data, name) for name in phi3v_data.__all__)
    with pytest.raises(AttributeError, match="module 'phi3v_data' has no attribute 'Nonsense'"):
        phi3v_data.Nonsense  # noqa: B018


def test_names_of_phi3v_schemas() -> None:
    assert phi3v_schemas.__all__ == [
        "SCHEMA_VERSION",
        "ConverterInfo",
        "DataFile",
        "Finding",
        "Manifest",
        "OutputInfo",
        "Record",
        "Report",
        "Severity",
        "SourceInfo",
        "Turn",
    ]
    assert all(getattr(phi3v_schemas, name) for name in phi3v_schemas.__all__)


def test_names_of_phi3v_data_testing() -> None:
    assert phi3v_data.testing.__all__ == ["Checked", "check_converter"]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_what_is_public_and_what_it_is(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, name
    public = {key for key, value in vars(module).items() if not key.startswith("_") and is_of(module, value)}
    exported = getattr(module, "__all__", None)
    if exported is None:
        assert not public, f"{name} has no __all__"
        return
    assert public <= set(exported), f"{name}: make these private, or add them to __all__: {public - set(exported)}"
    for key in exported:
        value = getattr(module, key)
        if is_of(module, value):
            assert value.__doc__, f"{name}.{key}"
            assert not (undocumented := methods_without_docstring(value)), f"{name}.{key}: {undocumented}"


def is_of(module: ModuleType, value: object) -> bool:
    """Return whether a module defines this function or class itself."""
    return (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__ == module.__name__


def methods_without_docstring(kind: type) -> list[str]:
    """Return the public methods and properties that a class defines and nobody describes."""
    if not inspect.isclass(kind):
        return []
    members = (inspect.isfunction, lambda value: isinstance(value, property | classmethod | staticmethod))
    return [
        key
        for key, value in vars(kind).items()
        if not key.startswith("_") and any(check(value) for check in members) and not inspect.getdoc(getattr(kind, key))
    ]
