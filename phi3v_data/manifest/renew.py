"""Write manifest.json anew after people have edited a dataset, or for JSONL files that never had one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from phi3v_data.convert.job import JobFolder
from phi3v_data.errors import CannotRun, DataError
from phi3v_data.fs import FolderHeld, explain_os_error, hold_folder, write_atomic
from phi3v_data.layout import IMAGES, MANIFEST, ManifestProblem, NewerVersion, read_manifest
from phi3v_data.manifest.describe import describe, find_splits
from phi3v_data.validate.runner import validate

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data.validate.images import ImageLevel
    from phi3v_data.validate.result import Result
    from phi3v_schemas import Manifest

__all__ = ["Renewal", "renew_manifest"]


@dataclass(frozen=True, slots=True)
class Renewal:
    """What became of a manifest.

    Args:
        result: What the validation found.
        before: The manifest as it was; None where there was none.
        manifest: The manifest as it is now, equal to `before` where nothing has changed; None where there were errors
            and nothing was written.
    """

    result: Result
    before: Manifest | None
    manifest: Manifest | None


def renew_manifest(
    folder: Path,
    *,
    images: ImageLevel = "exists",
    images_dir: Path | None = None,
    max_findings: int = 1000,
    workers: int | None = 1,
) -> Renewal:
    """Validate a folder's JSONL files and, where they have no errors, write the manifest that fits them.

    What the old manifest says of the conversion is kept; `edited_from` tells that files were changed since. Where
    nothing was changed, nothing is written.

    Args:
        folder: The dataset's folder.
        images: How closely to look at images, as in `validate`; with "none" their bytes are not known of a file that
            was changed.
        images_dir: The images folder; by default `images` beside the JSONL files.
        max_findings: How many findings are kept, as in `validate`.
        workers: Processes, as in `validate`.

    Raises:
        CannotRun: There is no such folder, no JSONL file in it, another run is at work there or was stopped before its
            end, or the system refuses to read or write.
        DataError: The old manifest cannot be used, or a file has a name that no manifest may hold.
    """
    if not folder.is_dir():
        raise CannotRun(f"there is no folder {folder}: give that of a dataset")
    try:
        with hold_folder(folder, without_locks=True):
            return _renew(folder, images, images_dir, max_findings, workers)
    except FolderHeld:
        raise CannotRun(f"another run is writing into {folder}: wait for its end") from None
    except OSError as error:
        raise CannotRun(explain_os_error(error, folder)) from error
    except BaseException as error:
        if not isinstance(error, Exception):
            error.add_note("Run the same command again.")
        raise


def _renew(
    folder: Path, images: ImageLevel, images_dir: Path | None, max_findings: int, workers: int | None
) -> Renewal:
    if JobFolder(folder).path.exists():
        raise CannotRun(f"{folder} holds an unfinished conversion: finish it by running its command again")
    before = _read(folder)
    splits = find_splits(folder, before)
    result = validate(
        [folder],
        images=images,
        images_dir=images_dir,
        max_findings=max_findings,
        workers=workers,
        against_manifest=False,
        ignore=["E5", "W5"],  # records that do not go together are no fault of the folder
    )
    if result.errors:
        return Renewal(result, before, None)
    manifest = describe(folder, splits, before, None if images == "none" else images_dir or folder / IMAGES)
    if manifest != before:
        write_atomic(folder / MANIFEST, manifest.to_json().encode())
    return Renewal(result, before, manifest)


def _read(folder: Path) -> Manifest | None:
    try:
        return read_manifest(folder)
    except NewerVersion as error:
        raise DataError(f"{error}: update phi3v-data") from None
    except ManifestProblem as error:
        raise DataError(f"{error}; restore it, or delete it and lose what it says of the data's origin") from None
