"""What the commands `reshard`, `split` and `merge` ask of the engine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from phi3v_data.convert.planning import Request
from phi3v_data.convert.sources import OpenedSource
from phi3v_data.errors import DataError, UsageError
from phi3v_data.layout import parse_name
from phi3v_data.paths import name_fault
from phi3v_data.reader import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from phi3v_data.convert.converter import Converter
    from phi3v_data.formats.kinds import Format
    from phi3v_data.reshape.records import RecordOptions
    from phi3v_schemas import OutputInfo

__all__ = ["carry_out", "divide_request", "labelled", "merge_request", "parse_fractions", "reshard_request"]


def carry_out(
    request: Callable[..., Request],
    *,
    out_dir: Path,
    output: Format,
    shard_records: int | None,
    shard_mb: int | None,
    overwrite: bool,
    **told: Any,
) -> None:
    """Run the request that the flags of the command line make, and tell what came of it."""
    from phi3v_data.convert import command
    from phi3v_data.convert.flags import output_from

    chosen = output_from(output, shard_records, shard_mb)
    command.carry_out(request(out_dir, output=chosen, overwrite=overwrite), timeout=None, **told)


def reshard_request(data: Path, out_dir: Path, images_dir: Path | None, **engine: Any) -> Request:
    """Return the request for a dataset in another format."""
    from phi3v_data.reshape.records import RecordOptions, Reshard

    return _request(Reshard, RecordOptions(datasets=[data], images_dir=images_dir), out_dir, _name(data), **engine)


def divide_request(
    data: Path,
    out_dir: Path,
    images_dir: Path | None,
    fractions: dict[str, float],
    *,
    seed: int,
    stratify: bool,
    **engine: Any,
) -> Request:
    """Return the request for a dataset in other splits."""
    from phi3v_data.reshape.divide import Divide, DivideOptions

    options = DivideOptions(datasets=[data], images_dir=images_dir, fractions=fractions, seed=seed, stratify=stratify)
    return _request(Divide, options, out_dir, _name(data), **engine)


def merge_request(datasets: dict[str, Path], out_dir: Path, name: str, **engine: Any) -> Request:
    """Return the request for several datasets in one; `datasets` has a label for each."""
    from phi3v_data.reshape.merge import Merge, MergeOptions

    if not name or name.startswith(".") or "/" in name or name_fault(name):
        raise UsageError(f"--name {name!r} cannot be what names of files begin with")
    options = MergeOptions(datasets=list(datasets.values()), labels=list(datasets))
    return _request(Merge, options, out_dir, name, **engine)


def parse_fractions(texts: Sequence[str]) -> dict[str, float]:
    """Read splits as they are typed, such as "train=0.9" and "val=0.1".

    Raises:
        UsageError: One cannot be read, or is named twice, or all are nothing.
    """
    fractions: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            fraction = float(value)
        except ValueError:
            fraction = -1.0
        if (
            not 0 <= fraction < float("inf")
            or not name
            or name_fault(name)
            or set(name) & set("/_.")
            or name in fractions
        ):
            raise UsageError(f"{text!r} names no split and its part, each once: write train=0.9 val=0.1")
        fractions[name] = fraction
    if not sum(fractions.values()):
        raise UsageError("every split has the part 0: write train=0.9 val=0.1")
    return fractions


def labelled(texts: Sequence[str]) -> dict[str, Path]:
    """Read datasets as they are typed, "DATA" or "LABEL=DATA"; a label by default is the folder's name.

    Raises:
        UsageError: There is but one, or a label cannot be used, or two are equal.
    """
    from pathlib import Path

    found: dict[str, Path] = {}
    for text in texts:
        label, equals, path = text.partition("=")
        if not equals or os.path.lexists(text):
            path, label = text, Path(text).resolve().name.removesuffix(Path(text).suffix)
        if not label or name_fault(label) or "/" in label:
            raise UsageError(f"{label!r} cannot be a label: write LABEL={path}")
        if label in found:
            raise UsageError(f"{found[label]} and {path} are both called {label!r}: give one a label, as in b={path}")
        found[label] = Path(path)
    if len(found) < 2:
        raise UsageError("a merge takes two datasets or more")
    return found


def _request(
    converter: type[Converter[Any]],
    options: RecordOptions,
    out_dir: Path,
    name: str,
    *,
    output: OutputInfo | None,
    limit: int | None = None,
    overwrite: bool = False,
) -> Request:
    for path in options.datasets:
        _refuse_onto_itself(path, out_dir)
        _refuse_split_names(path)
    root = options.datasets[0].resolve()
    absolute = options.model_copy(update={"datasets": [path.resolve() for path in options.datasets]})
    source = OpenedSource(root, "dataset", None, None, None, None, ())
    return Request(converter, absolute, source, out_dir, limit=limit, overwrite=overwrite, output=output, dataset=name)


def _refuse_onto_itself(data: Path, out_dir: Path) -> None:
    """Refuse to write over a dataset, or into its folder; beside a single file a folder of its own is no harm."""
    ours, theirs = out_dir.resolve(), (data if data.is_dir() else data.parent).resolve()
    if ours == theirs or ours in theirs.parents or (data.is_dir() and theirs in ours.parents):
        raise UsageError(f"--out_dir {out_dir} and {data} lie in each other: choose another --out_dir")


def _refuse_split_names(data: Path) -> None:
    for split in Dataset(data).splits:
        if fault := name_fault(split):
            raise DataError(f"the name of the split {split!r} of {data} {fault}: rename its file")


def _name(data: Path) -> str:
    """Return what the names of a dataset's files begin with."""
    dataset = Dataset(data)
    first = next(file for split in dataset.splits for file in dataset.files(split))
    return parse_name(first).name or "records"
