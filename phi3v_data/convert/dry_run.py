"""A dry run: list everything, convert a few sources in a temporary folder, and say what the whole would come to."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from phi3v_data.convert.job import JobFolder
from phi3v_data.convert.plan import Plan
from phi3v_data.convert.planning import plan_job
from phi3v_data.convert.writers import PartSummary
from phi3v_data.fs import write_atomic
from phi3v_data.tokens import image_tokens
from phi3v_schemas import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phi3v_data.convert.executors import Executor
    from phi3v_data.convert.planning import Request

__all__ = ["NUM_CROPS", "Estimate", "dry_run"]

NUM_CROPS = (1, 4, 16)
"""The values of `num_crops` that image tokens are estimated for: the recipe takes 4 for video, 16 for documents."""

_SAMPLES = 4  # sources converted per split


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a conversion would come to; the estimates are means over the sampled sources, times all of them.

    Args:
        splits: Sources of each split.
        rejected: Sources refused by the plan alone.
        sampled: Sources that were converted for the estimate.
        sample_rejects: Of those, how many were rejected.
        records: Estimated records.
        images: Estimated images.
        image_bytes: Estimated bytes of images.
        image_tokens: Estimated image tokens for each `num_crops`.
        first_record: The first record, as it would be written.
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
        job = plan_job(request, folder.plan_file, part_size=1)
        write_atomic(folder.job_file, job.model_dump_json().encode())
        plan = Plan(folder.plan_file)
        chosen = _choose(plan.splits())
        executor.run(folder, chosen, lambda message: None)
        estimate = _estimate(folder, plan, chosen)
        plan.close()
    return estimate


def _choose(splits: dict[str, int]) -> list[int]:
    """Return the numbers of a few sources of each split, spread over it; the very first is among them."""
    chosen, first = [], 0
    for count in splits.values():
        few = min(count, _SAMPLES)
        chosen += [first + k * count // few for k in range(few)]
        first += count
    return chosen


def _estimate(folder: JobFolder, plan: Plan, chosen: Sequence[int]) -> Estimate:
    parts = [folder.part(number) for number in chosen]
    done = [PartSummary.model_validate_json((part / "summary.json").read_bytes()) for part in parts]
    lines = [line for part in parts for line in (part / "records.jsonl").read_bytes().splitlines()]
    sizes = [_size(folder.out_dir / "images" / path) for line in lines for path in _images(line)]
    total = sum(plan.splits().values())

    def scale(value: int) -> int:
        return round(value * total / len(chosen))

    return Estimate(
        splits=plan.splits(),
        rejected=sum(1 for _ in plan.rejects()),
        sampled=len(chosen),
        sample_rejects=sum(summary.rejects for summary in done),
        records=scale(sum(summary.records for summary in done)),
        images=scale(sum(summary.images for summary in done)),
        image_bytes=scale(sum(summary.image_bytes for summary in done)),
        image_tokens={crops: scale(sum(image_tokens(*size, crops) for size in sizes)) for crops in NUM_CROPS},
        first_record=lines[0].decode() if lines else None,
    )


def _images(line: bytes) -> list[str]:
    return Record.model_validate_json(line).image_paths()


def _size(path: Path) -> tuple[int, int]:
    from PIL import Image

    with Image.open(path) as image:
        return image.size
