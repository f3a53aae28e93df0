"""Whether datasets are sound: held against every rule of the validator, and told apart from changed ones."""

from __future__ import annotations

import hashlib
import shlex
from typing import TYPE_CHECKING

from phi3v_data.fs import sha256_of
from phi3v_data.layout import read_manifest
from phi3v_data.printable import counted
from phi3v_data.validate import validate
from phi3v_train.sources import BadData

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from phi3v_data.validate import Result
    from phi3v_train.sources import Source

__all__ = ["check_sound", "file_sums", "fingerprint"]

_SHOWN = 3
_EDITED = {"E602", "E603", "E604"}
_LEAK = "E501"  # it spoils what an evaluation says, and no training
_NOT_HERE = ["E509", "W5", "W4"]  # lengths are looked at with the model's own tokenizer; the others stop nobody
_ADVICE = {
    "E501": "has groups that are in several splits, so that an evaluation on one is no proof: {validate} shows them",
    "W605": "holds files that its manifest.json does not list and that are not read: {renew} takes them in",
    "W607": "has no manifest.json, so that nothing proves that it is whole: {renew} writes one",
}


def check_sound(path: Path, images_dir: Path | None = None) -> list[str]:
    """Hold a dataset against every rule; images must be there and are not looked into.

    Args:
        path: The dataset's folder, or a JSONL file.
        images_dir: Its images, when they are not in `images` beside the JSONL.

    Returns:
        What a person should look at, a line each.

    Raises:
        BadData: It breaks a rule.
    """
    result = validate([path], images="exists", images_dir=images_dir, ignore=_NOT_HERE)
    if result.errors > result.counts.get(_LEAK, 0):
        raise BadData(_describe_errors(path, images_dir, result))
    ways = {"renew": _renew(path), "validate": _validate(path, images_dir)}
    lines = [f"{path} {_ADVICE[code].format(**ways)}" for code in result.counts if code in _ADVICE]
    others = {code: count for code, count in result.counts.items() if code not in _ADVICE}
    if others:
        lines.append(
            f"{path} has {counted(sum(others.values()), 'warning')} ({_listed(others)}): "
            f"{_validate(path, images_dir)} shows them"
        )
    return lines


def fingerprint(sources: Sequence[Source]) -> str:
    """Compute the identity of the records of some splits: the SHA-256 over those of their files, in order."""
    digest = hashlib.sha256()
    for source in sources:
        for sum_of_file in file_sums(source).values():
            digest.update(sum_of_file.encode())
    return digest.hexdigest()


def file_sums(source: Source) -> dict[str, str]:
    """Return the SHA-256 of each file of a split by its name, from the manifest where it lists them."""
    dataset, split = source
    manifest = read_manifest(dataset.path) if dataset.path.is_dir() else None
    known = {entry.path: entry.sha256 for entry in manifest.files} if manifest else {}
    return {path.name: known.get(path.name) or sha256_of(path) for path in dataset.files(split)}


def _describe_errors(path: Path, images_dir: Path | None, result: Result) -> str:
    """Return the first findings, a line each, and what to do."""
    errors = {code: count for code, count in result.counts.items() if code.startswith("E")}
    found = [finding for finding in result.findings if finding.severity == "error"][:_SHOWN]
    lines = [f"{path} has {counted(result.errors, 'error')} ({_listed(errors)}){':' if found else ''}"]
    for finding in found:
        place = finding.file if finding.line is None else f"{finding.file}:{finding.line}"
        lines.append(f"  {place}: {finding.code} {finding.message}")
    lines.append(f"{_validate(path, images_dir)} shows all, and what to do about each.")
    if _EDITED & errors.keys():
        lines.append(f"If the files were changed on purpose, {_renew(path)} accepts them.")
    return "\n".join(lines)


def _validate(path: Path, images_dir: Path | None) -> str:
    """Return the command that shows all findings."""
    return shlex.join(["phi3v-data", "validate", str(path), *(["--images_dir", str(images_dir)] if images_dir else [])])


def _renew(path: Path) -> str:
    """Return the command that writes the manifest anew."""
    return shlex.join(["phi3v-data", "manifest", str(path)])


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{code} × {count:,}" for code, count in counts.items())
