"""The figures of a dataset, collected in one reading."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from phi3v_data.formats.kinds import format_of
from phi3v_data.processes import available_cores
from phi3v_data.progress import Progress
from phi3v_data.reader import Dataset
from phi3v_data.stats.piece import Counted, Piece, Setting, count_piece, forget
from phi3v_data.stats.result import Stats
from phi3v_data.stats.tally import Tally
from phi3v_data.validate.checks import MODEL_LENGTH
from phi3v_data.validate.inputs import Inputs
from phi3v_data.validate.target_run import PIECE_SIZE
from phi3v_data.workers import Task, Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from phi3v_data.stats.result import ImageLevel

__all__ = ["collect"]

_WORTH_IT = 16  # pieces, before which a process does not pay for its start


def collect(
    path: Path | str,
    *,
    split: str | None = None,
    images_dir: Path | None = None,
    images: ImageLevel = "header",
    tokenizer: Path | None = None,
    num_crops: int = 16,
    max_length: int = MODEL_LENGTH,
    max_tokens: int | None = None,
    workers: int | None = None,
    on_progress: Callable[[int, int | None], object] | None = None,
) -> Stats:
    """Read a dataset once and count what is in it.

    The figures do not depend on the number of workers. Memory does not grow with the dataset, except by the different
    sizes of images, of which 65,536 are kept, and the different numbers of tokens.

    Args:
        path: The dataset's folder, or a file of records.
        split: The only split to look at.
        images_dir: The images folder; by default `images` beside the JSONL files.
        images: How closely to look at images.
        tokenizer: The folder of the model's tokenizer, to count the tokens of texts; else they are estimated.
        num_crops: The most crops an image is scaled to in training.
        max_length: Tokens beyond which a record is too long.
        max_tokens: Tokens that a batch may take, to say how many records it may have.
        workers: Processes; None for one per core, where the dataset is large enough.
        on_progress: Told the bytes read so far, and the bytes there are.

    Returns:
        The figures. What cannot be read is counted or told in them.

    Raises:
        CannotRun: There is nothing at `path`, a library is missing, or a worker died.
        DataError: There is no such split, a shard is missing or the manifest cannot be used.
        UsageError: The folder holds no tokenizer of this model.
    """
    dataset = Dataset(path, split=split, images_dir=images_dir)
    setting = Setting(dataset.images.root, images == "header", tokenizer, num_crops, max_length)
    files = [(name, file) for name in dataset.splits for file in dataset.files(name)]
    stats = Stats(Path(path), setting, max_tokens, {name: Tally() for name, _ in files})
    progress = Progress(on_progress, sum(file.stat().st_size for _, file in files))
    forget()
    with Inputs() as inputs, Workers(_useful_workers(workers, images, progress.total or 0)) as pool:
        for step, outcome in pool.ordered(_steps(setting, files, PIECE_SIZE[images], inputs)):
            if isinstance(step, Task):
                _merge(stats, step.argument, outcome)
                progress.advance(step.argument.size)
            else:
                stats.faults.append(step)
    forget()
    _look_for_folder(stats, files)
    return stats


def _useful_workers(asked: int | None, images: ImageLevel, total: int) -> int:
    """Return as many processes as were asked for, or are worth their start."""
    return asked or (available_cores() if total >= _WORTH_IT * PIECE_SIZE[images] else 1)


def _steps(setting: Setting, files: list[tuple[str, Path]], size: int, inputs: Inputs) -> Iterator[Task | str]:
    """Yield the pieces of all files in order, and between them what cannot be read or is odd about a file."""
    for split, file in files:
        try:
            source = inputs.open(file)
            yield from (f"{file}: {problem.message}" for problem in source.problems)
            is_shard = format_of(source.path) != "jsonl"
            cuts = [(0, source.size)] if is_shard else source.pieces(size) if source.is_readable else []
            for start, length in cuts:
                yield Task(count_piece, Piece(setting, split, source.path, start, length, is_shard))
        except OSError as error:
            yield f"{file} cannot be read: {error.strerror or error}"


def _merge(stats: Stats, piece: Piece, counted: Counted) -> None:
    stats.splits[piece.split].merge(counted.tally)
    if counted.fault is not None:
        stats.faults.append(f"{piece.path} {counted.fault}")


def _look_for_folder(stats: Stats, files: list[tuple[str, Path]]) -> None:
    """Say where images were looked for in vain, which explains why none could be read."""
    folder, pictures = stats.setting.images, stats.whole.pictures
    if pictures.unreadable and any(format_of(file) == "jsonl" for _, file in files) and not folder.is_dir():
        stats.faults.append(f"there is no images folder at {folder}: name it with --images_dir")
