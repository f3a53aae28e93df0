"""How a mended copy is shown: its changes, what was set apart, what the validator still finds, and what to do next."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from phi3v_data.layout import MANIFEST
from phi3v_data.printable import counted, printable, quote, unicode_of
from phi3v_data.validate.output import render_json as render_result_json
from phi3v_data.validate.output import render_text as render_result
from phi3v_data.validate.shown import write_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import TextIO

    from phi3v_data.mend.mender import Mended

__all__ = ["render_json", "render_text"]

_OF_A_KIND = 10
_WORDS = {
    "byte-order-mark": "byte order mark removed",
    "blank-line": "blank line left out",
    "carriage-return": "carriage return before the newline removed",
    "final-newline": "newline added at the end of the file",
}


def render_text(mended: Mended, stream: TextIO | None = None, *, color: bool | None = None, all: bool = False) -> None:
    """Write what was changed and set apart, file by file, then the result of validating the copy, then a summary.

    Of a kind of change and of a code, the first ten places in a file are shown, and how many more there are.

    Args:
        mended: What `mend` returned.
        stream: Where to write; standard output by default.
        color: Whether to colour; by default where the stream is a terminal and NO_COLOR is not set.
        all: Whether to show every finding kept of the copy.
    """
    write_lines(_listed(mended.changes_path, 0, mended, "kind", _change_line), stream, color=color)
    write_lines(_listed(mended.rejects_path, mended.tally.carried, mended, "code", _reject_line), stream, color=color)
    write_lines([click.style(printable(f"The copy {mended.out_dir}:"), bold=True)], stream, color=color)
    render_result(mended.result, stream, color=color, all=all)
    write_lines(_summary(mended), stream, color=color)


def render_json(mended: Mended, stream: TextIO | None = None) -> None:
    """Write one JSON document: the figures, and under `validation` the document of `validate --format json`.

    Args:
        mended: What `mend` returned.
        stream: Where to write; standard output by default. All it gets is ASCII.
    """
    tally = mended.tally
    head = {
        "path": _text(mended.source),
        "out_dir": _text(mended.out_dir),
        "lines": tally.lines,
        "kept": tally.kept,
        "rejected": tally.rejects.total(),
        "blank": tally.blank,
        "changes": dict(sorted(tally.changes.items())),
        "rejects": dict(sorted(tally.rejects.items())),
        "images": mended.images,
        "images_left_out": mended.images_left_out,
        "changes_path": _text(mended.changes_path),
        "rejects_path": _text(mended.rejects_path),
    }
    write_lines([json.dumps(head, separators=(",", ":"))[:-1] + ',"validation":'], stream)
    render_result_json(mended.result, stream)
    write_lines(["}"], stream)


def _listed(
    path: Path | None, start: int, mended: Mended, key: str, say: Callable[[dict[str, Any]], str]
) -> Iterator[str]:
    """Yield a list of changes or rejects: the first few of each kind in a file, and how many more there are."""
    if path is None:
        return
    folder = mended.source if mended.source.is_dir() else mended.source.parent
    hints: set[str] = set()
    with path.open("rb") as file:
        file.seek(start)
        for name, entries in groupby(map(json.loads, file), key=lambda entry: entry["file"]):
            found: Counter[str] = Counter()
            for entry in entries:
                found[entry[key]] += 1
                if found[entry[key]] <= _OF_A_KIND:
                    place = f"{folder / name}:{entry['line']}" + (f":{entry['pointer']}" if "pointer" in entry else "")
                    yield f"{click.style(printable(unicode_of(place)), bold=True)}: {printable(say(entry))}"
                    if (hint := entry.get("hint")) and hint not in hints:
                        hints.add(hint)
                        yield f"    {click.style('hint:', fg='cyan')} {printable(hint)}"
            for kind, count in found.items():
                if count > _OF_A_KIND:
                    yield f"    … and {count - _OF_A_KIND:,} more {kind} in this file, all in {printable(str(path))}"


def _change_line(change: dict[str, Any]) -> str:
    match change["kind"]:
        case "duplicate-key":
            words = f"a key that stood {change['before']} times with the same value now stands once"
        case "id-form":
            words = f"id {quote(change['before'])} written in Unicode's form NFC"
        case kind:
            words = _WORDS[kind]
    return f"mended {change['code']}: {words}" if "code" in change else f"mended: {words}"


def _reject_line(reject: dict[str, Any]) -> str:
    return f"rejected {reject['code']}: {reject['message']}"


def _summary(mended: Mended) -> Iterator[str]:
    tally, out = mended.tally, mended.out_dir
    if mended.images is None:
        yield "The images stay where they are: give --images_dir again."
    elif mended.images_left_out:
        count = counted(mended.images_left_out, "image")
        yield f"Not copied: {count} that records name, not there or outside the images folder."
    if not mended.changes_path and not mended.rejects_path:
        yield "Nothing had to be mended."
    told = [f"{counted(tally.kept, 'record')} kept, {tally.rejects.total():,} rejected"]
    told.append(f"{tally.blank:,} blank left out, {counted(tally.changes.total(), 'change')}")
    lists = [path.name for path in (mended.changes_path, mended.rejects_path) if path]
    also = f", with {' and '.join(lists)}" if lists else ""
    colour = "red" if tally.rejects or mended.result.errors else "green"
    yield click.style(printable(f"Wrote {out}{also}: {', '.join(told)}."), fg=colour, bold=True)
    yield printable(f"Next: {_next(mended)}")


def _next(mended: Mended) -> str:
    copy = shlex.quote(str(mended.out_dir if mended.source.is_dir() else mended.out_dir / mended.source.name))
    if mended.rejects_path:
        return (
            f"correct the records in {shlex.quote(str(mended.rejects_path))} by hand, add them to the copy, then "
            + (f"phi3v-data manifest {copy}" if (mended.out_dir / MANIFEST).exists() else f"phi3v-data validate {copy}")
        )
    if mended.result.errors:
        return f"phi3v-data validate {copy}"
    return f"phi3v-data preview {copy} --out page.html"


def _text(path: Path | None) -> str | None:
    return None if path is None else unicode_of(str(path))
