"""Find converters: by the name of an entry point, built-in ones exactly as a stranger's, or by where the class is."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import os
import re
import sys
from functools import reduce
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phi3v_data.errors import CannotRun, UsageError
from phi3v_data.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from phi3v_data.convert.converter import Converter

__all__ = [
    "ENTRY_POINT_GROUP",
    "PLUGIN_FAULTS",
    "code_of",
    "converter_fault",
    "converter_names",
    "describe",
    "import_converter",
    "load_converter",
    "load_entry_point",
    "reference_of",
]

ENTRY_POINT_GROUP = "phi3v_data.converters"

PLUGIN_FAULTS = (Exception, SystemExit, BaseExceptionGroup)
"""What a converter, anyone's code, may raise by its own fault; Ctrl-C and SIGTERM are none."""

_NAME = re.compile(r"\w[\w.-]{0,99}")
_FILE_MODULE = "_phi3v_converter_file_"
_LONGEST = 500


def converter_names() -> list[str]:
    """Return the names of all installed converters, sorted, without importing any of them."""
    return sorted({point.name for point in entry_points(group=ENTRY_POINT_GROUP)})


def load_converter(name: str) -> type[Converter[Any]]:
    """Import the converter of that name, or the one that is at `path/to/file.py:Class` or `module:Class`.

    Raises:
        UsageError: No such converter, file, module or class, or two packages offer one of this name.
        CannotRun: It cannot be imported, or is not a converter.
    """
    if ":" in name or name.endswith(".py"):
        return _load_reference(name)
    points = {point.value: point for point in entry_points(group=ENTRY_POINT_GROUP, name=name)}
    if not points:
        raise UsageError(_unknown(name))
    if len(points) > 1:
        raise UsageError(f"two packages offer a converter named {name!r} ({', '.join(sorted(points))}): uninstall one")
    return load_entry_point(next(iter(points.values())))


def load_entry_point(point: EntryPoint) -> type[Converter[Any]]:
    """Import the converter that an entry point names.

    Raises:
        CannotRun: It cannot be imported, or is not a converter.
    """
    shown = f"{point.name!r} ({point.value})"
    return _usable(_imported(point.load, shown), shown)


def import_converter(reference: str) -> type[Converter[Any]]:
    """Import a converter that was loaded before, from what `reference_of` returned, as a worker does."""
    place, _, name = reference.rpartition(":")
    found: type[Converter[Any]] = _member(_import_place(place), name)
    return found


def reference_of(kind: type[Converter[Any]]) -> str:
    """Return where any process of this machine finds a converter: `module:Class` or `/path/to/file.py:Class`."""
    place = kind.__module__
    if place.startswith(_FILE_MODULE):
        place = str(sys.modules[place].__file__)
    return f"{place}:{kind.__qualname__}"


def code_of(kind: type[Converter[Any]]) -> str | None:
    """Return the SHA-256 of the file that a converter is run from; None for an installed one, whose version tells."""
    if not kind.__module__.startswith(_FILE_MODULE):
        return None
    return hashlib.sha256(Path(str(sys.modules[kind.__module__].__file__)).read_bytes()).hexdigest()


def converter_fault(kind: object) -> str | None:
    """Return why an object is no converter that can be run, the end of a sentence about it, or None if it is one."""
    from phi3v_data.convert.converter import Converter, Options

    if not (isinstance(kind, type) and issubclass(kind, Converter)):
        return "is not a subclass of phi3v_data.Converter"
    if kind.__abstractmethods__:
        return f"does not define {' and '.join(f'{name}()' for name in sorted(kind.__abstractmethods__))}"
    name, version = getattr(kind, "name", None), getattr(kind, "version", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        shown = "no name" if name is None else f"the name {name!r}"
        return f"has {shown}: give the class one of letters, digits, '_', '-' and '.', as in name = \"captions\""
    if not isinstance(version, str) or not version:
        shown = "no version" if version is None else f"the version {version!r}"
        return f'has {shown}: give the class one that is text, as in version = "1"'
    if not (isinstance(kind.options_type, type) and issubclass(kind.options_type, Options)):
        return "has an options_type that is not a subclass of phi3v_data.Options"
    return None


def describe(error: BaseException) -> str:
    """Return an exception of a plug-in as one short line."""
    text = printable(" ".join(f"{type(error).__name__}: {error}".split()))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _unknown(name: str) -> str:
    names = converter_names()
    if not names:
        return f"no converter is installed, so none is named {name!r}: reinstall phi3v-data (pip install)"
    near = difflib.get_close_matches(name, names, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(names)}"
    return f"no converter is named {name!r}{guess}"


def _load_reference(given: str) -> type[Converter[Any]]:
    """Import the converter that a person names by its place."""
    place, _, name = given.rpartition(":")
    if not place or not name:
        raise UsageError(f"{given!r} names no class: write path/to/file.py:Class or module:Class")
    if _is_file(place):
        place = os.path.abspath(os.path.expanduser(place))  # noqa: PTH100, PTH111 - a link keeps its own folder
        if not Path(place).is_file():
            raise UsageError(f"there is no file {place}, in which the converter {name!r} is to be")
    shown = repr(given)
    module = _imported(lambda: _import_place(place), shown)
    try:
        found = _member(module, name)
    except AttributeError:
        raise UsageError(_no_class(given, module)) from None
    return _usable(found, shown)


def _no_class(given: str, module: ModuleType) -> str:
    classes = sorted(
        f"{name!r}"
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__ and converter_fault(value) is None
    )
    return f"{given!r} names no class; the converters there are: {', '.join(classes) or 'none'}"


def _imported(load: Callable[[], Any], shown: str) -> Any:
    try:
        return load()
    except PLUGIN_FAULTS as error:
        raise CannotRun(f"the converter {shown} cannot be imported: {describe(error)}") from error


def _usable(found: Any, shown: str) -> type[Converter[Any]]:
    if fault := converter_fault(found):
        raise CannotRun(f"the converter {shown} {fault}")
    kind: type[Converter[Any]] = found
    return kind


def _member(module: Any, name: str) -> Any:
    """Return what a dotted name names in a module."""
    return reduce(getattr, name.split("."), module)


def _is_file(place: str) -> bool:
    return place.endswith(".py") or "/" in place


def _import_place(place: str) -> ModuleType:
    return _import_file(Path(place)) if _is_file(place) else importlib.import_module(place)


def _import_file(path: Path) -> ModuleType:
    """Import a file under a name that nothing else has; its folder comes last, so that it shadows nothing either."""
    name = _FILE_MODULE + hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = sys.modules[name] = module_from_spec(spec)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
