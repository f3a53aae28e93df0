"""From a request to a plan: what is said of a source of which nothing is left, and of options that mean nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from phi3v_data.convert.converter import Converter, Options, Reject, Source
from phi3v_data.convert.plan import Plan, write_plan
from phi3v_data.convert.planning import Request, plan_job
from phi3v_data.convert.sources import OpenedSource
from phi3v_data.errors import UsageError
from tests.converters.made_sources import write_json_lines
from tests.helpers import run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Given(Converter[Options]):
    """Lists what it is given."""

    name: ClassVar[str] = "given"
    version: ClassVar[str] = "1"
    listing: ClassVar[Mapping[str, list[Source | Reject]]] = {}

    def sources(self) -> Mapping[str, list[Source | Reject]]:
        return self.listing

    def convert(self, source: Source) -> list[Any]:
        return []


def refused(folder: Path, *members: str, **listing: list[Source | Reject]) -> str:
    """Plan a source of which nothing is left; return the sentence that says so."""

    class Now(Given):
        """This listing."""

    Now.listing = listing
    opened = OpenedSource(folder, "folder", None, None, None, None, members)
    with pytest.raises(UsageError) as caught:
        plan_job(Request(Now, Options(), opened, folder), folder / "plan.sqlite")
    return str(caught.value)


def bad(place: str, message: str) -> Reject:
    return Reject(source=place, split="train", code="bad", message=message)


class TestNothingIsLeft:
    def test_without_rejects_it_is_all_there_is_to_say(self, tmp_path: Path) -> None:
        for listing in ({}, {"train": []}):
            assert refused(tmp_path, **listing) == "given found nothing to convert in the source"

    def test_else_the_first_place_says_why(self, tmp_path: Path) -> None:
        told = refused(tmp_path, val=[bad("b.json:9", "no id")], train=[bad("b.json:1", "no text"), bad("c", "x")])
        assert told == "given found nothing to convert in the source; b.json:1: no text"

    def test_names_and_members_that_are_unsafe_count(self, tmp_path: Path) -> None:
        told = refused(tmp_path, train=[Source(path="../a", name="a"), Source(path="x\udcff", name="b")])
        assert told == "given found nothing to convert in the source; ../a: its name leaves the folder; rename it"
        assert "; ../up.png: a link, a device or a path" in refused(tmp_path, "../up.png", train=[])

    def test_as_a_user_sees_it(self, tmp_path: Path) -> None:
        write_json_lines(tmp_path / "raw/train.jsonl", [{"id": 1}, {"id": 2}])
        done = run("convert", "hateful_memes", "--source", tmp_path / "raw", "--out_dir", tmp_path / "out", code=2)
        assert done.stderr == (
            "Error: hateful_memes found nothing to convert in the source; "
            "train.jsonl:1: the row names no picture: its field 'img' is None\n"
        )
        assert not (tmp_path / "out").exists()


def test_half_a_character_costs_its_source_alone(tmp_path: Path) -> None:
    """JSON can spell it, as \\ud800, and nothing can hold it."""
    half = json.loads('"\\ud800"')
    sources = [
        Source(path="a", name="a", data={"question": half}),
        Source(path="b", name="b", group=half),
        Source(path="c", name="c", label=half),
        Source(path="d", name="d"),
        bad("e", f"its text is {half}"),
        bad(half, "its name"),
    ]
    _, total = write_plan(tmp_path / "plan.sqlite", {"train": sources})
    plan = Plan(tmp_path / "plan.sqlite")
    assert [planned.source.path for planned in plan.part(0)] == ["d"]
    found = {reject.source: (reject.code, reject.message) for reject in plan.rejects()}
    plan.close()
    assert total == 1
    assert [found[path][0] for path in "abc"] == ["not_unicode"] * 3
    assert found["e"] == ("bad", "its text is \\ud800")
    assert found["\\ud800"] == ("bad", "its name")


class TestRefuse:
    class Some(Options):
        """Two options with defaults."""

        prompt: str = "Is it?"
        seed: int = 0

    def test_what_was_given_is_named_with_the_reason(self) -> None:
        with pytest.raises(UsageError) as caught:
            self.Some(seed=1).refuse("prompt", "seed", why="it has its own splits")
        expected = "--seed has no meaning for this source, for it has its own splits: leave it out"
        assert str(caught.value) == expected

    def test_a_default_that_was_given_was_given(self) -> None:
        with pytest.raises(UsageError, match="--seed"):
            self.Some(seed=0).refuse("seed", why="it has its own splits")

    def test_what_was_not_given_is_no_fault(self) -> None:
        self.Some().refuse("prompt", "seed", why="it has its own splits")
        self.Some(prompt="What?").refuse("seed", why="it has its own splits")
        self.Some(prompt="What?").refuse(why="nothing is refused")
