"""Export a dataset: read it record by record, and write a folder that appears whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from phi3v_data import __version__
from phi3v_data.errors import CannotRun, DataError, UsageError
from phi3v_data.export.folder import MARKER, refuse_folder, refuse_overlap, write_marker
from phi3v_data.export.target import Note, SplitCount, Target, read_examples
from phi3v_data.fs import FolderHeld, explain_os_error, write_folder
from phi3v_data.layout import read_manifest
from phi3v_data.paths import name_fault

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.reader import Dataset

__all__ = ["EXPORT_FORMATS", "ExportFormat", "Exported", "export"]

ExportFormat = Literal["llava", "messages", "hf"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)

_OPTIONS: dict[str, ExportFormat] = {"llama_factory": "llava", "image_tags": "messages", "shard_mb": "hf"}


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export came to.

    Args:
        out_dir: Its folder.
        to: Its format.
        splits: What was written of each split, by its name in the dataset.
        notes: What the format does not carry as the dataset has it.
    """

    out_dir: Path
    to: ExportFormat
    splits: dict[str, SplitCount]
    notes: list[Note]

    def document(self) -> dict[str, Any]:
        """Return it as JSON would have it, without the folder."""
        return {
            "format": self.to,
            "splits": {name: {"records": count.records, "images": count.images} for name, count in self.splits.items()},
            "notes": [{"code": note.code, "records": note.records, "message": note.message} for note in self.notes],
        }


def export(dataset: Dataset, to: ExportFormat, out_dir: Path, *, overwrite: bool = False, **options: Any) -> Exported:
    """Export a dataset.

    Args:
        dataset: The dataset.
        to: The format: "llava", "messages" or "hf".
        out_dir: The folder to write. It must not exist, be empty, or hold an export that is to be replaced.
        overwrite: Whether to replace an export.
        **options: Of one format each: `llama_factory` (of llava: rows and dataset_info.json as LLaMA-Factory reads
            them), `image_tags` (of messages: texts with `<image>` tags instead of parts), `shard_mb` (of hf: megabytes
            that a shard may reach, by default 500). False and None are as good as absent.

    Raises:
        UsageError: An option is of another format, the folder holds something else, or is not apart from the dataset.
        DataError: A record or an image cannot be read, or the format cannot hold a text.
        CannotRun: No space, or another run is at work in the folder.
        MissingExtra: Parquet is written or read, and pyarrow is not installed.
    """
    given = {name: value for name, value in options.items() if value}
    if other := next((name for name in given if _OPTIONS.get(name) != to), None):
        raise UsageError(f"--{other} has no meaning for --to {to}: it is for {_OPTIONS.get(other, 'nothing')}")
    for split in dataset.splits:
        _refuse_name(split)
    refuse_overlap(dataset, out_dir)
    try:
        with write_folder(out_dir, last=MARKER) as folder:
            refuse_folder(out_dir, folder, overwrite=overwrite)
            exported = _write(dataset, _open_target(to, folder, given), to, out_dir)
            write_marker(folder, {"phi3v_data": __version__, **exported.document()})
    except FolderHeld:
        raise CannotRun(f"another run is writing into {out_dir}: wait for it or choose another --out_dir") from None
    except OSError as error:
        raise CannotRun(explain_os_error(error, out_dir)) from error
    except BaseException as error:
        if not isinstance(error, Exception):
            error.add_note("Nothing was exported: run the same command again.")
        raise
    return exported


def _open_target(to: ExportFormat, folder: Path, options: dict[str, Any]) -> Target:
    if to == "llava":
        from phi3v_data.export.llava import LlavaTarget

        return LlavaTarget(folder, **options)
    if to == "messages":
        from phi3v_data.export.messages import MessagesTarget

        return MessagesTarget(folder, **options)
    from phi3v_data.export.hf import HubTarget

    return HubTarget(folder, **options)


def _write(dataset: Dataset, target: Target, to: ExportFormat, out_dir: Path) -> Exported:
    splits = {split: SplitCount() for split in dataset.splits}
    for split, count in splits.items():
        samples = dataset.split(split).samples()
        target.write_split(split, read_examples(samples, count, tags_are_places=target.tags_are_places))
    target.finish(splits, read_manifest(dataset.path) if dataset.path.is_dir() else None)
    return Exported(out_dir, to, splits, target.told())


def _refuse_name(split: str) -> None:
    """Refuse the name of a split that cannot name a file."""
    fault = name_fault(split) or ("holds a slash" if "/" in split else "is hidden" if split.startswith(".") else None)
    if fault:
        raise DataError(f"the name {split!r} of a split {fault}, so no file can have it: name its file anew")
