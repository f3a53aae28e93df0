"""Which files of a repository are wanted: those that fit a converter's patterns, else its one archive."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phi3v_data.convert.archive import SUFFIXES
from phi3v_data.convert.patterns import choose_by_pattern, configurations, usable_names
from phi3v_data.errors import CannotRun
from phi3v_data.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["CONVERSION", "Choice", "HubRequest", "choose", "explain_script", "partial_splits"]

CONVERSION = "refs/convert/parquet"
"""The branch where the hub keeps its own Parquet conversion of a dataset, as CONFIG/SPLIT/0000.parquet."""

_PARTIAL = re.compile(r"[^/]+/partial-([^/]+)/\d{4,}\.parquet")


@dataclass(frozen=True, slots=True)
class HubRequest:
    """What to fetch.

    Args:
        repo: OWNER/NAME of a dataset.
        revision: Branch, tag or commit.
        likely: Name of the archive, if one is known.
        certain: Whether `likely` is the one to take, rather than a guess about somebody else's repository.
        patterns: Of file names, the preferred first; `*` crosses `/`.
        pinned: Whether a person named the revision.
    """

    repo: str
    revision: str
    likely: str | None
    certain: bool
    patterns: tuple[str, ...] = ()
    pinned: bool = False

    @property
    def wanted(self) -> str:
        """What to call the files in messages while they are not chosen."""
        if self.likely and (self.certain or not self.patterns):
            return self.likely
        return " or ".join(self.patterns) or "an archive"


@dataclass(frozen=True, slots=True)
class Choice:
    """The files to take.

    Args:
        pattern: What chose them; None for one archive.
        names: Their names in the repository, sorted.
    """

    pattern: str | None
    names: tuple[str, ...]


def choose(names: Iterable[str], request: HubRequest) -> Choice | None:
    """Return the files a request can mean among those of a repository, or None if it has only a loading script.

    The names are the hub's, so nobody has vouched for them: those that lead out of a folder or are hidden are left out.

    Raises:
        CannotRun: No pattern fits and there is not exactly one archive, or several configurations fit.
    """
    if request.likely and request.certain:
        return Choice(None, (request.likely,))
    usable = usable_names(names)
    if chosen := choose_by_pattern(request.patterns, usable):
        pattern, fitting = chosen
        _require_one_configuration(pattern, fitting, request)
        return Choice(pattern, tuple(fitting))
    archives = [name for name in usable if name.lower().endswith(SUFFIXES)]
    if request.patterns and not archives and any(name.endswith(".py") and "/" not in name for name in usable):
        return None
    return Choice(None, (_one_archive(archives, request),))


def explain_script(request: HubRequest) -> CannotRun:
    """Return the sentence for a dataset that has only a loading script, and no conversion that could be taken."""
    problem = f"the dataset {request.repo} has only a loading script, which is not run, and the hub"
    if request.pinned:
        other = f"'s Parquet conversion belongs to another revision than {request.revision!r}"
        return CannotRun(f"{problem}{other}: leave out @{request.revision} or write @{CONVERSION}")
    return CannotRun(f"{problem} has no Parquet conversion of it: get its files from its page and give their folder")


def partial_splits(names: Iterable[str]) -> list[str]:
    """Return the splits of which the hub's Parquet conversion holds only the first part."""
    return sorted({printable(match[1]) for name in names if (match := _PARTIAL.fullmatch(name))})


def _require_one_configuration(pattern: str, names: Sequence[str], request: HubRequest) -> None:
    """Refuse to mix configurations; a pattern that begins with a folder has chosen among them."""
    if len(several := configurations(pattern, names)) == 1:
        return
    revision = "" if request.revision == "main" else f" --revision {request.revision}"
    command = f'hf download {request.repo} --include "CONFIG/*" --repo-type dataset{revision} --local-dir DIR'
    problem = f"the dataset {request.repo} holds several configurations: {_some(several)}"
    raise CannotRun(f"{problem}; download the one you want (`{command}`) and give its folder")


def _one_archive(archives: Sequence[str], request: HubRequest) -> str:
    if request.likely is not None and request.likely in archives:
        return request.likely
    if len(archives) == 1:
        return archives[0]
    wanted = " or ".join((*request.patterns, "exactly one archive"))
    problem = f"the dataset {request.repo} should hold {wanted}, it holds {_some(archives) or 'none'}"
    raise CannotRun(f"{problem}: download what you need and give its path or folder")


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(printable, names[:10])) + (", ..." if len(names) > 10 else "")
