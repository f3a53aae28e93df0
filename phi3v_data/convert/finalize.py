"""Finalize: join the finished parts, in order, into the dataset; and tell whether a dataset is still whole."""

from __future__ import annotations

import glob
import io
from collections import Counter
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from phi3v_data.convert.part_writers import RECORDS, SAMPLES
from phi3v_data.convert.shards import Piece, make_shards, place_shards
from phi3v_data.convert.writers import Highlight, PartSummary
from phi3v_data.errors import DataError
from phi3v_data.formats.kinds import format_of
from phi3v_data.formats.webdataset import TarFile
from phi3v_data.fs import write_atomic
from phi3v_data.layout import IMAGES, MANIFEST, REJECTS, SUFFIXES
from phi3v_data.manifest.measure import measure_file
from phi3v_data.media.contact_sheet import Card, draw_contact_sheet
from phi3v_schemas import SCHEMA_VERSION, ConverterInfo, DataFile, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from phi3v_data.convert.job import JobFile, JobFolder
    from phi3v_data.convert.plan import Plan

__all__ = ["CONTACT_SHEET", "dataset_is_whole", "finalize", "part_is_whole"]

CONTACT_SHEET = "contact_sheet.jpg"
_SHEET_CARDS = 12


@dataclass
class _Split:
    """What the parts of one split add up to."""

    pieces: list[Piece] = field(default_factory=list)
    rejects: int = 0
    classes: Counter[str] = field(default_factory=Counter)


class _Shown(NamedTuple):
    """A record for the contact sheet, and the part that holds it."""

    part: Path
    highlight: Highlight


def finalize(folder: JobFolder, job: JobFile, plan: Plan) -> Manifest:
    """Write the dataset's files from its parts; the manifest comes last and makes it complete.

    Returns:
        The manifest written.
    """
    splits, shown = _add_up(folder, plan)
    rejects = _write_rejects(folder, plan, splits.values())
    sheet = draw_contact_sheet(_cards(shown, folder.out_dir / IMAGES))
    write_atomic(folder.out_dir / CONTACT_SHEET, sheet)
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        converter=ConverterInfo(
            name=job.converter,
            version=job.version,
            options=job.options,
            shared=job.shared,
            limit=job.limit,
            output=job.output,
        ),
        source=job.source,
        plan_sha256=job.plan_sha256,
        files=_write_files(folder, job, splits),
        classes=_classes(job, splits, rejects),
        rejects=rejects,
    )
    write_atomic(folder.out_dir / MANIFEST, manifest.to_json().encode())
    return manifest


def _add_up(folder: JobFolder, plan: Plan) -> tuple[dict[str, _Split], list[_Shown]]:
    splits = {name: _Split() for name in plan.splits()}
    shown: list[_Shown] = []
    for number, name in enumerate(plan.parts()):
        part, split = folder.part(number), splits[name]
        summary = PartSummary.model_validate_json((part / "summary.json").read_bytes())
        split.pieces.append(Piece(part=number, records=summary.records))
        split.classes.update(summary.classes)
        split.rejects += summary.rejects
        if len(shown) < 4096:
            shown += [_Shown(part, highlight) for highlight in summary.highlights]
    return splits, shown


def _classes(job: JobFile, splits: Mapping[str, _Split], rejects: int) -> dict[str, dict[str, int]]:
    counted = {name: dict(sorted(split.classes.items())) for name, split in splits.items() if split.classes}
    # Which classes the rejects were of is not known.
    return counted or (job.known_classes if not rejects and job.limit is None else {})


def _write_files(folder: JobFolder, job: JobFile, splits: Mapping[str, _Split]) -> list[DataFile]:
    """Write the files of every split: first all of them, and then into their places."""
    shards = {
        name: make_shards(folder, name, split.pieces, job.output, folder.out_dir / IMAGES)
        for name, split in splits.items()
    }
    for suffix in SUFFIXES:
        for stale in folder.out_dir.glob(f"{glob.escape(job.dataset)}_*{suffix}"):
            stale.unlink()
    placed = [place_shards(folder, job.dataset, name, files, job.output) for name, files in shards.items()]
    return list(chain.from_iterable(placed))


def _write_rejects(folder: JobFolder, plan: Plan, splits: Iterable[_Split]) -> int:
    """Write rejects.jsonl where there are any; return how many."""
    refused = [reject.to_line() for reject in plan.rejects()]
    splits = list(splits)
    total = len(refused) + sum(split.rejects for split in splits)
    path = folder.out_dir / REJECTS
    path.unlink(missing_ok=True)
    if total:
        parts = (folder.part(piece.part) for split in splits for piece in split.pieces)
        pieces = (_blocks(part / REJECTS) for part in parts)
        write_atomic(path, chain([b"".join(refused)], chain.from_iterable(pieces)))
    return total


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            yield block


def _cards(shown: list[_Shown], images: Path) -> list[Card]:
    """Choose the contact sheet's cards: the first records of each class, as many as there is room for."""
    by_title: dict[str, list[_Shown]] = {}
    for one in shown:
        by_title.setdefault(one.highlight.title, []).append(one)
    classes = list(by_title.values())[:_SHEET_CARDS]
    each = min(2, max(1, _SHEET_CARDS // max(1, len(classes))))
    return [_card(one, images) for cards in classes for one in cards[:each]]


def _card(one: _Shown, images: Path) -> Card:
    part, highlight = one
    if highlight.key is None:
        return Card(highlight.title, highlight.text, [images / path for path in highlight.images])
    held = TarFile(part / SAMPLES).sample(highlight.key).images
    return Card(highlight.title, highlight.text, [io.BytesIO(held.read(path)) for path in highlight.images])


def part_is_whole(part: Path, images: Path) -> bool:
    """Return whether every image of a finished part is on disk with the bytes that were written.

    A power cut can lose images that were written shortly before; a stat each finds that.
    """
    try:
        summary = PartSummary.model_validate_json((part / "summary.json").read_bytes())
        if summary.tar_bytes:
            return (part / SAMPLES).stat().st_size == summary.tar_bytes
        return _has_images(part / RECORDS, images, summary)
    except (OSError, ValueError, DataError):
        return False


def dataset_is_whole(out_dir: Path, manifest: Manifest) -> bool:
    """Return whether every file of the manifest is there, and every image with the bytes that were written."""
    try:
        return all(
            (out_dir / file.path).stat().st_size == file.bytes
            and (format_of(Path(file.path)) != "jsonl" or _has_images(out_dir / file.path, out_dir / IMAGES, file))
            for file in manifest.files
        )
    except (OSError, DataError):
        return False


def _has_images(records: Path, images: Path, written: PartSummary | DataFile) -> bool:
    """Return whether records refer to as many images, and these hold as many bytes, as were written."""
    found = measure_file(records, images)
    return (found.images, found.image_bytes) == (written.images, written.image_bytes)
