"""The page as it is written, block by block: its data are never in memory as a whole."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from phi3v_data.errors import CannotRun
from phi3v_data.preview.block import Block, make_block, survey_block
from phi3v_data.preview.escaped import escaped
from phi3v_data.preview.shares import share_out
from phi3v_data.printable import counted
from phi3v_data.workers import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from phi3v_data.preview.block import Setting
    from phi3v_data.preview.planning import Plan
    from phi3v_data.preview.shares import Wish
    from phi3v_data.workers import Workers

__all__ = ["compose"]

_BLOCK = 100  # records
_RECORDS = b'<script type="application/json" class="records">'
_STRIPS = b'<script type="text/plain" class="strips">'
_END = b"</script>\n"
_AROUND = len(_RECORDS + _STRIPS + _END + _END) + 2
_LEAST = 500  # bytes that a record needs to say anything
_NOTE = 100  # bytes for the last note


def compose(
    plan: Plan,
    facts: dict[str, Any],
    setting: Setting,
    template: tuple[bytes, bytes],
    max_bytes: int,
    pool: Workers,
    on_progress: Callable[[int, int | None], object] | None = None,
) -> Iterator[bytes]:
    """Yield the bytes of a page.

    Args:
        plan: What it shows.
        facts: What it is told of the dataset; a note is added where texts are cut.
        setting: How records are shown.
        template: What stands before and behind the data.
        max_bytes: The most bytes.
        pool: Makes the blocks.
        on_progress: Told the records made so far, and how many there will be.

    Raises:
        CannotRun: What the page is told of the dataset leaves no room for records, or a worker died.
    """
    shown = len(plan.places)
    wishes = [wish for _, some in pool.ordered(_blocks(plan, setting)) for wish in some]
    around = sum(map(len, template)) + len(_facts(facts)) + _NOTE
    room = max_bytes - around - (shown // _BLOCK + 1) * _AROUND - shown
    if room < shown * _LEAST:
        what = f"{counted(shown, 'record')} in {counted(len(facts['splits']), 'split')}"
        raise CannotRun(f"a page of {max_bytes / 1e6:g} MB has no room for {what}: show fewer of them")
    shares = share_out(wishes, room)
    if cut := sum(wish.text > shares.text for wish in wishes):
        facts["notes"].append(f"The texts of {counted(cut, 'record')} are cut, to keep the page small.")
    yield template[0] + _facts(facts)
    done = 0
    for task, made in pool.ordered(_blocks(plan, replace(setting, shares=shares), wishes)):
        yield _RECORDS + made.records + _END + _STRIPS + made.strips + _END
        done += len(task.argument.places)
        if on_progress is not None:
            on_progress(done, shown)
    yield template[1]


def _facts(facts: dict[str, Any]) -> bytes:
    return b'<script type="application/json" id="facts">' + escaped(facts).encode() + _END


def _blocks(plan: Plan, setting: Setting, wishes: Sequence[Wish] = ()) -> Iterator[Task]:
    """Yield the task of each block: to survey it, or to make it once it is known what its records get."""
    for first in range(0, len(plan.places), _BLOCK):
        places = plan.places[first : first + _BLOCK]
        sources = {place.file: plan.source_of(place) for place in places}
        found = [plan.findings_of(place) for place in places]
        block = Block(setting, first, sources, places, found, wishes[first : first + _BLOCK])
        yield Task(make_block if wishes else survey_block, block)
