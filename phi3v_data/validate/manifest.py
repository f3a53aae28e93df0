"""E6xx: the dataset folder against its manifest."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from phi3v_data.formats.kinds import format_of, open_record_file
from phi3v_data.formats.record_file import BadShard
from phi3v_data.fs import sha256_of
from phi3v_data.image_folder import ImageFolder
from phi3v_data.layout import (
    MANIFEST,
    ManifestProblem,
    NewerVersion,
    data_files,
    missing_shards,
    read_manifest,
    suffix_of,
)
from phi3v_data.lines import read_lines
from phi3v_data.validate.rule import Problem, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from phi3v_schemas import DataFile, Finding, Manifest

__all__ = [
    "ChecksumDiffers",
    "CountDiffers",
    "ExtraFile",
    "FileFacts",
    "FileMissing",
    "ManifestNewer",
    "ManifestUnreadable",
    "NoManifest",
    "check_file",
    "check_folder",
    "check_structure",
    "load",
]


class ManifestUnreadable(Rule):
    """The manifest is there and cannot be used."""

    code = "E601"
    slug = "manifest-unreadable"
    message = "manifest.json {fault}"
    hint = "Restore it, or convert again; or delete it and write one for the files there are: phi3v-data manifest DIR."
    bad = 'manifest.json that holds {"schema_version": "1.0"} and no more'
    good = "manifest.json as `phi3v-data convert` wrote it"


class ChecksumDiffers(Rule):
    """A file was changed after it was written."""

    code = "E602"
    slug = "checksum-differs"
    message = "SHA-256 is {found}, and manifest.json says {expected}"
    hint = (
        "The file was damaged: convert again or copy it again. Or it was edited on purpose: accept that with "
        "phi3v-data manifest DIR."
    )
    bad = "ucf101_train.jsonl with one letter changed by hand"
    good = "ucf101_train.jsonl as it was written"


class CountDiffers(Rule):
    """A file holds more or fewer records than the manifest says."""

    code = "E603"
    slug = "record-count-differs"
    message = "holds {found:,} records, and manifest.json says {expected:,}"
    hint = (
        "Records were lost: convert again or copy the file again. Or records were removed or added on purpose: accept "
        "that with phi3v-data manifest DIR."
    )
    bad = "ucf101_train.jsonl without its last line"
    good = "ucf101_train.jsonl as it was written"


class FileMissing(Rule):
    """A file that should be there is not."""

    code = "E604"
    slug = "file-missing"
    message = "{file} is missing: {why}"
    hint = "Copy the whole folder again, or convert again. If it was removed on purpose, run phi3v-data manifest DIR."
    bad = "a manifest.json that lists ucf101_val.jsonl, which is not there; or shard 2 of 4 missing"
    good = "every file that manifest.json lists, and all shards"


class ExtraFile(Rule):
    """A JSONL file that the manifest does not know."""

    code = "W605"
    slug = "extra-file"
    message = "manifest.json does not list this file; it was not checked"
    hint = "Remove it, check it by naming it on the command line, or take it in with phi3v-data manifest DIR."
    bad = "ucf101_train (copy).jsonl beside the files of the dataset"
    good = "only the files that manifest.json lists"


class ManifestNewer(Rule):
    """The dataset is of a newer format than this program knows."""

    code = "E606"
    slug = "schema-newer"
    message = "manifest.json {fault}"
    hint = "Update phi3v-data: pip install -U phi3v-data."
    bad = '"schema_version": "99.0"'
    good = '"schema_version": "1.0"'


class NoManifest(Rule):
    """The folder has no manifest."""

    code = "W607"
    slug = "no-manifest"
    message = "the folder has no manifest.json, so that nothing proves it is whole"
    hint = "Write one, so that checksums and counts are checked: phi3v-data manifest DIR."
    bad = "a folder with train.jsonl and images/"
    good = "a folder with train.jsonl, images/ and manifest.json"


class FileFacts(NamedTuple):
    """What was measured of a file while it was read."""

    records: int
    sha256: str


def load(folder: Path) -> tuple[Manifest | None, Problem | None]:
    """Read a folder's manifest, or say why it cannot be used; a folder without one gives a warning."""
    try:
        manifest = read_manifest(folder)
    except NewerVersion as error:
        return None, ManifestNewer.problem(fault=error.fault)
    except ManifestProblem as error:
        return None, ManifestUnreadable.problem(fault=error.fault)
    return manifest, None if manifest else NoManifest.problem()


def check_structure(folder: Path, manifest: Manifest | None) -> Iterator[tuple[str, Problem]]:
    """Compare the names of the files that are there with those that should be.

    Yields:
        The file a problem is about, as a path that begins with the folder's, and the problem.
    """
    present = data_files(folder, suffix_of(manifest))
    listed = [folder / entry.path for entry in manifest.files] if manifest else []
    for path in listed:
        if not path.is_file():
            yield str(folder / MANIFEST), FileMissing.problem(file=path.name, why="manifest.json lists it")
    for name in missing_shards(present):
        if folder / name not in listed:
            why, hint = "the other shards' names promise it", "Copy it again, or rename the others to count without it."
            yield str(folder), FileMissing.problem(file=name, why=why, hint=hint)
    if manifest:
        for path in sorted(set(present) - set(listed)):
            yield str(path), ExtraFile.problem()


def check_file(entry: DataFile, facts: FileFacts) -> Iterator[Problem]:
    """Compare what the manifest says of a file with what was measured."""
    if facts.records != entry.records:
        yield CountDiffers.problem(found=facts.records, expected=entry.records)
    if facts.sha256 != entry.sha256:
        yield ChecksumDiffers.problem(found=facts.sha256, expected=entry.sha256)


def check_folder(folder: Path) -> list[Finding]:
    """Hold a dataset folder against its manifest, reading every file it lists once.

    Returns:
        The findings: about the folder first, then file by file.
    """
    manifest, problem = load(folder)
    findings = [problem.at(str(folder / MANIFEST), None)] if problem else []
    findings += [broken.at(file, None) for file, broken in check_structure(folder, manifest)]
    for entry in manifest.files if manifest else ():
        path = folder / entry.path
        if path.is_file():
            findings += [broken.at(str(path), None) for broken in check_file(entry, _measure(path))]
    return findings


def _measure(path: Path) -> FileFacts:
    if format_of(path) != "jsonl":
        records = 0
        with suppress(BadShard):  # then its sum differs too
            for _ in open_record_file(path, ImageFolder(path.parent)).iter_keys():
                records += 1
        return FileFacts(records, sha256_of(path))
    digest = hashlib.sha256()
    with path.open("rb") as file:
        records = sum(not line.is_blank for line in read_lines(file, on_chunk=digest.update))
    return FileFacts(records, digest.hexdigest())
