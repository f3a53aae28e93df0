"""Which rules a run holds the data against: `--select` and `--ignore`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from phi3v_data.errors import UsageError
from phi3v_data.validate.rules import RULES, no_such_rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Selection"]


@dataclass(frozen=True)
class Selection:
    """The rules wanted: `code in selection` tells. Workers get it as it is.

    The longest item that fits a code decides, and `ignore` where both fit as closely.

    Args:
        select: Codes, beginnings of codes ("E4", "W") and slugs, also several in one with commas between; in either
            case. None at all means every rule.
        ignore: The same, for the rules left out.

    Raises:
        UsageError: An item fits no rule, or what is selected names none.
    """

    select: Sequence[str] = ()
    ignore: Sequence[str] = ()
    _wanted: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        selected, ignored = set(_prefixes(self.select)), set(_prefixes(self.ignore))
        if self.select and not selected:
            raise UsageError("--select names no rule: give a code, the beginning of one or a name, as in --select E4,W")
        if not selected:
            selected = {""}
        wanted = (code for code in RULES if _longest(selected, code) > _longest(ignored, code))
        object.__setattr__(self, "_wanted", frozenset(wanted))

    def __contains__(self, code: object) -> bool:
        return code in self._wanted

    def any(self, *codes: str) -> bool:
        """Whether any of these rules is wanted, so that what they need must be gathered."""
        return not self._wanted.isdisjoint(codes)


def _prefixes(items: Sequence[str]) -> Iterator[str]:
    """Return each item as the beginning of codes."""
    codes = {rule.slug: rule.code for rule in RULES.values()}
    for item in ",".join(items).split(","):
        if not (name := item.strip()):
            continue
        prefix = codes.get(name.lower(), name.upper())
        if not any(code.startswith(prefix) for code in RULES):
            raise no_such_rule(name)
        yield prefix


def _longest(prefixes: set[str], code: str) -> int:
    """Return how many characters of a code the closest prefix fits; -1 where none does."""
    return max((len(prefix) for prefix in prefixes if code.startswith(prefix)), default=-1)
