"""What a run has found: counted always, kept up to a limit in memory, or all of it on disk."""

from __future__ import annotations

import tempfile
import weakref
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from phi3v_schemas import SCHEMA_VERSION, Finding, Report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3v_data.validate.rule import Problem

__all__ = ["Findings", "Result", "exit_code"]


class Findings:
    """Collects findings in the order they come.

    Args:
        limit: How many are kept; 0 keeps all, in a temporary file that goes with this object.
    """

    def __init__(self, limit: int) -> None:
        self.counts: dict[str, int] = {}
        self._limit = limit
        self._kept: list[Finding] = []
        self._spool: IO[bytes] | None = None
        if not limit:
            self._spool = _temporary_file()
            weakref.finalize(self, self._spool.close)
        self._spooled = 0

    def add(self, file: str, line: int | None, problem: Problem) -> None:
        """Count a problem, and keep it while there is room."""
        code = problem.rule.code
        self.counts[code] = self.counts.get(code, 0) + 1
        if self._spool is not None:
            self._spool.write(problem.at(file, line).model_dump_json().encode() + b"\n")
            self._spooled += 1
        elif len(self._kept) < self._limit:
            self._kept.append(problem.at(file, line))

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._kept) + self._spooled

    def __iter__(self) -> Iterator[Finding]:
        yield from self._kept
        if self._spool is not None:
            self._spool.seek(0)
            yield from map(Finding.model_validate_json, self._spool)


def _temporary_file() -> IO[bytes]:
    return tempfile.TemporaryFile(prefix="phi3v-findings-")


@dataclass
class Result:
    """The outcome of one validation run.

    Args:
        files: The files read, in order, by their names in the findings.
        records: Lines read that held something.
        bytes: Bytes read.
        seconds: Wall-clock time.
        findings: What was found, in the order it is shown.
    """

    files: list[str]
    records: int
    bytes: int
    seconds: float
    findings: Findings

    @property
    def counts(self) -> dict[str, int]:
        """How often each code was found, kept or not, in order of code number."""
        return dict(sorted(self.findings.counts.items(), key=lambda item: item[0][1:]))

    @property
    def errors(self) -> int:
        """How many errors were found, kept or not."""
        return sum(count for code, count in self.findings.counts.items() if code.startswith("E"))

    @property
    def warnings(self) -> int:
        """How many warnings were found, kept or not."""
        return sum(self.findings.counts.values()) - self.errors

    def report(self) -> Report:
        """Return the document of `validate --format json`, with every finding kept, spooled ones too."""
        return Report(
            schema_version=SCHEMA_VERSION,
            files=self.files,
            records=self.records,
            counts=self.counts,
            findings=list(self.findings),
        )


def exit_code(result: Result, *, strict: bool = False) -> int:
    """Return what the process should exit with: 1 for errors, and for warnings too where `strict`, else 0."""
    return int(result.errors > 0 or (strict and result.warnings > 0))
