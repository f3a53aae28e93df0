"""Flags from an options model: what `--help` says, and the sentence when a value does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click
import pytest
from pydantic import Field, model_validator

from phi3v_data.convert.converter import Options
from phi3v_data.convert.flags import flags_of, options_from


class Sample(Options):
    """One field of every kind, and a rule about two of them."""

    name: str = Field(description="A name.")
    count: int = Field(default=3, ge=1, description="How many.")
    share: float | None = Field(default=None, description="Which part.")
    mode: Literal["fast", "exact"] = Field(default="fast", description="How.")
    fold: Literal[1, 2] = 1
    seed: int = 0
    keep: bool = Field(default=True, description="Keep them.")
    drop: bool = Field(default=False, description="Drop them.")
    tags: tuple[str, ...] = Field(default_factory=tuple, description="Words.")
    folder: Path | None = None
    text: str = Field(default="a\nb", description="Lines.")

    @model_validator(mode="after")
    def _not_both(self) -> Sample:
        if self.drop and self.share == 1:
            raise ValueError("--drop and --share 1 leave nothing")
        return self


def parse(*args: str) -> Options:
    """Run a command with these flags as click does; return the options."""
    found: list[Options] = []
    command = click.Command(
        "sample", params=[*flags_of(Sample)], callback=lambda **values: found.append(options_from(Sample, values))
    )
    command.main(list(args), standalone_mode=False)
    return found[0]


def test_nothing_given_takes_the_defaults() -> None:
    assert parse("--name", "x") == Sample(name="x")


def test_every_kind_of_value() -> None:
    given = (
        "--count",
        "5",
        "--share",
        "0.5",
        "--mode",
        "exact",
        "--fold",
        "2",
        "--no_keep",
        "--drop",
        "--folder",
        "a/b",
    )
    assert parse("--name", "", *given) == Sample(
        name="", count=5, share=0.5, mode="exact", fold=2, keep=False, drop=True, folder=Path("a/b")
    )


def test_help_states_defaults_and_what_is_required() -> None:
    text = click.Command("sample", params=[*flags_of(Sample)]).get_help(click.Context(click.Command("sample")))
    words = " ".join(text.split())
    for part in (
        "--name TEXT A name. [required]",
        "--count INTEGER How many. [default: 3]",
        "--share NUMBER Which part. --mode [fast|exact] How. [default: fast]",
        "--fold [1|2] [default: 1] --seed INTEGER [default: 0]",
        "--keep / --no_keep Keep them. [default: True]",
        "--drop / --no_drop Drop them. --tags TEXT Words. --folder PATH --text TEXT Lines. [default: a\\nb]",
    ):
        assert part in words


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "missing option --name"),
        (["--name", "x", "--count", "0"], "--count: input should be greater than or equal to 1 (given: '0')"),
        (["--name", "x", "--count", "many"], "--count: input should be a valid integer"),
        (["--name", "x", "--drop", "--share", "1"], "--drop and --share 1 leave nothing"),
        (["--name", "x", "--share", "half"], "--share: input should be a valid number"),
    ],
)
def test_a_value_that_does_not_fit_names_its_flag(args: list[str], says: str) -> None:
    with pytest.raises(click.UsageError) as error:
        parse(*args)
    assert says in error.value.message
    with pytest.raises(click.BadParameter, match="'slow' is not one of 'fast', 'exact'"):
        parse("--name", "x", "--mode", "slow")
