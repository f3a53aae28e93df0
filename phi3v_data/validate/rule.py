"""What a rule is: one class with a stable code, and the wording of everything it can say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from phi3v_data.printable import unicode_of
from phi3v_schemas import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from phi3v_schemas import Severity

__all__ = ["RULES", "Problem", "Rule", "pointer_to"]

RULES: dict[str, type[Rule]] = {}
"""Every rule by its code."""


class Problem(NamedTuple):
    """A rule broken somewhere in a line or a file; with the place it becomes a finding."""

    rule: type[Rule]
    pointer: str
    message: str
    hint: str

    def at(self, file: str, line: int | None) -> Finding:
        """Return the finding at a place; `line` counts from 1, None stands for the whole file or folder."""
        return Finding(
            file=unicode_of(file),
            line=line,
            pointer=self.pointer,
            code=self.rule.code,
            slug=self.rule.slug,
            severity=self.rule.severity,
            message=unicode_of(self.message),
            hint=unicode_of(self.hint),
        )


class Rule:
    """Base of all rules. A subclass states the class variables and is registered by being written.

    A code is a letter, E for an error or W for what a person should look at, and three digits, the first of
    which names the family. Codes and slugs are never reused and never change their meaning.
    """

    code: ClassVar[str]
    slug: ClassVar[str]
    severity: ClassVar[Severity]
    message: ClassVar[str]
    """Template in one line, filled by `problem`."""
    hint: ClassVar[str]
    """What to do about it; `problem` may give a better one where it knows more."""
    bad: ClassVar[str]
    """The smallest data that breaks the rule: JSONL, or a file and what is wrong with it."""
    good: ClassVar[str]
    """The same data as it should be."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.code in RULES or any(rule.slug == cls.slug for rule in RULES.values()):
            raise TypeError(f"{cls.__name__}: the code {cls.code} or the slug {cls.slug!r} is taken")
        if cls.code[0] not in "EW":
            raise TypeError(f"{cls.__name__}: the code {cls.code} begins neither with E nor with W")
        cls.severity = "error" if cls.code[0] == "E" else "warning"
        RULES[cls.code] = cls

    @classmethod
    def problem(cls, *, pointer: str = "", hint: str | None = None, **values: Any) -> Problem:
        """Fill the rule's message.

        Args:
            pointer: JSON pointer to the value at fault; "" for the whole line or file.
            hint: Takes the place of the rule's own hint.
            values: What the message template names.
        """
        return Problem(cls, pointer, cls.message.format(**values), cls.hint if hint is None else hint)


def pointer_to(parts: Iterable[str | int]) -> str:
    """Return the JSON pointer (RFC 6901) to a place, from the keys and indices on the way."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
