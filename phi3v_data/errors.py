"""Errors a user can meet: each says in one sentence what is wrong, where, and what to do."""

from __future__ import annotations

__all__ = ["CannotRun", "DataError", "MissingExtra", "Phi3VError", "SourceError", "UsageError"]


class Phi3VError(Exception):
    """Base of every error this package raises on purpose; `exit_code` is what the command line returns."""

    exit_code = 3


class DataError(Phi3VError):
    """The data has errors or rejects."""

    exit_code = 1


class SourceError(DataError):
    """One source cannot be converted: it becomes a reject, and the run goes on.

    Args:
        code: Stable reason in snake case, such as "truncated"; it is written to rejects.jsonl.
        message: One sentence for a person.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


class UsageError(Phi3VError):
    """The request makes no sense as it was put."""

    exit_code = 2


class CannotRun(Phi3VError):
    """The request was sound but could not be carried out: no space, no network, a missing file."""


class MissingExtra(CannotRun):
    """A package of an optional extra is not installed."""
