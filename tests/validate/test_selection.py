"""Which rules `--select` and `--ignore` leave."""

from __future__ import annotations

import pickle

import pytest

from phi3v_data.errors import UsageError
from phi3v_data.validate.rule import RULES
from phi3v_data.validate.selection import Selection


def left(select: tuple[str, ...] = (), ignore: tuple[str, ...] = ()) -> set[str]:
    selection = Selection(select, ignore)
    return {code for code in RULES if code in selection}


def of(*prefixes: str) -> set[str]:
    return {code for code in RULES if code.startswith(prefixes)}


@pytest.mark.parametrize(
    ("select", "ignore", "expected"),
    [
        ((), (), of("")),
        (("E4", "W"), (), of("E4", "W")),
        (("e4,w, E101 ,",), (), of("E4", "W", "E101")),
        (("Image-Missing",), (), {"E401"}),
        ((), ("W",), of("E")),
        (("E4",), ("image-missing",), of("E4") - {"E401"}),
        (("E401",), ("E4",), {"E401"}),
        (("E", "E401"), ("E4",), of("E") - of("E4") | {"E401"}),
        (("E4",), ("E4",), set()),
        (("E4",), ("E", "E402"), of("E4") - {"E402"}),
    ],
)
def test_the_longest_match_decides_and_a_tie_is_ignored(
    select: tuple[str, ...], ignore: tuple[str, ...], expected: set[str]
) -> None:
    assert left(select, ignore) == expected


@pytest.mark.parametrize("items", [("",), (",",), (" , ", "")])
def test_a_selection_that_names_no_rule_is_refused(items: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="--select names no rule"):
        Selection(items)
    assert left(ignore=items) == of("")


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("image-mising", "no rule 'image-mising'; did you mean image-missing"),
        ("E4011", "no rule 'E4011'; did you mean E401"),
        ("X9", r"no rule 'X9'; the families are E1xx, W1xx, E2xx.*: see docs/findings.md$"),
        ("4", "no rule '4'; the families are"),
        ("\x1b[31m" + "x" * 1000, r"no rule '\\x1b\[31mx+'…; the families"),
    ],
)
def test_what_fits_no_rule_is_refused_with_what_is_near(item: str, words: str) -> None:
    for items in ({"select": ("E4", item)}, {"ignore": (f"W,{item}",)}):
        with pytest.raises(UsageError, match=words):
            Selection(**items)


def test_any_tells_whether_one_of_several_is_wanted() -> None:
    selection = Selection(("E4",))
    assert selection.any("W703", "E402")
    assert not selection.any("E101", "W104")
    assert not selection.any()


def test_workers_get_it_as_it_is() -> None:
    selection = Selection(["E4", "W"], ["E401"])
    copy = pickle.loads(pickle.dumps(selection))
    assert copy == selection
    assert {code for code in RULES if code in copy} == left(("E4", "W"), ("E401",))
