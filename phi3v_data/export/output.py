"""How an export is shown: what was written and what the format does not carry, or one JSON document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from phi3v_data.printable import printable

if TYPE_CHECKING:
    from phi3v_data.export.exporter import Exported

__all__ = ["render_json", "render_text"]


def render_text(exported: Exported) -> None:
    """Print a line for each split and for each note, and where the export is."""
    for name, count in exported.splits.items():
        records = f"{count.records:,} {'record' if count.records == 1 else 'records'}"
        click.echo(f"{printable(name)}: {records}, {count.images:,} {'image' if count.images == 1 else 'images'}")
    for note in exported.notes:
        click.echo(f"note: {note.message}")
    click.echo(f"Wrote {exported.out_dir} as {exported.to}")


def render_json(exported: Exported) -> None:
    """Print one document: what `render_text` says."""
    click.echo(json.dumps({"out_dir": str(exported.out_dir), **exported.document()}, indent=2, ensure_ascii=False))
