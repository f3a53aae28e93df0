"""What a run has found: counted always, kept up to a limit in memory, or all of it on disk."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from phi3v_data.validate.temporary import temporary_file, temporary_space
from phi3v_schemas import SCHEMA_VERSION, Finding, Report

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from phi3v_data.validate.rule import Problem, Rule

__all__ = ["Findings", "Result", "exit_code"]


class Findings:
    """Collects findings in the order they come.

    Args:
        limit: How many are kept; 0 keeps all, in a temporary file that goes with this object.
        wanted: The codes that are asked for; None for all. Others are passed over.
    """

    def __init__(self, limit: int, wanted: Container[str] | None = None) -> None:
        self.counts: dict[str, int] = {}
        self._limit = limit
        self._wanted = wanted
        self._kept: list[Finding] = []
        self._spool: IO[bytes] | None = None
        if not limit:
            self._spool = temporary_file()
            weakref.finalize(self, self._spool.close)
        self._spooled = 0

    @property
    def is_full(self) -> bool:
        """Whether no more are kept: what is found from now on is only counted."""
        return self._spool is None and len(self._kept) >= self._limit

    @property
    def room(self) -> int | None:
        """How many more are kept; None for all."""
        return None if self._spool is not None else self._limit - len(self._kept)

    def add(self, file: str, line: int | None, problem: Problem) -> None:
        """Count a problem, and keep it while there is room."""
        self.count(problem.rule, 1)
        if self._wanted is not None and problem.rule.code not in self._wanted:
            return
        if self._spool is not None:
            with temporary_space():
                self._spool.write(problem.at(file, line).model_dump_json().encode() + b"\n")
            self._spooled += 1
        elif len(self._kept) < self._limit:
            self._kept.append(problem.at(file, line))

    def count(self, rule: type[Rule], number: int) -> None:
        """Count problems that are not kept."""
        code = rule.code
        if number and (self._wanted is None or code in self._wanted):
            self.counts[code] = self.counts.get(code, 0) + number

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._kept) + self._spooled

    def __iter__(self) -> Iterator[Finding]:
        yield from self._kept
        if self._spool is not None:
            self._spool.seek(0)
            yield from map(Finding.model_validate_json, self._spool)


@dataclass
class Result:
    """The outcome of one validation run.

    Args:
        findings: What was found, in the order it is shown.
        files: The files read, in order, by their names in the findings.
        records: Lines read that held something.
        sound: Those of them that are records of the format.
        images: Images looked at, each as often as a record names it.
        bytes: Bytes read.
        seconds: Wall-clock time.
        unchecked: What was not looked at for lack of a library, a line each.
    """

    findings: Findings
    files: list[str] = field(default_factory=list)
    records: int = 0
    sound: int = 0
    images: int = 0
    bytes: int = 0
    seconds: float = 0.0
    unchecked: list[str] = field(default_factory=list)

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
