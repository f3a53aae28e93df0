"""Every rule there is: importing this imports each module that holds rules."""

from __future__ import annotations

from difflib import get_close_matches

from phi3v_data.errors import UsageError
from phi3v_data.printable import quote
from phi3v_data.validate import (  # noqa: F401 -- RULES is complete when every module that holds rules is imported
    alike,
    balance,
    class_lists,
    contradictions,
    fields,
    folder,
    foreign,
    framing,
    ids,
    image_rules,
    inputs,
    keys,
    leaks,
    length,
    lines,
    manifest,
    not_lines,
    sameness,
    text,
    undecodable,
    values,
    wording,
)
from phi3v_data.validate.rule import RULES

__all__ = ["RULES", "no_such_rule"]

_LONGEST_NAME = 64


def no_such_rule(name: str) -> UsageError:
    """Return the error of a name that is neither a rule's code nor its slug, with those that are near."""
    codes = sorted(RULES, key=lambda code: code[1:])
    near = get_close_matches(name.upper()[:_LONGEST_NAME], codes, cutoff=0.7)
    near += get_close_matches(name.lower()[:_LONGEST_NAME], [rule.slug for rule in RULES.values()])
    if near:
        return UsageError(f"there is no rule {quote(name)}; did you mean {' or '.join(near)}?")
    families = ", ".join(sorted({f"{code[:2]}xx" for code in codes}, key=lambda family: (family[1], family[0])))
    return UsageError(f"there is no rule {quote(name)}; the families are {families}: see docs/findings.md")
