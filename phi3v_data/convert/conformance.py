"""The rules that the engine relies on and cannot enforce, each an assertion about one converter and one source."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from phi3v_data.convert.converter import Reject, Source
from phi3v_data.convert.engine import Progress, convert
from phi3v_data.convert.executors import LocalExecutor
from phi3v_data.convert.faults import checked_examples, checked_shared, checked_splits, make_converter
from phi3v_data.convert.registry import PLUGIN_FAULTS
from phi3v_data.layout import REJECTS
from phi3v_data.validate import validate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from phi3v_data.convert.converter import Converter
    from phi3v_data.convert.planning import Request
    from phi3v_schemas import Manifest

__all__ = ["check_dataset", "check_listing", "check_pieces", "files_below", "first_difference", "read_rejects"]

_CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_FAULTS = {"converter_error", "no_examples", "invalid_record", "invalid_image", "worker_died"}
"""Codes of rejects that say nothing of the data: the converter is at fault."""

_TIMEOUT = 120.0  # seconds for one source


def check_dataset(request: Request, again: Path, workers: int) -> Manifest:
    """Convert with one worker, and into `again` with several; hold the dataset to the rules of the format.

    Raises:
        AssertionError: The bytes differ, a reject blames the converter, or the dataset has errors.
    """
    manifest = _convert(request, 1)
    for reject in read_rejects(request.out_dir):
        _check_reject(reject)
    assert manifest.files, "the converter made no record of the source"
    _convert(replace(request, out_dir=again), workers)
    one, several = _hashes(request.out_dir), _hashes(again)
    assert one == several, (
        f"{first_difference(one, several)} differs when the source is converted again, with {workers} workers: "
        "convert() depends on more than the source, the options and self.shared"
    )
    errors = (finding for finding in validate([request.out_dir]).findings if finding.severity == "error")
    if (first := next(errors, None)) is not None:
        raise AssertionError(f"the dataset has errors: {first.code} in line {first.line}: {first.message}")
    return manifest


def check_listing(request: Request) -> None:
    """List the sources twice.

    Raises:
        AssertionError: The listings differ, or a group crosses splits.
    """
    (first, listing), (second, again) = _list(request), _list(request)
    assert listing == again, "sources() lists other sources the second time"
    assert first.shared == second.shared, "sources() leaves something else in self.shared the second time"
    _check_groups(listing)


def check_pieces(request: Request) -> None:
    """Convert each source as a part of the whole and, the last one first, alone.

    Raises:
        AssertionError: A source gives other examples alone.
    """
    converter, listing = _list(request)
    shared = json.loads(json.dumps(converter.shared))
    sources = [entry for entries in listing.values() for entry in entries if isinstance(entry, Source)]
    whole = _fresh(request, shared)
    outcomes = [_outcome(whole, source) for source in sources]
    for source, outcome in zip(reversed(sources), reversed(outcomes), strict=True):
        assert _outcome(_fresh(request, shared), source) == outcome, (
            f"convert() makes other examples of {source.path!r} when it is converted alone: "
            "it must depend on nothing but the source, the options and self.shared"
        )


def files_below(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of every file and folder below a folder, by their paths."""
    entries = ((path.relative_to(folder).as_posix(), path.lstat()) for path in folder.rglob("*"))
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in entries}


def first_difference(one: Mapping[str, object], other: Mapping[str, object]) -> str:
    """Return the first path under which two different mappings differ, one of records before any other."""
    paths = (path for path in one.keys() | other.keys() if one.get(path) != other.get(path))
    return min(paths, key=lambda path: (not path.endswith(".jsonl"), path))


def read_rejects(out_dir: Path) -> list[Reject]:
    """Return what a dataset says it has rejected."""
    path = out_dir / REJECTS
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [Reject(**json.loads(line)) for line in lines]


def _convert(request: Request, workers: int) -> Manifest:
    silent = Progress(lambda total, done: None, lambda message: None)
    return convert(request, LocalExecutor(workers, _TIMEOUT), silent).manifest


def _check_reject(reject: Reject) -> None:
    shown = f"the reject of {reject.source!r} ({reject.code}: {reject.message!r})"
    assert reject.code not in _FAULTS, f"{shown} is a fault of the converter"
    assert _CODE.fullmatch(reject.code), f"{shown} has a code that is not in snake_case"
    assert reject.message.strip() and len(reject.message.splitlines()) == 1, f"{shown} does not say why in one line"


def _hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _list(request: Request) -> tuple[Converter[Any], dict[str, list[Source | Reject]]]:
    """Return a converter that has listed its sources, and these in an order of their own."""
    converter = make_converter(request.converter, request.options, request.source.root)
    listing = {split: sorted(entries, key=repr) for split, entries in checked_splits(converter).items()}
    checked_shared(converter)
    return converter, listing


def _check_groups(listing: Mapping[str, list[Source | Reject]]) -> None:
    homes: dict[str, str] = {}
    for split, entries in listing.items():
        for entry in entries:
            if isinstance(entry, Source) and entry.group is not None:
                home = homes.setdefault(entry.group, split)
                assert home == split, f"the group {entry.group!r} is in the splits {home!r} and {split!r}"


def _fresh(request: Request, shared: dict[str, Any]) -> Converter[Any]:
    """Return a converter as a worker has it: it has listed nothing."""
    converter = make_converter(request.converter, request.options, request.source.root)
    converter.shared = shared
    return converter


def _outcome(converter: Converter[Any], source: Source) -> Any:
    """Return the examples of a source as a worker gets it, or what was raised."""
    seen = replace(source, data=json.loads(json.dumps(dict(source.data))))
    try:
        return checked_examples(converter.convert(pickle.loads(pickle.dumps(seen))))  # noqa: S301 - our own bytes
    except PLUGIN_FAULTS as error:
        return type(error).__name__, str(error)
