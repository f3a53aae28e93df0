"""A copy in the making: each file with a line for every line of the original, blank where that is not kept.

So a line has the same number in both, whatever was changed or rejected before it.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from phi3v_data.lines import TooLong, read_blocks
from phi3v_data.mend.line import BLANK, CODES, mend_line
from phi3v_data.printable import unicode_of
from phi3v_data.validate.decode import try_record
from phi3v_data.validate.lines import LineTooLong

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from phi3v_data.mend.images import ImageLinks
    from phi3v_data.mend.source import SourceFile
    from phi3v_schemas import Finding

__all__ = ["StagedFile", "Tally"]


@dataclass
class Tally:
    """What became of the lines of a dataset.

    Args:
        lines: How many there are, blank ones included.
        blank: Blank ones, which were left out.
        kept: Those in the copy.
        changes: What was changed in kept ones, and the blank ones, by kind.
        rejects: Those that were set apart, by the code of the first error in each.
        carried: Bytes of the list of rejects that the dataset had before.
    """

    lines: int = 0
    blank: int = 0
    kept: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    rejects: Counter[str] = field(default_factory=Counter)
    carried: int = 0


class _Raw(NamedTuple):
    number: int
    offset: int
    size: int
    data: bytes | None
    """None of a line over the limit."""


class StagedFile:
    """One file of a copy in the making.

    Args:
        source: The original.
        path: The file, which is to be made.
        max_line: Longest line in bytes that is read.
        tally: Told what becomes of every line.
        rejects: Where the lines go that are not kept.
    """

    def __init__(self, source: SourceFile, path: Path, max_line: int, tally: Tally, rejects: IO[bytes]) -> None:
        self.path = path
        self._source = source
        self._max_line = max_line
        self._tally = tally
        self._rejects = rejects
        self._changes = path.with_name(path.name + ".changes")

    def fill(self) -> None:
        """Mend every line that holds a record, and take the others as they are; set those apart that are too long."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("xb") as out, self._changes.open("xb") as changes:
            for raw in _read(self._source.path, self._max_line):
                self._tally.lines += 1
                out.write(self._fill_line(raw, changes))

    def _fill_line(self, raw: _Raw, changes: IO[bytes]) -> bytes:
        if raw.data is None:
            problem = LineTooLong.problem(limit=self._max_line)
            self._reject(raw, [problem.at(self._source.name, raw.number)])
            return b"\n"
        is_ended = raw.offset + raw.size < self._source.input.size
        mended = mend_line(raw.data, is_first=raw.number == 1, is_ended=is_ended)
        if mended is None:  # without a newline the validator can tell that it was cut off
            return raw.data + b"\n" * is_ended
        for change in mended.changes:
            place = {"file": self._source.name, "line": raw.number, "pointer": change.pointer}
            told = {"kind": change.kind, "code": CODES[change.kind], "before": change.before, "after": change.after}
            _write_json(changes, {**place, **told})
        return mended.data + b"\n"

    def reject(self, found: Iterable[tuple[int, list[Finding]]]) -> None:
        """Set lines apart, each with what is wrong with it, in order of the lines."""
        waiting = iter(found)
        number, findings = next(waiting, (0, []))
        new, size = self.path.with_name(self.path.name + ".new"), self.path.stat().st_size
        lines = zip(_read(self._source.path, self._max_line), _read(self.path, self._max_line), strict=True)
        with new.open("xb") as out:
            for original, staged in lines:
                if original.number != number:
                    out.write((staged.data or b"") + b"\n" * (staged.offset + staged.size < size))
                    continue
                self._reject(original, findings)
                out.write(b"\n")
                number, findings = next(waiting, (0, []))
        assert not number, f"line {number} of {self._source.path} was to be set apart and was not reached"
        new.replace(self.path)

    def finish(self, target: Path, changes: IO[bytes], images: ImageLinks | None) -> None:
        """Write the file of the copy, the list of what was changed in it, and the images that its records name."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._changes.open("rb") as file, target.open("xb") as out:
            listed = map(json.loads, file)
            change = next(listed, None)
            for staged in _read(self.path, self._max_line):
                told = []
                while change and change["line"] == staged.number:
                    told.append(change)
                    change = next(listed, None)
                self._finish_line(staged.data or b"", told, out, changes)
                if staged.data and images is not None and (record := try_record(staged.data)) is not None:
                    images.bring(record.image_paths())

    def _finish_line(self, data: bytes, told: list[dict[str, Any]], out: IO[bytes], changes: IO[bytes]) -> None:
        is_blank = any(change["kind"] == BLANK for change in told)
        if not data and not is_blank:  # it was set apart as it had been, and nothing was changed
            return
        self._tally.kept += not is_blank
        self._tally.blank += is_blank
        out.write(data + b"\n" * (not is_blank))
        for change in told:
            self._tally.changes[change["kind"]] += 1
            _write_json(changes, change)

    def _reject(self, raw: _Raw, findings: list[Finding]) -> None:
        self._tally.rejects[findings[0].code] += 1
        told = {name: getattr(findings[0], name) for name in ("code", "message", "hint")}
        codes = list(dict.fromkeys(finding.code for finding in findings))
        place = {"file": self._source.name, "line": raw.number}
        _write_json(self._rejects, {**place, **told, "findings": codes, **_content(raw)})


def _write_json(file: IO[bytes], document: Mapping[str, Any]) -> None:
    """Write an object as a line, without fields that are None or empty; the name of a file need not be Unicode."""
    kept = {key: value for key, value in document.items() if value not in (None, "")}
    file.write(json.dumps({**kept, "file": unicode_of(kept["file"])}, ensure_ascii=False).encode() + b"\n")


def _content(raw: _Raw) -> dict[str, str | int]:
    """Return what a line holds, or where it stands if that is too much."""
    if raw.data is None:
        return {"offset": raw.offset, "bytes": raw.size}
    try:
        return {"text": raw.data.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw.data).decode()}


def _read(path: Path, limit: int) -> Iterator[_Raw]:
    number = offset = 0
    with path.open("rb") as file:
        for block in read_blocks(file, limit=limit):
            for line in block.lines:
                number += 1
                size, data = (line.size, None) if isinstance(line, TooLong) else (len(line), line)
                yield _Raw(number, offset, size, data)
                offset += size + 1
