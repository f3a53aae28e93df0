"""The rules about a dataset as a whole, in the order in which they are reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3v_data.validate.alike import check_alike, likeness
from phi3v_data.validate.balance import check_balance
from phi3v_data.validate.contradictions import check_contradictions
from phi3v_data.validate.folder import check_folder_of_images
from phi3v_data.validate.ids import check_ids
from phi3v_data.validate.leaks import check_leaks
from phi3v_data.validate.sameness import check_duplicates

if TYPE_CHECKING:
    from phi3v_data.validate.allowed import Allowed
    from phi3v_data.validate.checks import Checks
    from phi3v_data.validate.facts import DatasetFacts
    from phi3v_data.validate.result import Findings
    from phi3v_data.validate.targets import Target

__all__ = ["check_dataset", "compares", "compares_images", "compares_pictures"]

_RECORDS = ("E501", "W505", "W506", "W507", "W508")
_ALIKE = "W503"


def compares(checks: Checks) -> bool:
    """Return whether a rule wanted holds records against each other."""
    return checks.selection.any(*_RECORDS)


def compares_images(checks: Checks, splits: int, *, owns_images: bool) -> bool:
    """Return whether a rule wanted holds images against each other, or against the folder.

    Args:
        checks: What is wanted.
        splits: How many splits there are.
        owns_images: Whether nothing but this dataset's images should be in its images folder.
    """
    wanted = checks.selection
    across = splits > 1 and wanted.any("W502", _ALIKE)
    return checks.images != "none" and (across or (owns_images and "W417" in wanted))


def compares_pictures(checks: Checks, splits: int) -> bool:
    """Return whether a rule wanted needs to know what images look like."""
    return checks.images == "decode" and splits > 1 and _ALIKE in checks.selection


def check_dataset(
    facts: DatasetFacts, findings: Findings, checks: Checks, allowed: Allowed, target: Target
) -> list[str]:
    """Hold a dataset, all of whose lines were read, against the rules wanted.

    Returns:
        What could not be looked at, a line each.
    """
    wanted = checks.selection
    if "E301" in wanted:
        check_ids(facts, findings)
    if wanted.any("E501", "W502"):
        check_leaks(facts, findings, allowed)
    if "W505" in wanted:
        check_duplicates(facts, findings)
    if "W506" in wanted:
        check_contradictions(facts, findings)
    if wanted.any("W507", "W508"):
        check_balance(facts, findings)
    if checks.images == "none":
        return []
    return _check_images(facts, findings, checks, allowed, target)


def _check_images(
    facts: DatasetFacts, findings: Findings, checks: Checks, allowed: Allowed, target: Target
) -> list[str]:
    wanted = checks.selection
    unchecked = []
    if compares_pictures(checks, len(facts.splits)):
        if likeness() is None:
            unchecked.append(f"{_ALIKE}, for which ImageHash must be installed: pip install 'phi3v-data[alike]'")
        else:
            check_alike(facts, findings, allowed)
    if wanted.any("W413", "W415", "W417"):
        check_folder_of_images(facts, findings, target.images, all_splits=target.owns_images)
    return unchecked
