"""A conformance test for converters, to be called from a plug-in's own tests."""

from __future__ import annotations

import pickle
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phi3v_data.convert.conformance import (
    check_dataset,
    check_listing,
    check_pieces,
    files_below,
    first_difference,
    read_rejects,
)
from phi3v_data.convert.planning import Request
from phi3v_data.convert.registry import PLUGIN_FAULTS, converter_fault, describe, import_converter, reference_of
from phi3v_data.convert.sources import open_source
from phi3v_data.errors import Phi3VError, UsageError
from phi3v_data.reader import Dataset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from phi3v_data.convert.converter import Converter, Options, Reject
    from phi3v_schemas import Manifest, Record

__all__ = ["Checked", "check_converter"]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a converter made of the source it was checked with.

    Args:
        manifest: The dataset's manifest.
        records: Its records, split by split, in order.
        rejects: What gave no record, and why, in order.
    """

    manifest: Manifest
    records: list[Record]
    rejects: list[Reject]


def check_converter(
    converter: type[Converter[Any]],
    source: Path | str | None = None,
    *,
    options: Options | Mapping[str, Any] | None = None,
    workers: int = 2,
) -> Checked:
    """Convert a source as the command does and hold the converter to all that the engine relies on.

    The source is converted with one worker process and with several, which must give the same bytes, and piece by piece
    in this process, each alone, the last one first, which must give the same examples. It is listed twice, and must be
    left as it is. What comes out must be a dataset that `phi3v-data validate` finds no error in.

    Args:
        converter: The class; workers import it, so it stands in a module, not in a function.
        source: A folder of raw data; None takes what the converter's `write_sample` writes.
        options: Its options, or a mapping to make them of; those that are left out have their defaults.
        workers: How many processes are compared with one.

    Returns:
        What was made of the source.

    Raises:
        AssertionError: The converter breaks a rule; the message says which, in one sentence.
    """
    _check_class(converter)
    chosen = _options(converter, options)
    with tempfile.TemporaryDirectory(prefix="phi3v-check-") as name:
        folder = Path(name)
        root = _sample(converter, folder / "sample") if source is None else Path(source)
        before = files_below(root)
        try:
            opened = open_source(str(root), default=None, patterns=converter.files, cache_dir=folder / "cache")
            request = Request(converter, chosen, opened, folder / "dataset")
            check_listing(request)
            manifest = check_dataset(request, folder / "again", workers)
            check_pieces(request)
            dataset = Dataset(request.out_dir)
            records = [record for split in dataset.splits for record in dataset.split(split)]
        except (Phi3VError, OSError) as error:
            raise AssertionError(f"the source cannot be converted: {error}") from error
        after = files_below(root)
        assert after == before, f"the converter writes into its source: look at {first_difference(before, after)!r}"
        return Checked(manifest, records, read_rejects(request.out_dir))


def _check_class(converter: type[Converter[Any]]) -> None:
    fault = converter_fault(converter)
    assert fault is None, f"{getattr(converter, '__name__', converter)!r} {fault}"
    reference = reference_of(converter)
    assert converter.__module__ != "__main__", f"a worker cannot import {reference}: put the class into a module"
    try:
        found: Any = import_converter(reference)
        again = pickle.loads(pickle.dumps(converter))  # noqa: S301 - our own bytes
    except PLUGIN_FAULTS as error:
        raise AssertionError(
            f"a worker cannot import {reference} ({describe(error)}): put the class at the top of a module"
        ) from error
    assert found is converter and again is converter, f"{reference} is another class than the one that is checked"


def _options(converter: type[Converter[Any]], options: Options | Mapping[str, Any] | None) -> Options:
    model = converter.options_type
    if isinstance(options, model):
        return options
    given = dict(options or {})
    missing = [name for name, field in model.model_fields.items() if field.is_required() and name not in given]
    assert not missing, f"the option {missing[0]!r} has no default: pass options={{{missing[0]!r}: …}}"
    try:
        return model.model_validate(given)
    except ValueError as error:
        raise AssertionError(
            f"the options {given} do not fit {model.__name__}: {' '.join(str(error).split())}"
        ) from None


def _sample(converter: type[Converter[Any]], folder: Path) -> Path:
    folder.mkdir()
    try:
        converter.write_sample(folder)
    except UsageError as error:
        raise AssertionError(f"{error}: pass a folder of raw data as source, or define write_sample") from error
    except PLUGIN_FAULTS as error:
        raise AssertionError(f"write_sample() failed: {describe(error)}") from error
    return folder
