"""Finalize: join the finished parts, in order, into the dataset; and tell whether a dataset is still whole."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from phi3v_data.convert.writers import Highlight, PartSummary
from phi3v_data.errors import DataError
from phi3v_data.fs import write_atomic
from phi3v_data.layout import IMAGES, MANIFEST, REJECTS
from phi3v_data.manifest.measure import measure_file
from phi3v_data.media.contact_sheet import Card, draw_contact_sheet
from phi3v_schemas import SCHEMA_VERSION, ConverterInfo, DataFile, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from phi3v_data.convert.job import JobFile, JobFolder
    from phi3v_data.convert.plan import Plan

__all__ = ["CONTACT_SHEET", "dataset_is_whole", "finalize", "part_is_whole"]

CONTACT_SHEET = "contact_sheet.jpg"
_SHEET_CARDS = 12


@dataclass
class _Split:
    """What the parts of one split add up to."""

    parts: list[Path] = field(default_factory=list)
    summary: PartSummary = field(default_factory=PartSummary)
    classes: Counter[str] = field(default_factory=Counter)


def finalize(folder: JobFolder, job: JobFile, plan: Plan) -> Manifest:
    """Write the dataset's files from its parts; the manifest comes last and makes it complete.

    Returns:
        The manifest written.
    """
    splits, highlights = _add_up(folder, plan)
    for stale in (*folder.out_dir.glob(f"{job.converter}_*.jsonl"), folder.out_dir / REJECTS):
        stale.unlink(missing_ok=True)
    files = [
        _join(folder.out_dir / f"{job.converter}_{name}.jsonl", name, split)
        for name, split in splits.items()
        if split.summary.records
    ]
    rejects = _write_rejects(folder, plan, splits.values())
    sheet = draw_contact_sheet(_cards(highlights, folder.out_dir / IMAGES))
    write_atomic(folder.out_dir / CONTACT_SHEET, sheet)
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        converter=ConverterInfo(
            name=job.converter, version=job.version, options=job.options, shared=job.shared, limit=job.limit
        ),
        source=job.source,
        plan_sha256=job.plan_sha256,
        files=files,
        classes={name: dict(sorted(split.classes.items())) for name, split in splits.items() if split.classes},
        rejects=rejects,
    )
    write_atomic(folder.out_dir / MANIFEST, manifest.to_json().encode())
    return manifest


def _add_up(folder: JobFolder, plan: Plan) -> tuple[dict[str, _Split], list[Highlight]]:
    splits = {name: _Split() for name in plan.splits()}
    highlights: list[Highlight] = []
    for number, name in enumerate(plan.parts()):
        part, split = folder.part(number), splits[name]
        summary = PartSummary.model_validate_json((part / "summary.json").read_bytes())
        split.parts.append(part)
        split.classes.update(summary.classes)
        for count in ("records", "rejects", "images", "image_bytes"):
            setattr(split.summary, count, getattr(split.summary, count) + getattr(summary, count))
        if len(highlights) < 4096:
            highlights += summary.highlights
    return splits, highlights


def _join(path: Path, name: str, split: _Split) -> DataFile:
    """Write one split's file from its parts and return what the manifest says of it."""
    digest, size = _write(path, (part / "records.jsonl" for part in split.parts))
    summary = split.summary
    return DataFile(
        path=path.name,
        split=name,
        records=summary.records,
        images=summary.images,
        image_bytes=summary.image_bytes,
        bytes=size,
        sha256=digest,
    )


def _write(path: Path, pieces: Iterable[Path], head: bytes = b"") -> tuple[str, int]:
    """Write a file from a head and whole files behind it, atomically; return its SHA-256 and size."""
    digest, size = hashlib.sha256(), 0

    def blocks() -> Iterator[bytes]:
        nonlocal size
        for block in chain([head], chain.from_iterable(map(_blocks, pieces))):
            digest.update(block)
            size += len(block)
            yield block

    write_atomic(path, blocks())
    return digest.hexdigest(), size


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            yield block


def _write_rejects(folder: JobFolder, plan: Plan, splits: Iterable[_Split]) -> int:
    """Write rejects.jsonl where there are any; return how many."""
    refused = [reject.to_line() for reject in plan.rejects()]
    splits = list(splits)
    total = len(refused) + sum(split.summary.rejects for split in splits)
    if total:
        pieces = (part / "rejects.jsonl" for split in splits for part in split.parts)
        _write(folder.out_dir / REJECTS, pieces, b"".join(refused))
    return total


def _cards(highlights: list[Highlight], images: Path) -> list[Card]:
    """Choose the contact sheet's cards: the first records of each class, as many as there is room for."""
    by_title: dict[str, list[Highlight]] = {}
    for highlight in highlights:
        by_title.setdefault(highlight.title, []).append(highlight)
    classes = list(by_title.values())[:_SHEET_CARDS]
    each = min(2, max(1, _SHEET_CARDS // max(1, len(classes))))
    chosen = [card for cards in classes for card in cards[:each]]
    return [Card(card.title, card.text, [images / path for path in card.images]) for card in chosen]


def part_is_whole(part: Path, images: Path) -> bool:
    """Return whether every image of a finished part is on disk with the bytes that were written.

    A power cut can lose images that were written shortly before; a stat each finds that.
    """
    try:
        summary = PartSummary.model_validate_json((part / "summary.json").read_bytes())
        return _has_images(part / "records.jsonl", images, summary)
    except (OSError, ValueError, DataError):
        return False


def dataset_is_whole(out_dir: Path, manifest: Manifest) -> bool:
    """Return whether every file of the manifest is there, and every image with the bytes that were written."""
    try:
        return all(
            (out_dir / file.path).stat().st_size == file.bytes
            and _has_images(out_dir / file.path, out_dir / IMAGES, file)
            for file in manifest.files
        )
    except (OSError, DataError):
        return False


def _has_images(records: Path, images: Path, written: PartSummary | DataFile) -> bool:
    """Return whether records refer to as many images, and these hold as many bytes, as were written."""
    found = measure_file(records, images)
    return (found.images, found.image_bytes) == (written.images, written.image_bytes)
