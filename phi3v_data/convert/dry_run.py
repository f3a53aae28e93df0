"""A dry run: list everything, convert a few sources in a temporary folder, and say what the whole would come to."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from phi3v_data.convert.job import JobFolder
from phi3v_data.convert.plan import Plan
from phi3v_data.convert.planning import plan_job
from phi3v_data.convert.writers import PartSummary
from phi3v_data.fs import write_atomic
from phi3v_data.layout import IMAGES
from phi3v_data.media.checks import check_image
from phi3v_data.tokens import image_tokens
from phi3v_schemas import Record

if TYPE_CHECKING:
    from phi3v_data.convert.executors import Executor
    from phi3v_data.convert.planning import Request

__all__ = ["NUM_CROPS", "Estimate", "dry_run"]

NUM_CROPS = (1, 4, 16)
"""The values of `num_crops` that image tokens are estimated for: the recipe takes 4 for video, 16 for documents."""

_SAMPLES = 4  # sources converted per split


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a conversion would come to; the estimates are means over the sampled sources of a split, times all of them.

    Args:
        splits: Sources of each split.
        rejected: Sources refused by the plan alone.
        sampled: Sources that were converted for the estimate.
        sample_rejects: Of those, how many were rejected.
        records: Estimated records.
        images: Estimated images.
        image_bytes: Estimated bytes of images.
        image_tokens: Estimated image tokens for each `num_crops`.
        first_record: The first record of those sampled, as it would be written.
    """

    splits: dict[str, int]
    rejected: int
    sampled: int
    sample_rejects: int
    records: int
    images: int
    image_bytes: int
    image_tokens: dict[int, int]
    first_record: str | None


def dry_run(request: Request, executor: Executor) -> Estimate:
    """Plan the whole conversion, convert a few sources of each split, and estimate; writes nothing that stays."""
    with tempfile.TemporaryDirectory(prefix="phi3v-dry-run-") as name:
        folder = JobFolder(Path(name))
        folder.parts.mkdir(parents=True)
        job = plan_job(replace(request, output=None), folder.plan_file, part_size=1)
        write_atomic(folder.job_file, job.model_dump_json().encode())
        plan = Plan(folder.plan_file)
        splits = plan.splits()
        chosen = _choose(splits)
        executor.run(folder, list(chosen), lambda message: None)
        rejected = sum(1 for _ in plan.rejects())
        plan.close()
        return _estimate(folder, splits, rejected, chosen)


def _choose(splits: dict[str, int]) -> dict[int, float]:
    """Choose a few sources of each split, spread over it; the very first is among them.

    Returns:
        Their numbers, and how many sources each one stands for.
    """
    chosen: dict[int, float] = {}
    first = 0
    for count in splits.values():
        few = min(count, _SAMPLES)
        chosen |= {first + k * count // few: count / few for k in range(few)}
        first += count
    return chosen


def _estimate(folder: JobFolder, splits: dict[str, int], rejected: int, chosen: dict[int, float]) -> Estimate:
    totals: defaultdict[str, float] = defaultdict(float)
    tokens: defaultdict[int, float] = defaultdict(float)
    rejects, first_record = 0, None
    for number, weight in chosen.items():
        part = folder.part(number)
        summary = PartSummary.model_validate_json((part / "summary.json").read_bytes())
        rejects += summary.rejects
        for name in ("records", "images", "image_bytes"):
            totals[name] += weight * getattr(summary, name)
        for line in (part / "records.jsonl").read_bytes().splitlines():
            first_record = first_record or line.decode()
            for path in Record.model_validate_json(line).image_paths():
                image = check_image(str(folder.out_dir / IMAGES / path))
                for crops in NUM_CROPS:
                    tokens[crops] += weight * image_tokens(image.width, image.height, crops)
    return Estimate(
        splits=splits,
        rejected=rejected,
        sampled=len(chosen),
        sample_rejects=rejects,
        records=round(totals["records"]),
        images=round(totals["images"]),
        image_bytes=round(totals["image_bytes"]),
        image_tokens={crops: round(tokens[crops]) for crops in NUM_CROPS},
        first_record=first_record,
    )
