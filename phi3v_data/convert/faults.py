"""What a converter's author can get wrong, held against the contract: one sentence each, never a traceback."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from phi3v_data.convert.converter import Example, Image, RawTurn, Reject, Source
from phi3v_data.convert.kept import Kept
from phi3v_data.convert.registry import PLUGIN_FAULTS, describe
from phi3v_data.errors import CannotRun, Phi3VError, SourceError
from phi3v_data.paths import name_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from phi3v_data.convert.converter import Converter, Options

__all__ = ["checked_examples", "checked_shared", "checked_splits", "make_converter"]

_TEXT = (str, "text")
_TEXT_OR_NONE = (str | None, "text or None")
_LARGEST = (1 << 63) - 1  # SQLite's

_SOURCE = {
    "path": _TEXT,
    "name": _TEXT,
    "size": (int, "an integer"),
    "group": _TEXT_OR_NONE,
    "label": _TEXT_OR_NONE,
    "data": (Mapping, "a mapping"),
}
_REJECT = {"source": _TEXT, "split": _TEXT_OR_NONE, "code": _TEXT, "message": _TEXT}
_EXAMPLE = {
    "turns": (Sequence, "a list of RawTurn"),
    "system": _TEXT_OR_NONE,
    "metadata": (Mapping | None, "a mapping or None"),
    "label": _TEXT_OR_NONE,
}
_TURN = {
    "user": _TEXT,
    "assistant": _TEXT_OR_NONE,
    "images": (Sequence, "a list of Image"),
    "answers": (Sequence | None, "a list of texts or None"),
}
_IMAGE = {"data": (bytes, "bytes"), "suffix": _TEXT}


class _Breach(Exception):
    """Something that the contract rules out."""


def make_converter(kind: type[Converter[Any]], options: Options, root: Path) -> Converter[Any]:
    """Return a converter, ready to list its sources.

    Raises:
        CannotRun: It raised an exception.
    """
    with _blaming(kind):
        return kind(options, root)


def checked_splits(
    converter: Converter[Any], on_listed: Callable[[], None] | None = None
) -> dict[str, Iterator[Source | Reject]]:
    """Return what a converter lists, split by split; each entry is checked when its turn comes.

    Args:
        converter: The converter.
        on_listed: Called for every entry.

    Raises:
        CannotRun: `sources` raised an exception, or returned something else than the contract asks for. Errors of this
            package and of the operating system pass as they are.
    """
    with _blaming(type(converter)):
        splits = converter.sources()
        if not isinstance(splits, Mapping):
            raise _Breach(f"sources() returned {_kind(splits)}, expected a mapping of split names to sources")
        for split, sources in splits.items():
            _check_split(split, sources)
    return {split: _checked_sources(converter, sources, on_listed) for split, sources in splits.items()}


def checked_shared(converter: Converter[Any]) -> dict[str, Any]:
    """Return a converter's `shared`, which has to be JSON.

    Raises:
        CannotRun: It is not.
    """
    with _blaming(type(converter)):
        shared = converter.shared
        if not (isinstance(shared, dict) and all(isinstance(key, str) for key in shared)):
            raise _Breach("self.shared is not a dict whose keys are text")
        _check_json(shared, "self.shared")
        return shared


def checked_examples(examples: Any) -> list[Example]:
    """Return all that `convert` yields.

    Raises:
        SourceError: It is something else than the contract asks for.
    """
    try:
        if not isinstance(examples, Iterable):
            raise _Breach(f"convert() returned {_kind(examples)}, expected an iterable of Example")
        found = list(examples)
        for example in found:
            if not isinstance(example, Kept):
                _check_example(example)
    except _Breach as error:
        raise SourceError("converter_error", f"the converter failed: {error}") from None
    return found


@contextmanager
def _blaming(kind: type[Converter[Any]]) -> Iterator[None]:
    try:
        yield
    except (Phi3VError, OSError):
        raise
    except PLUGIN_FAULTS as error:
        told = str(error) if isinstance(error, _Breach) else describe(error)
        raise CannotRun(
            f"the converter {kind.name!r} failed while it listed its sources: {told}: this is a fault in it; "
            "--debug shows where"
        ) from error


def _check_split(split: Any, sources: Any) -> None:
    if not isinstance(split, str):
        raise _Breach(f"sources() names a split {split!r}, expected text")
    fault = name_fault(split) or next((f"holds {mark!r}" for mark in "/_" if mark in split), None)
    if fault:
        raise _Breach(f"sources() names a split {split!r}, which {fault} and cannot be a part of a file's name")
    if not isinstance(sources, Iterable):
        raise _Breach(f"sources() maps {split!r} to {_kind(sources)}, expected an iterable of Source and Reject")


def _checked_sources(
    converter: Converter[Any], sources: Iterable[Any], on_listed: Callable[[], None] | None
) -> Iterator[Source | Reject]:
    with _blaming(type(converter)):
        for entry in sources:
            _check_entry(entry)
            if on_listed is not None:
                on_listed()
            yield entry


def _check_entry(entry: Any) -> None:
    if isinstance(entry, Reject):
        _check_fields(entry, _REJECT)
        return
    if not isinstance(entry, Source):
        raise _Breach(f"sources() listed {_kind(entry)}, expected a Source or a Reject")
    _check_fields(entry, _SOURCE)
    if not 0 <= entry.size <= _LARGEST:
        raise _Breach(f"the size of the Source {entry.path!r} is {entry.size}, expected bytes")
    _check_json(dict(entry.data), f"the data of the Source {entry.path!r}")


def _check_example(example: Any) -> None:
    if not isinstance(example, Example):
        raise _Breach(f"convert() made {_kind(example)}, expected an Example")
    _check_fields(example, _EXAMPLE)
    _check_unicode(example)
    for turn in example.turns:
        if not isinstance(turn, RawTurn):
            raise _Breach(f"the turns of an Example hold {_kind(turn)}, expected RawTurn")
        _check_fields(turn, _TURN)
        for image in turn.images:
            if not isinstance(image, Image):
                raise _Breach(f"the images of a RawTurn hold {_kind(image)}, expected Image")
            _check_fields(image, _IMAGE)


def _check_unicode(example: Example) -> None:
    """Look for what JSON can spell and no file can hold; the texts of a turn are looked at by the record's schema."""
    try:
        (example.label or "").encode()
        json.dumps(dict(example.metadata or {}), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise SourceError("not_unicode", "its class or metadata holds half of a surrogate pair") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise _Breach(f"the metadata of an Example is not JSON ({error})") from error


def _check_fields(thing: Any, fields: Mapping[str, tuple[Any, str]]) -> None:
    for name, (kind, words) in fields.items():
        value = getattr(thing, name)
        if not isinstance(value, kind) or (isinstance(value, str) and kind not in (str, str | None)):
            raise _Breach(f"the {name} of {_kind(thing)} is {_kind(value)}, expected {words}")


def _check_json(value: Any, what: str) -> None:
    try:
        json.dumps(value, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise _Breach(f"{what} is not JSON ({error})") from error


def _kind(value: Any) -> str:
    """Return what a value is, such as "None", "a dict" or "an int"."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"an {name}" if name[0] in "aeiouAEIOU" else f"a {name}"
