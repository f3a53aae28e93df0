"""How a renewed manifest is shown: a line for each file, or one JSON document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from phi3v_data.layout import MANIFEST
from phi3v_data.printable import counted

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_schemas import DataFile, Manifest

__all__ = ["render_json", "render_text"]


def render_text(folder: Path, before: Manifest | None, manifest: Manifest) -> None:
    """Print what has changed, file by file, and what was written.

    Args:
        folder: The dataset's folder.
        before: The manifest as it was; None where there was none.
        manifest: The manifest as it is now.
    """
    for path, (old, new) in _pairs(before, manifest).items():
        click.echo(f"{path}: {_change(old, new)}")
    if before is not None and before.rejects != manifest.rejects:
        click.echo(f"rejects: {before.rejects:,} -> {manifest.rejects:,}")
    for split in before.classes if before else ():
        if split not in manifest.classes and any(file.split == split for file in manifest.files):
            click.echo(f"classes of {split}: left out, its answers do not tell them")
    if manifest == before:
        click.echo(f"Nothing to do: {folder / MANIFEST} fits the dataset.")
    else:
        click.echo(f"Wrote {folder / MANIFEST}")


def render_json(folder: Path, before: Manifest | None, manifest: Manifest) -> None:
    """Print one document: what `render_text` says, and the manifest.

    Args:
        folder: The dataset's folder.
        before: The manifest as it was; None where there was none.
        manifest: The manifest as it is now.
    """
    changes = [
        {
            "path": path,
            "records_before": old and old.records,
            "records": new and new.records,
            "unchanged": old == new,
        }
        for path, (old, new) in _pairs(before, manifest).items()
    ]
    document = {"dataset": str(folder), "unchanged": manifest == before, "files": changes}
    click.echo(json.dumps({**document, "manifest": manifest.model_dump(mode="json", exclude_none=True)}, indent=2))


def _pairs(before: Manifest | None, manifest: Manifest) -> dict[str, tuple[DataFile | None, DataFile | None]]:
    """Return what the manifests say of each file, by its path: those that are there, and those that are gone."""
    old = {file.path: file for file in before.files} if before else {}
    new = {file.path: file for file in manifest.files}
    return {path: (old.get(path), new.get(path)) for path in (new | old)}


def _change(old: DataFile | None, new: DataFile | None) -> str:
    if old == new:
        return "unchanged"
    if old is None or new is None:
        only = old or new
        assert only is not None
        return f"{'gone' if old else 'new'}, {_records(only)}"
    if old.records != new.records:
        return f"{old.records:,} -> {_records(new)}"
    return f"{_records(new)} as before, with other {'images' if old.sha256 == new.sha256 else 'content'}"


def _records(file: DataFile) -> str:
    return counted(file.records, "record")
