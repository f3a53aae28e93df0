"""From a request to a job: list the sources, write the plan, and tell one plan from another."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from phi3v_data.convert.converter import Reject
from phi3v_data.convert.faults import checked_shared, checked_splits, make_converter
from phi3v_data.convert.job import JobFile
from phi3v_data.convert.plan import Plan, write_plan
from phi3v_data.convert.registry import code_of, reference_of
from phi3v_data.errors import CannotRun, UsageError
from phi3v_data.printable import printable
from phi3v_schemas import OutputInfo, SourceInfo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from phi3v_data.convert.converter import Converter, Options
    from phi3v_data.convert.sources import OpenedSource
    from phi3v_schemas import Manifest

__all__ = ["Request", "plan_job", "refuse_other_plan"]

_OTHER_FILES = "made from other source files"
_OTHER_CODE = "made by other code, or from other source files"
_ENGINE_FORMAT = 1  # changes when the engine itself gives other bytes for the same plan


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be converted, and where to.

    Args:
        converter: The converter's class.
        options: Its options.
        source: The opened raw data.
        out_dir: The dataset's folder; made where it does not exist.
        limit: At most this many sources per split.
        overwrite: Replace a dataset of another plan, or of the same one, in that folder.
        output: The format of its files; None for one JSONL file a split.
        dataset: What its files' names begin with; None for the converter's name.
        on_listed: Called for every source, or reject, that the converter lists.
    """

    converter: type[Converter[Any]]
    options: Options
    source: OpenedSource
    out_dir: Path
    limit: int | None = None
    overwrite: bool = False
    output: OutputInfo | None = None
    dataset: str | None = None
    on_listed: Callable[[], None] | None = None


def plan_job(request: Request, plan_file: Path, part_size: int | None = None) -> JobFile:
    """List the sources, write the plan and return the job it makes.

    Args:
        request: What is to be converted.
        plan_file: Where to write the plan; an older file there is replaced.
        part_size: Sources per part; None chooses it from their number.

    Raises:
        UsageError: The source holds nothing that the converter reads.
        CannotRun: The converter failed while it listed its sources, or there is no space left.
    """
    converter = make_converter(request.converter, request.options, request.source.root)
    unsafe = [
        Reject(source=member, code="unsafe_member", message="a link, a device or a path that leaves the archive")
        for member in request.source.unsafe
    ]
    plan_file.unlink(missing_ok=True)
    sources = checked_splits(converter, request.on_listed)
    try:
        listing, total = write_plan(plan_file, sources, unsafe, limit=request.limit, part_size=part_size)
    except sqlite3.OperationalError as error:
        raise CannotRun(f"the plan cannot be written to {plan_file.parent} ({error}): is there space left?") from error
    if not total:
        raise UsageError(f"{request.converter.name} found nothing to convert in the source{_first_reject(plan_file)}")
    source = SourceInfo(
        kind=request.source.kind,
        name=request.source.name,
        revision=request.source.revision,
        sha256=request.source.sha256,
        licence=request.source.licence,
        listing_sha256=listing,
        sources=total,
    )
    job = JobFile(
        converter=request.converter.name,
        dataset=request.dataset or request.converter.name,
        reference=reference_of(request.converter),
        version=request.converter.version,
        code=code_of(request.converter),
        options=request.options.model_dump(mode="json", exclude=set(request.options.local)),
        local=request.options.model_dump(mode="json", include=set(request.options.local)),
        limit=request.limit,
        output=request.output,
        shared=checked_shared(converter),
        known_classes=converter.known_classes,
        root=request.source.root,
        source=source,
        plan_sha256="",
    )
    return job.model_copy(update={"plan_sha256": _identity(job)})


def _first_reject(plan_file: Path) -> str:
    """Return the first of what was refused, which tells most about a source of which nothing is left."""
    plan = Plan(plan_file)
    first = next(plan.rejects(), None)
    plan.close()
    return f"; {printable(first.source)}: {printable(first.message)}" if first else ""


def _identity(job: JobFile) -> str:
    """Return the plan's hash: everything that shapes the output, and no path of this machine, no time."""
    hidden = dict.fromkeys(("root", "reference", "local", "known_classes", "plan_sha256"), True)
    facts = job.model_dump(mode="json", exclude={**hidden, "source": {"licence"}})
    if job.output is None:
        del facts["output"]
    if job.code is None:
        del facts["code"]
    if job.dataset == job.converter:
        del facts["dataset"]
    text = json.dumps([_ENGINE_FORMAT, facts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def refuse_other_plan(job: JobFile, old: JobFile | None, manifest: Manifest | None, out_dir: Path) -> None:
    """Refuse a folder that holds another plan's work, saying what differs, or work that was edited since."""
    if manifest is not None and manifest.edited_from is not None:
        raise UsageError(
            f"{out_dir} holds a dataset that was edited by hand: "
            "choose another --out_dir, or pass --overwrite to replace it"
        )
    if old is not None and old.plan_sha256 != job.plan_sha256:
        was: dict[str, Any] = old.model_dump(mode="json")
    elif old is None and manifest is not None and manifest.plan_sha256 != job.plan_sha256:
        was = {
            **manifest.converter.model_dump(mode="json"),
            "source": manifest.source.model_dump(mode="json"),
        }
        was["converter"] = was.pop("name")
    else:
        return
    raise UsageError(
        f"{out_dir} holds another conversion ({_difference(was, job.model_dump(mode='json'))}): "
        "choose another --out_dir, or pass --overwrite to replace it"
    )


def _shown(output: dict[str, Any] | None) -> str:
    facts = {name: value for name, value in (output or {"format": "jsonl"}).items() if value is not None}
    return " ".join(str(value) if name == "format" else f"--{name} {value}" for name, value in facts.items())


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Name the first thing that tells two plans apart."""
    for key in ("converter", "version", "limit"):
        if old[key] != new[key]:
            return f"{key} {old[key]}, now {new[key]}"
    if old["output"] != new["output"]:
        return f"the output is {_shown(old['output'])}, now {_shown(new['output'])}"
    for part in ("options", "shared"):
        for key in sorted(old[part].keys() | new[part].keys()):
            before, after = old[part].get(key), new[part].get(key)
            if before != after:
                return f"{key} {before}, now {after}" if key not in ("files", "origins") else _OTHER_FILES
        if old["source"] != new["source"]:
            break
    return _OTHER_CODE if new["code"] != old.get("code") else _OTHER_FILES
