"""The engine: plan, parts, commit, finalize. Every step can be killed and repeated, and gives the same bytes."""

from __future__ import annotations

import glob
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phi3v_data.convert.finalize import CONTACT_SHEET, dataset_is_whole, finalize, part_is_whole
from phi3v_data.convert.job import JobFile, JobFolder
from phi3v_data.convert.plan import Plan
from phi3v_data.convert.planning import plan_job, refuse_other_plan
from phi3v_data.errors import CannotRun, UsageError
from phi3v_data.fs import FolderHeld, explain_os_error, hold_folder, write_atomic
from phi3v_data.layout import IMAGES, MANIFEST, REJECTS, SUFFIXES, read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from phi3v_data.convert.executors import Executor
    from phi3v_data.convert.planning import Request
    from phi3v_data.convert.worker import Message
    from phi3v_schemas import Manifest

__all__ = ["Outcome", "Progress", "convert"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a conversion came to."""

    manifest: Manifest
    was_complete: bool
    """Nothing was left to do."""
    empty_splits: tuple[str, ...] = ()
    """Splits without any source, where the sources were listed and converted."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What a conversion tells while it runs; called in the process that called `convert`.

    Args:
        planned: Called once with the number of sources, and how many of them earlier runs have done.
        message: Called for every step of a worker.
    """

    planned: Callable[[int, int], None]
    message: Callable[[Message], None]


def convert(request: Request, executor: Executor, progress: Progress) -> Outcome:
    """Convert a source into a dataset, going on where an earlier run of the same plan was stopped.

    Raises:
        UsageError: The folder holds something else, or another plan's dataset and `overwrite` is not set.
        CannotRun: No space, nothing to convert, or another run is at work in the folder.
    """
    folder = JobFolder(request.out_dir)
    try:
        with hold_folder(request.out_dir):
            return _convert(request, folder, executor, progress)
    except FolderHeld:
        raise CannotRun(
            f"another run is converting into {request.out_dir}: wait for it or choose another --out_dir"
        ) from None
    except OSError as error:
        raise CannotRun(explain_os_error(error, request.out_dir)) from error


def _convert(request: Request, folder: JobFolder, executor: Executor, progress: Progress) -> Outcome:
    _refuse_foreign_folder(folder)
    fresh = not folder.path.exists()
    folder.parts.mkdir(parents=True, exist_ok=True)
    new_plan = folder.path / "plan.sqlite.new"
    try:
        job = plan_job(request, new_plan)
        manifest = read_manifest(folder.out_dir)
        if not request.overwrite:
            refuse_other_plan(job, folder.read(), manifest, folder.out_dir)
    except BaseException:
        if fresh:
            shutil.rmtree(folder.path, ignore_errors=True)
        raise
    if request.overwrite:
        _clear(folder, manifest)
    elif manifest and dataset_is_whole(folder.out_dir, manifest):
        shutil.rmtree(folder.path)
        return Outcome(manifest, was_complete=True)
    _adopt(folder, job, new_plan)
    plan = Plan(folder.plan_file)
    _run_parts(folder, plan, executor, progress)
    manifest = finalize(folder, job, plan)
    empty = tuple(split for split, sources in plan.splits().items() if not sources)
    plan.close()
    shutil.rmtree(folder.path)
    return Outcome(manifest, was_complete=False, empty_splits=empty)


def _refuse_foreign_folder(folder: JobFolder) -> None:
    """Refuse to write among files that no conversion made."""
    manifest = read_manifest(folder.out_dir)
    converted = manifest is not None and manifest.source.kind != "jsonl"
    if folder.path.exists() or converted or not any(folder.out_dir.iterdir()):
        return
    raise UsageError(
        f"{folder.out_dir} is not empty and holds no dataset that phi3v-data converted: choose another --out_dir"
    )


def _clear(folder: JobFolder, manifest: Manifest | None) -> None:
    """Remove what earlier runs made; the job folder stays, so that a kill leaves a folder that is still ours."""
    old = folder.read()
    names = {old.dataset if old else None, manifest.converter.name if manifest else None} - {None}
    shutil.rmtree(folder.out_dir / IMAGES, ignore_errors=True)
    shutil.rmtree(folder.shards, ignore_errors=True)
    for file in manifest.files if manifest else ():
        (folder.out_dir / file.path).unlink(missing_ok=True)
    files = [f"{glob.escape(name)}_*{suffix}" for name in names if name for suffix in SUFFIXES]
    for pattern in (*files, REJECTS, CONTACT_SHEET, MANIFEST):
        for path in folder.out_dir.glob(pattern):
            path.unlink()
    folder.job_file.unlink(missing_ok=True)


def _adopt(folder: JobFolder, job: JobFile, new_plan: Path) -> None:
    """Make the new plan the job's; where it equals the old one, finished parts stay."""
    if folder.read() is None:
        shutil.rmtree(folder.parts)
        folder.parts.mkdir()
        shutil.rmtree(folder.shards, ignore_errors=True)
    (folder.out_dir / MANIFEST).unlink(missing_ok=True)
    new_plan.replace(folder.plan_file)
    write_atomic(folder.job_file, job.model_dump_json(indent=2).encode())


def _run_parts(folder: JobFolder, plan: Plan, executor: Executor, progress: Progress) -> None:
    parts = len(plan.parts())
    images = folder.out_dir / IMAGES
    done = 0
    for part in range(parts):
        if not folder.part(part).exists():
            continue
        if part_is_whole(folder.part(part), images):
            done += len(plan.part(part))
        else:
            shutil.rmtree(folder.part(part))
    folder.crashes_file.unlink(
        missing_ok=True
    )  # a signal to the whole group looks like a crash: no run blames another's
    progress.planned(sum(plan.splits().values()), done)
    todo = [part for part in range(parts) if not folder.part(part).exists()]
    executor.run(folder, todo, progress.message)
    missing = [part for part in todo if not folder.part(part).exists()]
    if missing:
        raise CannotRun(f"{len(missing)} of {parts} parts were not converted: run the same command again")
