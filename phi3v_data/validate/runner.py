"""One validation run: every line of every file is read once and accounted for; no fault stops it."""

from __future__ import annotations

import stat
from time import perf_counter
from typing import TYPE_CHECKING

from phi3v_data.lines import MAX_LINE
from phi3v_data.processes import available_cores
from phi3v_data.progress import Progress
from phi3v_data.validate.allowed import Allowed, read_allowed
from phi3v_data.validate.checks import MODEL_LENGTH, Checks
from phi3v_data.validate.inputs import Inputs
from phi3v_data.validate.result import Findings, Result
from phi3v_data.validate.selection import Selection
from phi3v_data.validate.target_run import PIECE_SIZE, TargetRun
from phi3v_data.validate.targets import find_targets
from phi3v_data.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from phi3v_data.validate.images import ImageLevel
    from phi3v_data.validate.targets import Target

__all__ = ["validate"]

_WORTH_IT = 16  # pieces, before which a process does not pay for its start


def validate(
    paths: Sequence[Path | str],
    *,
    images: ImageLevel = "header",
    images_dir: Path | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    tokenizer: Path | None = None,
    max_length: int = MODEL_LENGTH,
    num_crops: int = 16,
    allow_leaks: Path | None = None,
    max_findings: int = 1000,
    max_line: int = MAX_LINE,
    workers: int | None = 1,
    against_manifest: bool = True,
    on_progress: Callable[[int, int | None], object] | None = None,
) -> Result:
    """Hold files, dataset folders or standard input against every rule.

    Every line is looked at once; a file that a manifest lists is read once more, for its checksum. Findings and their
    order do not depend on the number of workers. Memory does not grow with the files, except by some 16 bytes a line at
    the end; some 40 bytes a line and 32 an image are kept in temporary files.

    Args:
        paths: Files, dataset folders, glob patterns, or "-" for standard input. What cannot be read is a
            finding.
        images: How closely to look at images: "none", "exists", "header" (which also looks for the end), or "decode".
        images_dir: The images folder; by default `images` beside the JSONL files.
        select: Codes of the rules wanted, or what they begin with; none for all.
        ignore: Codes of the rules that are not wanted.
        tokenizer: Folder of the model's tokenizer, to count the tokens of text; else only those of images are known.
        max_length: Most tokens of a record.
        num_crops: Most crops that an image is scaled to in training.
        allow_leaks: A text file of image paths, groups and ids that may be in several splits, one a line.
        max_findings: How many findings are kept; all are counted. 0 keeps all, in a temporary file.
        max_line: Longest line in bytes that is read.
        workers: Processes; None for one per core, or for a pipe one.
        against_manifest: Whether a folder's files are those of its manifest and as it says; else they are all the JSONL
            files that are there.
        on_progress: Told the bytes read so far, and the bytes there are in all (None for a pipe).

    Returns:
        The findings of each dataset: about the folder, then line by line for each file, then about records that do not
        go together.

    Raises:
        UsageError: There is no such rule, tokenizer or list.
        CannotRun: There is no room for temporary files, a library is missing, or a worker died.
    """
    started = perf_counter()
    selection = Selection(tuple(select), tuple(ignore))
    checks = Checks(images, max_line, num_crops, max_length, tokenizer, selection)
    allowed = Allowed() if allow_leaks is None else read_allowed(allow_leaks)
    targets = find_targets(paths, images_dir, against_manifest=against_manifest)
    result = Result(Findings(max_findings, selection))
    progress = Progress(on_progress, _total_size(targets))
    with Inputs() as inputs, Workers(_useful_workers(workers, images, progress.total)) as pool:
        for target in targets:
            TargetRun(target, checks, allowed, result, inputs, progress).run(pool)
    result.seconds = perf_counter() - started
    return result


def _useful_workers(asked: int | None, images: ImageLevel, total: int | None) -> int:
    """Return how many processes are worth their start."""
    if total is None:  # a pipe, and nobody knows how long
        return asked or 1
    if total < _WORTH_IT * PIECE_SIZE[images]:
        return 1
    return asked or available_cores()


def _total_size(targets: Sequence[Target]) -> int | None:
    sizes = [_size(path) for target in targets for path in target.files]
    return None if None in sizes else sum(size for size in sizes if size is not None)


def _size(path: Path | None) -> int | None:
    """Return the size of a file, 0 of what cannot be read, None of a pipe."""
    if path is None:
        return None
    try:
        status = path.stat()
    except (OSError, ValueError):  # opening it will say so
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else None
