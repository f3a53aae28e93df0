"""Find converters by entry point: built-in ones exactly as a stranger's."""

from __future__ import annotations

import difflib
import importlib
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from phi3v_data.errors import CannotRun, UsageError

if TYPE_CHECKING:
    from phi3v_data.convert.converter import Converter

__all__ = ["ENTRY_POINT_GROUP", "converter_names", "import_converter", "load_converter"]

ENTRY_POINT_GROUP = "phi3v_data.converters"


def converter_names() -> list[str]:
    """Return the names of all installed converters, sorted, without importing any of them."""
    return sorted({point.name for point in entry_points(group=ENTRY_POINT_GROUP)})


def load_converter(name: str) -> type[Converter[Any]]:
    """Import the converter of that name.

    Raises:
        UsageError: No such converter, or two packages offer one of this name.
        CannotRun: It is installed but cannot be imported, or is not a converter.
    """
    points = {point.value: point for point in entry_points(group=ENTRY_POINT_GROUP, name=name)}
    if not points:
        raise UsageError(_unknown(name))
    if len(points) > 1:
        raise UsageError(f"two packages offer a converter named {name!r} ({', '.join(sorted(points))}): uninstall one")
    return _import(next(iter(points.values())))


def import_converter(reference: str) -> type[Converter[Any]]:
    """Import a converter that was loaded before, from `module:class`, as a worker does; no entry point is looked up."""
    module, _, name = reference.partition(":")
    found: type[Converter[Any]] = getattr(importlib.import_module(module), name)
    return found


def _unknown(name: str) -> str:
    names = converter_names()
    if not names:
        return f"no converter is installed, so none is named {name!r}: reinstall phi3v-data (pip install)"
    near = difflib.get_close_matches(name, names, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(names)}"
    return f"no converter is named {name!r}{guess}"


def _import(point: EntryPoint) -> type[Converter[Any]]:
    from phi3v_data.convert.converter import Converter

    try:
        found = point.load()
    except Exception as error:  # a plug-in may raise anything on import
        raise CannotRun(
            f"the converter {point.name!r} ({point.value}) cannot be imported: {type(error).__name__}: {error}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Converter)):
        raise CannotRun(f"the entry point {point.name!r} ({point.value}) is not a subclass of phi3v_data.Converter")
    return found
