"""A result as annotations of GitHub Actions: workflow commands, one a line.

The format: https://docs.github.com/actions/reference/workflow-commands-for-github-actions; what is escaped, and how:
`escapeData` and `escapeProperty` of https://github.com/actions/toolkit, packages/core/src/command.ts.
"""

from __future__ import annotations

import os
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from phi3v_data.printable import printable
from phi3v_data.validate.rule import RULES
from phi3v_data.validate.shown import left_out, verdict, work_done, write_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from phi3v_data.validate.result import Result
    from phi3v_schemas import Finding

__all__ = ["render_github"]

_IN_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_IN_PROPERTIES = _IN_DATA | str.maketrans({":": "%3A", ",": "%2C"})


def render_github(result: Result, stream: TextIO | None = None) -> None:
    """Write every finding kept as an annotation of its file and line, and one more that sums up.

    Args:
        result: What `validate` returned.
        stream: Where to write; standard output by default.
    """
    write_lines(_commands(result), stream, color=False)


def _commands(result: Result) -> Iterator[str]:
    for file, findings in groupby(result.findings, key=attrgetter("file")):
        name = _from_root(file)
        for finding in findings:
            yield _annotation(name, finding)
    lines = [f"{verdict(result)}: {work_done(result)}"]
    lines += [f"{count:,} {code} {RULES[code].slug}" for code, count in result.counts.items()]
    lines += left_out(result, len(result.findings))
    yield _command("notice", {"title": "phi3v-data validate"}, "\n".join(map(printable, lines)))


def _annotation(file: str, finding: Finding) -> str:
    line = {} if finding.line is None else {"line": str(finding.line)}
    properties = {"file": file, **line, "title": f"{finding.code} {finding.slug}"}
    where = f" (at {finding.pointer})" if finding.pointer else ""
    return _command(finding.severity, properties, printable(f"{finding.message.rstrip('.')}{where}. {finding.hint}"))


def _from_root(file: str) -> str:
    """Return a path as annotations want it: relative to the repository, or the current folder, where it is below."""
    relative = os.path.relpath(file, os.environ.get("GITHUB_WORKSPACE") or Path.cwd())
    return file if relative.startswith(os.pardir) else relative


def _command(name: str, properties: dict[str, str], data: str) -> str:
    stated = ",".join(f"{key}={printable(value).translate(_IN_PROPERTIES)}" for key, value in properties.items())
    return f"::{name} {stated}::{data.translate(_IN_DATA)}"
