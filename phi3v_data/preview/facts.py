"""What a page is told of the dataset as a whole."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import phi3v_data
from phi3v_data.preview.findings import codes_of
from phi3v_data.printable import counted

if TYPE_CHECKING:
    from phi3v_data.preview.planning import Plan
    from phi3v_data.validate.result import Result

__all__ = ["facts_of", "notes_of"]

_MOST_FAULTS = 50


def facts_of(plan: Plan, result: Result | None, **more: Any) -> dict[str, Any]:
    """Return the facts.

    Args:
        plan: What is shown.
        result: What was found; None where nothing was validated.
        more: Those that the plan does not know.
    """
    shown = Counter(plan.source_of(place).split for place in plan.places)
    findings = None
    if result is not None and plan.joined is not None:
        findings = {"codes": codes_of(result), "general": plan.joined.general}
    return {
        "made_by": f"phi3v-data {phi3v_data.__version__}",
        "records": plan.strata.records,
        "shown": len(plan.places),
        "sampled": len(plan.places) < plan.strata.records,
        "splits": [
            {"name": name, "records": plan.strata.of_split(split), "shown": shown[split]}
            for split, name in enumerate(plan.sources.splits)
        ],
        "classes": [{"name": name, "records": records} for name, records in plan.classes.items()],
        "findings": findings,
        **more,
    }


def notes_of(plan: Plan, result: Result | None, *, seed: int, only_findings: bool) -> list[str]:
    """Return what a person should know of the page, a sentence each."""
    notes = []
    shown, records = len(plan.places), plan.strata.records
    if shown < records:
        how = f"a sample in proportion to splits and classes, seed {seed}"
        if plan.joined is not None and plan.joined.of:
            how = f"{'those' if only_findings else 'some of those'} with findings first, and {how}"
        notes.append(f"{shown:,} of {counted(records, 'record')}: {how}.")
    if result is not None and plan.joined is not None:
        unkept = result.errors + result.warnings - len(result.findings)
        if unkept:
            notes.append(f"{counted(unkept, 'more finding')} were counted but not kept: --max_findings 0 keeps all.")
        if plan.joined.left_out:
            notes.append(f"{counted(plan.joined.left_out, 'more finding')} are counted but not shown here.")
        notes += [f"Not checked: {line}" for line in result.unchecked]
    more = len(plan.faults) - _MOST_FAULTS
    return notes + plan.faults[:_MOST_FAULTS] + ([f"{more:,} more files cannot be read."] if more > 0 else [])
