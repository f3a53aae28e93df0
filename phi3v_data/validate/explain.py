"""The rules in words: `phi3v-data explain E401`, and docs/findings.md, both from the rule classes.

`python -m phi3v_data.validate.explain` writes docs/findings.md again.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from phi3v_data.errors import UsageError
from phi3v_data.validate import ids, images, lines, manifest, schema, text
from phi3v_data.validate.rule import RULES

if TYPE_CHECKING:
    from phi3v_data.validate.rule import Rule

__all__ = ["explain", "findings_page"]

_FAMILIES = {
    module.__doc__.partition(":")[0][1]: module.__doc__.partition("\n")[0]
    for module in (lines, schema, ids, images, manifest, text)
    if module.__doc__
}
_HEAD = """# Findings

Generated from the rule classes by `python -m phi3v_data.validate.explain`; do not edit.

`phi3v-data validate` reports what it finds under these codes; `phi3v-data explain CODE` prints an entry.
E is an error: the run exits 1. W is for a person to look at: the run exits 0, or 1 with `--strict`.
A code never changes its meaning.

What each level of `--images` proves: `exists`, that the file is there and not empty; `header`, that it is
an image of a sane size and reaches its end marker (JPEG, PNG, WebP). Damage in the middle shows only when an
image is decoded.
"""


def explain(code: str) -> str:
    """Describe a rule: what it says, what to do, and an example of bad and good.

    Args:
        code: Such as "E401"; upper or lower case.

    Raises:
        UsageError: There is no such rule.
    """
    rule = RULES.get(code.strip().upper())
    if rule is None:
        raise UsageError(f"there is no rule {code!r}; the codes are {', '.join(sorted(RULES, key=_number))}")
    return _entry(rule)


def findings_page() -> str:
    """Return docs/findings.md."""
    rules = [RULES[code] for code in sorted(RULES, key=_number)]
    table = ["| code | rule | meaning |", "|---|---|---|"]
    table += [f"| [{rule.code}](#{_anchor(rule)}) | {rule.slug} | {rule.__doc__} |" for rule in rules]
    parts = [_HEAD, "\n".join(table) + "\n"]
    family = ""
    for rule in rules:
        if rule.code[1] != family:
            family = rule.code[1]
            parts.append(f"## {_FAMILIES[family].rstrip('.')}\n")
        parts.append("### " + _entry(rule))
    return "\n".join(parts)


def _entry(rule: type[Rule]) -> str:
    says = re.sub(r"\{(\w+)(:[^}]*)?\}", r"<\1>", rule.message)
    return (
        f"{rule.code} {rule.slug} ({rule.severity})\n\n{rule.__doc__} {rule.hint}\n\n"
        f"Message: `{says}`\n\nBad:\n\n{_block(rule.bad)}\n\nGood:\n\n{_block(rule.good)}\n"
    )


def _block(text: str) -> str:
    return "\n".join("    " + line for line in text.split("\n"))


def _anchor(rule: type[Rule]) -> str:
    return f"{rule.code}-{rule.slug}-{rule.severity}".lower()


def _number(code: str) -> str:
    return code[1:]


if __name__ == "__main__":
    (Path(__file__).parents[2] / "docs" / "findings.md").write_text(findings_page(), encoding="utf-8")
