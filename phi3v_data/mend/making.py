"""The making of a mended copy: fill it, set lines with errors apart until there are none, then write what is left."""

from __future__ import annotations

import os
import shutil
from itertools import groupby
from operator import attrgetter
from typing import IO, TYPE_CHECKING, Any

from phi3v_data.errors import CannotRun
from phi3v_data.fs import write_atomic
from phi3v_data.layout import IMAGES, MANIFEST, REJECTS
from phi3v_data.manifest.describe import describe, find_splits
from phi3v_data.mend.images import ImageLinks
from phi3v_data.mend.source import CHANGES, refuse_unless_lines
from phi3v_data.mend.stage import StagedFile, Tally
from phi3v_data.printable import unicode_of
from phi3v_data.validate.rule import RULES
from phi3v_data.validate.runner import validate
from phi3v_data.validate.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from phi3v_data.mend.source import Source
    from phi3v_data.validate.images import ImageLevel
    from phi3v_schemas import Finding

__all__ = ["make_copy"]

_SAME_ID, _NO_FOLDER = "E301", "E407"


def make_copy(
    source: Source, new: Path, stage: Path, ignore: Sequence[str], checks: dict[str, Any]
) -> tuple[Tally, ImageLinks | None]:
    """Make a copy.

    Args:
        source: The dataset.
        new: The folder of the copy, which is there.
        stage: A folder for the copy in the making, which is not; whoever calls removes it.
        ignore: Codes of the errors for which no line is set apart.
        checks: How to validate: the arguments of `validate` that hold for every pass.

    Returns:
        What became of the lines, and of the images; None where they stay where they are.

    Raises:
        CannotRun: A file was changed meanwhile, or as `validate`.
        DataError: A manifest that fits the copy cannot be written.
        UsageError: A file has no lines to mend but those over the limit.
        OSError: The system refuses something.
    """
    tally = Tally()
    stage.mkdir()
    for folder in (new, stage):
        if source.manifest is not None:
            shutil.copyfile(source.folder / MANIFEST, folder / MANIFEST)
    with (new / REJECTS).open("xb") as rejects:
        tally.carried = _carry_over(source, rejects)
        files = [StagedFile(file, stage / file.name, checks["max_line"], tally, rejects) for file in source.files]
        for file, original in zip(files, source.files, strict=True):
            file.fill()
            refuse_unless_lines(file.path, original.path)  # without lines over the limit it may have none
        while _reject_faulty(source, files, stage, _rejecting(ignore), checks):
            pass
    links = ImageLinks(source.images, new) if source.owns_images else None
    with (new / CHANGES).open("xb") as changes:
        for file, original in zip(files, source.files, strict=True):
            file.finish(new / original.name, changes, links)
    _look_back(source)
    assert tally.kept + tally.blank + tally.rejects.total() == tally.lines, "a line is missing"
    _write_manifest(source, new, links, checks["images"])
    for path in (new / CHANGES, new / REJECTS):
        if not path.stat().st_size:
            path.unlink()
    return tally, links


def _carry_over(source: Source, rejects: IO[bytes]) -> int:
    """Begin the rejects with those that the dataset has, of whatever origin; return their bytes."""
    old = source.folder / REJECTS
    if not (source.path.is_dir() and old.is_file() and old.stat().st_size):
        return 0
    with old.open("rb") as file:
        shutil.copyfileobj(file, rejects)
        file.seek(-1, os.SEEK_END)
        rejects.write(b"" if file.read() == b"\n" else b"\n")
    return rejects.tell()


def _rejecting(ignore: Sequence[str]) -> list[str]:
    """Return the codes of the errors for which a line is set apart."""
    wanted = Selection((), ignore)
    families = tuple(f"E{family}" for family in "12347")
    codes = [code for code in RULES if code.startswith(families) or code == "E509"]
    return [code for code in codes if code in wanted or code.startswith(("E1", "E2"))]


def _reject_faulty(
    source: Source, files: list[StagedFile], stage: Path, rejecting: list[str], checks: dict[str, Any]
) -> bool:
    """Validate the copy in the making and set the lines with errors apart; return whether there were any.

    Lines whose id another has wait until no other errors are left: the other may be set apart.
    """
    whole = [stage] if source.path.is_dir() else [file.path for file in files]
    result = validate(
        whole, images_dir=source.images, select=rejecting, against_manifest=False, max_findings=0, **checks
    )
    _look_back(source)
    codes = {code for code in result.counts if code != _NO_FOLDER}
    codes = codes - {_SAME_ID} or codes
    found = (one for one in result.findings if one.line is not None and one.code in codes)
    by_name = {unicode_of(str(file.path)): file for file in files}
    rejected = False
    for name, findings in groupby(found, key=attrgetter("file")):
        by_name[name].reject(_by_line(findings, stage, source.folder))
        rejected = True
    return rejected


def _by_line(findings: Iterator[Finding], stage: Path, folder: Path) -> Iterator[tuple[int, list[Finding]]]:
    """Group findings by their lines, and let what they say name the original files."""
    ours, theirs = unicode_of(f"{stage}{os.sep}"), unicode_of(f"{folder}{os.sep}")
    for line, group in groupby(findings, key=attrgetter("line")):
        yield line, [one.model_copy(update={"message": one.message.replace(ours, theirs)}) for one in group]


def _look_back(source: Source) -> None:
    """Refuse to go on where a file is no longer what it was.

    Raises:
        CannotRun: One was changed.
    """
    for file in source.files:
        if file.input.change() is not None:
            raise CannotRun(f"{file.path} was changed meanwhile: run the command again when nothing writes it any more")


def _write_manifest(source: Source, new: Path, links: ImageLinks | None, images: ImageLevel) -> None:
    if source.manifest is None:
        return
    folder = new / IMAGES if source.owns_images else source.images
    is_looked_at = images != "none" and folder.is_dir() and not (links and links.left_out)
    manifest = describe(new, find_splits(new, source.manifest), source.manifest, folder if is_looked_at else None)
    if manifest != source.manifest:
        write_atomic(new / MANIFEST, manifest.to_json().encode())
