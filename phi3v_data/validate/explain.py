"""The rules in words: `phi3v-data explain E401`, and docs/findings.md, both from the rule classes.

`python -m phi3v_data.validate.explain` writes docs/findings.md again.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from phi3v_data.validate.rules import RULES, no_such_rule

if TYPE_CHECKING:
    from phi3v_data.validate.rule import Rule

__all__ = ["explain", "findings_page"]

_FAMILIES = {
    "1": "E1xx: files and their lines, before anything is known of the record in them",
    "2": "E2xx: the fields of a record, their types and what they must hold",
    "3": "E3xx: ids, which must differ within a dataset",
    "4": "E4xx: the images that records name",
    "5": "E5xx: records held against each other and against what the model can take",
    "6": "E6xx: the dataset folder against its manifest",
    "7": "E7xx: the texts, and what they mean to the model",
}
_LEVELS = {
    **dict.fromkeys(("E402",), "none"),
    **dict.fromkeys(("E401", "E403", "E407", "E408", "W413", "W415", "W417", "W502"), "exists"),
    **dict.fromkeys(("E409", "W419", "W503"), "decode"),
}
_HEAD = """# Findings

Generated from the rule classes by `python -m phi3v_data.validate.explain`; do not edit.

`phi3v-data validate` reports what it finds under these codes; `phi3v-data explain` prints an entry by its code or name.
E is an error; W is for a person to look at. A code never changes its meaning.

| exit code | meaning |
|---|---|
| 0 | no error was found |
| 1 | an error was found, or with `--strict` a warning |
| 2 | the command makes no sense as it was put |
| 3 | the run could not be carried out |
| 130, 143, 141 | interrupted, terminated, or the reader of the output has left |

`--select` and `--ignore` take codes, beginnings of codes and names, as in `--select E4,W5 --ignore image-missing`: the
longest that fits a code decides, and `--ignore` where both are as long. What is left out is neither shown nor counted.
`--format github` writes the findings as annotations for GitHub Actions, `--format json` as one document for programs.

What each level of `--images` proves, on top of the one before it:

- `none`: that the paths are safe to open. No file is looked at.
- `exists`: that each image is there and is not empty.
- `header`, the default: that it begins as an image of a size the model can take, and (JPEG, PNG and WebP) reaches its
  end marker. Damage in between is not seen.
- `decode`: that Pillow decodes it without complaint. That is no proof of every pixel: zeros in the middle of a JPEG
  are painted over, rows that a JPEG or PNG promises and does not hold are filled, and the checksums of PNG pixel chunks
  are not looked at. Only the checksums of a manifest or an archive prove the bytes.

What is looked for beyond single records costs no second reading of the images but at `decode`: equal bytes in two
splits are found by size, beginning and end, and only then by all bytes. What one dataset cannot know by itself, whether
a picture belongs in several splits, a file for `--allow_leaks` tells: an image path, group or id a line, or patterns.
"""


def explain(rule: str) -> str:
    """Describe a rule: what it says, what to do, and an example of bad and good.

    Args:
        rule: Its code or its slug, such as "E401" or "image-missing"; upper or lower case.

    Raises:
        UsageError: There is no such rule.
    """
    name = rule.strip()
    for found in RULES.values():
        if name.upper() == found.code or name.lower() == found.slug:
            return _entry(found)
    raise no_such_rule(name)


def findings_page() -> str:
    """Return docs/findings.md."""
    rules = [RULES[code] for code in sorted(RULES, key=_number)]
    table = ["| code | rule | meaning | from `--images` |", "|---|---|---|---|"]
    table += [
        f"| [{rule.code}](#{_anchor(rule)}) | {rule.slug} | {rule.__doc__} | {_level(rule.code)} |" for rule in rules
    ]
    parts = [_HEAD, "\n".join(table) + "\n"]
    family = ""
    for rule in rules:
        if rule.code[1] != family:
            family = rule.code[1]
            parts.append(f"## {_FAMILIES[family]}\n")
        parts.append("### " + _entry(rule))
    return "\n".join(parts)


def _entry(rule: type[Rule]) -> str:
    says = re.sub(r"\{(\w+)(:[^}]*)?\}", r"<\1>", rule.message)
    return (
        f"{rule.code} {rule.slug} ({rule.severity})\n\n{rule.__doc__} {rule.hint}\n\n"
        f"Message: `{says}`\n\nBad:\n\n{_block(rule.bad)}\n\nGood:\n\n{_block(rule.good)}\n"
    )


def _level(code: str) -> str:
    """Return the level of `--images` that finds a rule broken; empty where images do not matter."""
    return _LEVELS.get(code, "header" if code[1] == "4" else "")


def _block(example: str) -> str:
    return "\n".join("    " + line for line in example.split("\n"))


def _anchor(rule: type[Rule]) -> str:
    return f"{rule.code}-{rule.slug}-{rule.severity}".lower()


def _number(code: str) -> str:
    return code[1:]


if __name__ == "__main__":
    (Path(__file__).parents[2] / "docs" / "findings.md").write_text(findings_page(), encoding="utf-8")
